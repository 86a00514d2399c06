"""The healthy tissue of a run's training slices: counted without reading a pixel, then streamed to the workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.arrays import SEGMENT_COUNT, BoolArray
from pipeline.config import CouinaudNetConfig, GridConfig
from pipeline.errors import CaseError
from pipeline.labeled_slices import read_labeled_slab, read_neighbors
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slab
from pipeline.stages.base import REASON, CaseStage, Row

STEP = "train_couinaudnet"
_PIXELS = ("image", "couinaud_map")


class CountHealthySlices(CaseStage):
    """Count the slices of each slab of a volume, and those among them that have healthy tissue to train on.

    Args:
        run: Run folder with `image_labels/`.
        config: What counts as healthy tissue.
    """

    reads = ("volume_id", "slabs")
    emits = ("volume_id", "slab", "slices", "healthy_slices", *REASON)
    step = STEP
    nothing: ClassVar[Row] = {"slab": 0, "slices": 0, "healthy_slices": 0}

    def __init__(self, run: RunFolder, config: CouinaudNetConfig) -> None:
        self.run = run
        self.config = config

    def process(self, row: Row) -> Iterator[Row]:
        """Give one row per slab."""
        for slab in row["slabs"]:
            labels = read_slab(self.run, "image_labels", row["volume_id"], slab, ["refined_label", "segments_present"])
            healthy = int(np.count_nonzero(find_healthy(labels, self.config).any(axis=1)))
            slices = len(labels["refined_label"])
            yield {"volume_id": row["volume_id"], "slab": slab, "slices": slices, "healthy_slices": healthy}


class ReadHealthySlices(CaseStage):
    """Give each slice of a slab that has healthy tissue, its pixels as bytes, and which segments are healthy.

    Args:
        run: Run folder with `slices/` and `image_labels/`.
        config: What counts as healthy tissue.
    """

    reads = ("volume_id", "slab")
    emits = ("volume_id", "slice_index", "liver_median_hu", "slice_spacing_mm", "healthy_segments", *_PIXELS)
    step = STEP

    def __init__(self, run: RunFolder, config: CouinaudNetConfig) -> None:
        self.run = run
        self.config = config

    def process(self, row: Row) -> Iterator[Row]:
        """Give one row per slice with healthy tissue; `healthy_segments` has a byte per segment."""
        slab = read_labeled_slab(self.run, row["volume_id"], row["slab"], ["liver_median_hu", "spacing_mm"])
        healthy = find_healthy(slab, self.config)
        rows = np.flatnonzero(healthy.any(axis=1))
        wanted = slab["slice_index"][rows]
        pixels = read_neighbors(self.run, row["volume_id"], row["slab"], wanted, _PIXELS, self.config.context_slices)
        for number, at in enumerate(rows):
            yield {
                "volume_id": row["volume_id"],
                "slice_index": int(slab["slice_index"][at]),
                "liver_median_hu": float(slab["liver_median_hu"][at]),
                "slice_spacing_mm": float(slab["spacing_mm"][at, 0]),
                "healthy_segments": healthy[at].tobytes(),
                **{name: pixels[name][number].tobytes() for name in _PIXELS},
            }

    def reject(self, row: Row, error: CaseError) -> Row:
        """Quarantine the case and stop the training, whose epochs count on every slice; it begins without the case."""
        write_rejection(self.run, Rejection(row["volume_id"], error.code, error.message, STEP))
        raise error


def find_healthy(labels: Mapping[str, np.ndarray[Any, Any]], config: CouinaudNetConfig) -> BoolArray:
    """Return which segments of each slice are healthy tissue to train on, bool of shape (n, 8).

    All of a slice whose refined label is empty. Of another slice none, or, with `healthy_tissue = "regions"`, those
    that the label does not name, if at least one of them is on the slice.

    Args:
        labels: `refined_label` and `segments_present` of n slices, shape (n, 8).
        config: What counts as healthy tissue.
    """
    spared = ~labels["refined_label"]
    usable = spared.all(axis=1, keepdims=True)
    if config.healthy_tissue == "regions":
        usable |= (spared & labels["segments_present"]).any(axis=1, keepdims=True)
    healthy: BoolArray = spared & usable
    return healthy


def decode_healthy_slices(
    batch: Mapping[str, np.ndarray[Any, Any]], grid: GridConfig, context_slices: int
) -> dict[str, Any]:
    """Return a batch of `ReadHealthySlices` with arrays.

    Args:
        batch: Its columns.
        grid: Grid of the run.
        context_slices: Neighbors c on each side that it read.

    Returns:
        Pixels of shape (n, 2 c + 1, H, W), `healthy_segments` as bool (n, 8), the other columns as they are.
    """
    shape = (-1, 2 * context_slices + 1, grid.height, grid.width)
    pixels = {name: np.frombuffer(b"".join(batch[name]), np.uint8).reshape(shape) for name in _PIXELS}
    healthy = np.frombuffer(b"".join(batch["healthy_segments"]), np.bool_).reshape(-1, SEGMENT_COUNT)
    return {**batch, **pixels, "healthy_segments": healthy}
