"""What was written of each patient, and what is to become of it; a patient's record says that all of it is there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.phantom_archive.plan import PatientPlan

STUDIES, MASKS, MAPS, TRUTH, RECORDS = "dicom", "masks", "couinaud", "truth", "records"
"""Folders of the archive: examinations; liver masks; Couinaud maps; livers with their tumors; what was written."""
WORK = ".work-"
"""Begin of the name of the folder in which a patient is written before anything is in place."""
VOLUME, QUARANTINE, SKIP = "volume", "quarantine", "skip"
"""What is to become of a series."""


@dataclass(frozen=True)
class SeriesRecord:
    """A series, or a label without one, and what is to become of it when labels come from `labels.csv`.

    Args:
        series: Series instance UID, also one that a fault has taken away; empty for a label without a series.
        kind: `ct`, `part` (of the CT's series, or a copy of some of it), `mask`, `label` or a companion's name.
        outcome: `volume`, `quarantine` or `skip`.
        code: Reason code, or a volume's note.
    """

    series: str
    kind: str
    outcome: str
    code: str = ""


@dataclass(frozen=True)
class PatientRecord:
    """What was written of one patient.

    Args:
        plan: As planned.
        accession: Accession number.
        segments: Segments with a tumor.
        report: Text of the report.
        series: What the examination holds.
    """

    plan: PatientPlan
    accession: str
    segments: tuple[int, ...]
    report: str
    series: tuple[SeriesRecord, ...]


def record_path(root: Path, index: int) -> Path:
    """Return the path of a patient's record."""
    return root / RECORDS / f"{index:06d}.json"


def write_record(root: Path, record: PatientRecord) -> None:
    """Write a record, making its folder."""
    path = record_path(root, record.plan.index)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(record)), encoding="utf-8")


def read_record(root: Path, index: int) -> PatientRecord:
    """Return the record that `write_record` wrote."""
    values: dict[str, Any] = json.loads(record_path(root, index).read_text(encoding="utf-8"))
    values["plan"] = PatientPlan(**values["plan"])
    values["segments"] = tuple(values["segments"])
    values["series"] = tuple(SeriesRecord(**item) for item in values["series"])
    return PatientRecord(**values)
