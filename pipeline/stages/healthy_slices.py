"""The healthy training slices of a run: counted without reading a pixel, then streamed to the training workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipeline.config import GridConfig
from pipeline.labeled_slices import read_labeled_slab
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slab
from pipeline.stages.base import Row, Stage

_PIXELS = ("image", "couinaud_map")


class CountHealthySlices(Stage):
    """Count the slices of each slab of a volume, and those among them whose refined label is empty.

    Args:
        run: Run folder with `image_labels/`.
    """

    reads = ("volume_id", "slabs")
    emits = ("volume_id", "slab", "slices", "healthy_slices")

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    def process(self, row: Row) -> Iterator[Row]:
        """Give one row per slab."""
        for slab in row["slabs"]:
            label = read_slab(self.run, "image_labels", row["volume_id"], slab, ["refined_label"])["refined_label"]
            healthy = int(np.count_nonzero(~label.any(axis=1)))
            yield {"volume_id": row["volume_id"], "slab": slab, "slices": len(label), "healthy_slices": healthy}


class ReadHealthySlices(Stage):
    """Give each healthy slice of a slab, its pixels as bytes.

    Args:
        run: Run folder with `slices/` and `image_labels/`.
    """

    reads = ("volume_id", "slab")
    emits = ("volume_id", "slice_index", "liver_median_hu", *_PIXELS)

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    def process(self, row: Row) -> Iterator[Row]:
        """Give one row per slice whose refined label is empty."""
        slab = read_labeled_slab(self.run, row["volume_id"], row["slab"], ["liver_median_hu", *_PIXELS])
        for at in np.flatnonzero(~slab["refined_label"].any(axis=1)):
            yield {
                "volume_id": row["volume_id"],
                "slice_index": int(slab["slice_index"][at]),
                "liver_median_hu": float(slab["liver_median_hu"][at]),
                **{name: slab[name][at].tobytes() for name in _PIXELS},
            }


def decode_healthy_slices(batch: Mapping[str, np.ndarray[Any, Any]], grid: GridConfig) -> dict[str, Any]:
    """Return a batch of `ReadHealthySlices` with pixels as arrays, shape (n, H, W)."""
    shape = (-1, grid.height, grid.width)
    pixels = {name: np.frombuffer(b"".join(batch[name]), np.uint8).reshape(shape) for name in _PIXELS}
    return {**batch, **pixels}
