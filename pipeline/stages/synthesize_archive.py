"""Writing a synthetic hospital archive over a cluster: a patient in, its files on a shared folder out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pipeline.config import PhantomConfig, PipelineConfig
from pipeline.phantom_archive.patient import write_patient
from pipeline.phantom_archive.plan import PatientPlan
from pipeline.stages.base import Row, Stage, check_flow


class WritePatient(Stage):
    """Write one patient; hold one scan.

    Args:
        root: The archive.
        phantom: Grid and noise of the scans.
        seed: Seed of the archive.
    """

    reads = ("plan",)
    emits = ("index",)

    def __init__(self, root: Path, phantom: PhantomConfig, seed: int) -> None:
        self.root = root
        self.phantom = phantom
        self.seed = seed

    def process(self, row: Row) -> Iterator[Row]:
        """Emit the patient's number when all of it is there."""
        plan = PatientPlan(**json.loads(row["plan"]))
        write_patient(self.root, plan, self.phantom, self.seed)
        yield {"index": plan.index}


def write_patients(root: Path, config: PipelineConfig, plans: Sequence[PatientPlan]) -> Iterator[int]:
    """Write patients and give their numbers as they are done, in no certain order."""
    from pipeline.stages.session import work_items

    rows = [{"plan": json.dumps(asdict(plan))} for plan in plans]
    if rows:
        check_flow(list(rows[0]), [WritePatient])
        stage = WritePatient(root, config.phantom, config.seed)
        written = work_items("synthesize_archive", rows).map_batches(stage, batch_size=1, batch_format="pyarrow")
        yield from (row["index"] for row in written.iter_rows())
