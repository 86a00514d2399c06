"""Sweep statistics over an archive: one pass over the probabilities, slabs with the slices that follow them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.config import GridConfig
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.stages.base import REASON, CaseStage, Row
from pipeline.sweep.slab_statistics import STEP, count_slabs
from pipeline.sweep.statistics_table import TABLE


class CountStatistics(CaseStage):
    """Write `refinement_statistics/VOLUME/SLAB.parquet`, unless it is there.

    Args:
        run: Run folder.
        grid: Grid of the run.
        radius: Slices further that a neighbor may be: the largest window that can be swept.
        volumes: The volumes that work items may name.
    """

    reads = ("volume_id", "slabs")
    emits = ("volume_id", "slices", *REASON)
    step = STEP
    nothing: ClassVar[Row] = {"slices": 0}

    def __init__(self, run: RunFolder, grid: GridConfig, radius: int, volumes: Mapping[str, VolumeRow]) -> None:
        self.run = run
        self.grid = grid
        self.radius = radius
        self.volumes = volumes

    def process(self, row: Row) -> Iterator[Row]:
        """Count consecutive slabs of a volume; give their slices.

        Raises:
            CaseError: If the volume cannot be used.
        """
        slices = count_slabs(self.run, self.grid, self.radius, self.volumes[row["volume_id"]], row["slabs"])
        yield {"volume_id": row["volume_id"], "slices": slices}


def commit_statistics(
    run: RunFolder, volumes: Mapping[str, VolumeRow], rows: Iterable[Row]
) -> tuple[int, Counter[str]]:
    """Go through the stage's rows; quarantine each volume that could not be counted and remove its statistics.

    Returns:
        Slices of the volumes that are counted, and quarantined volumes by reason code.
    """
    slices = Counter(dict.fromkeys(volumes, 0))
    rejected: dict[str, Rejection] = {}
    for row in rows:
        slices[row["volume_id"]] += row["slices"]
        if row["code"]:
            rejected[row["volume_id"]] = Rejection(row["volume_id"], row["code"], row["message"], STEP)
    for volume_id, volume in volumes.items():
        if volume_id not in rejected and slices[volume_id] != volume.slice_count:
            message = f"{slices[volume_id]} slices have labels, the volume has {volume.slice_count}"
            rejected[volume_id] = Rejection(volume_id, "SLICE_MISSING", message, STEP)
    for volume_id, rejection in rejected.items():
        write_rejection(run, rejection)
        run.remove(TABLE, volume_id)
    counted = sum(slices[volume_id] for volume_id in volumes.keys() - rejected.keys())
    return counted, Counter(rejection.code for rejection in rejected.values())
