"""The refined masks of an archive against its references: a worker reads one volume's masks and gives counts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar

import numpy as np

from pipeline.arrays import BoolArray, Int32Array, UInt8Array
from pipeline.case_results import count_rows
from pipeline.config import GridConfig
from pipeline.masks import read_volume_slices
from pipeline.metrics import MaskCounts
from pipeline.refinement.pathological_slices import read_pathological_slices
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.stages.base import REASON, CaseStage, Row
from pipeline.sweep.stability import score_masks


class ScoreMasks(CaseStage):
    """Compare the refined masks of one volume with its reference, and measure their stability.

    Args:
        run: Run folder with `pseudo_labels/` and `probabilities/`.
        grid: Grid of the run.
        volumes: The volumes that work items may name.
        aside: Volumes without masks, which score 0.
    """

    reads = ("volume_id",)
    emits = ("volume_id", "intersection", "prediction", "reference", "stability", *REASON)
    step = "tune_synthesis"
    nothing: ClassVar[Row] = {**vars(MaskCounts()), "stability": 0.0}

    def __init__(
        self, run: RunFolder, grid: GridConfig, volumes: Mapping[str, VolumeRow], aside: Collection[str]
    ) -> None:
        self.run = run
        self.grid = grid
        self.volumes = volumes
        self.aside = aside

    def process(self, row: Row) -> Iterator[Row]:
        """Give the counts and the stability of one volume.

        Raises:
            CaseError: If a table of the volume cannot be used; see `read_pathological_slices`.
        """
        volume = self.volumes[row["volume_id"]]
        truth = (
            read_volume_slices(self.run, "references/grid", volume, ["reference_mask"]) if volume.has_reference else {}
        )
        counts, stability = MaskCounts(), 0.0
        if volume.volume_id not in self.aside:
            masks, probability, index = self._read_masks(volume)
            counts = count_rows(masks, index, truth) if truth else counts
            stability = score_masks(masks, probability, index)
        elif truth:
            counts = MaskCounts(reference=int(np.count_nonzero(truth["reference_mask"])))
        yield {"volume_id": volume.volume_id, **vars(counts), "stability": stability}

    def _read_masks(self, volume: VolumeRow) -> tuple[BoolArray, UInt8Array, Int32Array]:
        """Return the refined masks of all slices, the levels of o_k, 0 on healthy slices, and the slice indices."""
        made = read_volume_slices(self.run, "pseudo_labels", volume, ["refined_mask"])
        slabs = [read_pathological_slices(self.run, self.grid, volume.volume_id, slab) for slab in volume.slabs]
        probability = np.zeros(made["refined_mask"].shape, np.uint8)
        pathological = np.concatenate([slab.pathological for slab in slabs])
        probability[pathological] = np.concatenate([slab.probability for slab in slabs])
        return made["refined_mask"], probability, made["slice_index"]
