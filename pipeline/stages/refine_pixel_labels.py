"""PLR over an archive: a window over z on work items that name slabs, reading the slabs and their halo themselves.

Ray Data splits and merges blocks at will, so a window over neighboring rows of a block would be silently wrong. Here
a row names consecutive slabs of one volume, and the stage reads the slices within the window on both sides: right for
every block layout, and bounded in memory by the slab length whatever the volume's depth. The method `lesions` looks at
a volume in 3-D: there a row names all of its slabs, and a task holds the whole volume.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.config import GridConfig, PixelLabelConfig
from pipeline.refinement.slab_refinement import RefinementCounts, refine_slabs
from pipeline.refinement.volume_refinement import refine_volume
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.stages.base import REASON, CaseStage, Row, Stage

STEP = "refine_pixel_labels"
_TASK_SLICES = 512
"""Slices per work item, most of an abdominal CT: each end of an item costs the reading of another slab."""
_BLOCK_SLICES = 2048
"""Slices per block, a small part of a second's work: Ray takes some 7 ms for a block, more on a busy machine."""


class RefinePixelLabels(CaseStage):
    """Write `pseudo_labels/VOLUME/SLAB.parquet`: masks before and after PLR, and the continuity index.

    Args:
        run: Run folder.
        grid: Grid of the run.
        config: Threshold tau, scale c and the window.
        volumes: The volumes that work items may name.
    """

    reads = ("volume_id", "slabs")
    emits: ClassVar[tuple[str, ...]] = ("volume_id", "slices", "deleted", "grown", *REASON)
    step = STEP
    nothing: ClassVar[Row] = vars(RefinementCounts())

    def __init__(
        self, run: RunFolder, grid: GridConfig, config: PixelLabelConfig, volumes: Mapping[str, VolumeRow]
    ) -> None:
        self.run = run
        self.grid = grid
        self.config = config
        self.volumes = volumes

    def process(self, row: Row) -> Iterator[Row]:
        """Refine consecutive slabs of a volume; give counts.

        Raises:
            CaseError: If the volume cannot be used.
        """
        volume = self.volumes[row["volume_id"]]
        if self.config.enabled and self.config.method == "lesions":
            counts = refine_volume(self.run, self.grid, self.config, volume)
        else:
            counts = refine_slabs(self.run, self.grid, self.config, volume, row["slabs"])
        yield {"volume_id": row["volume_id"], **vars(counts)}


def cut_work(volumes: Iterable[VolumeRow], slab_length: int, *, whole: bool = False) -> list[Row]:
    """Return work items: the slabs of each volume, a deep volume cut into several items unless it must stay whole."""
    if whole:
        return [{"volume_id": volume.volume_id, "slabs": list(volume.slabs)} for volume in volumes]
    size = max(1, _TASK_SLICES // slab_length)
    return [
        {"volume_id": volume.volume_id, "slabs": list(volume.slabs[start : start + size])}
        for volume in volumes
        for start in range(0, len(volume.slabs), size)
    ]


def flow_over_slabs(stage: Stage, work: Sequence[Row], slab_length: int, tasks: int = 0) -> Iterator[Row]:
    """Run a stage over work items on Ray and give its rows, in any order.

    Args:
        stage: A stage that takes the rows of `cut_work`.
        work: Work items, perhaps none.
        slab_length: Slices per slab of the run.
        tasks: Tasks at the same time; as many as the cluster has CPUs if 0.
    """
    if work:
        import ray.data

        from pipeline.stages.session import cluster_capacity, work_items

        slices = slab_length * sum(len(row["slabs"]) for row in work)
        blocks_per_cpu = int(np.clip(slices / _BLOCK_SLICES / max(1.0, cluster_capacity()["CPU"]), 2, 16))
        compute = ray.data.TaskPoolStrategy(size=tasks or None)
        items = work_items(STEP, work, blocks_per_cpu)
        # Reservations, of use between several operators, would leave all CPUs but one idle for a flow's first second.
        items.context.op_resource_reservation_enabled = False
        yield from items.map_batches(stage, compute=compute, batch_size=None, batch_format="pyarrow").iter_rows()


def commit_volumes(
    run: RunFolder, volumes: Mapping[str, VolumeRow], rows: Iterable[Row]
) -> tuple[RefinementCounts, Counter[str]]:
    """Add up the stage's rows; quarantine each volume that could not be refined and remove its pseudo labels.

    Returns:
        Counts over the refined volumes, and the number of quarantined volumes by reason code.
    """
    counts = dict.fromkeys(volumes, RefinementCounts())
    rejected: dict[str, Rejection] = {}
    for row in rows:
        volume_id = row["volume_id"]
        counts[volume_id] += RefinementCounts(row["slices"], row["deleted"], row["grown"])
        if row["code"]:
            rejected[volume_id] = Rejection(volume_id, row["code"], row["message"], STEP)
    for volume_id, volume in volumes.items():
        found = counts[volume_id].slices
        if volume_id not in rejected and found != volume.slice_count:
            message = f"{found} slices have labels, the volume has {volume.slice_count}"
            rejected[volume_id] = Rejection(volume_id, "SLICE_MISSING", message, STEP)
    for volume_id, rejection in rejected.items():
        write_rejection(run, rejection)
        run.remove("pseudo_labels", volume_id)
    refined = (counts[volume_id] for volume_id in volumes.keys() - rejected.keys())
    return sum(refined, RefinementCounts()), Counter(rejection.code for rejection in rejected.values())
