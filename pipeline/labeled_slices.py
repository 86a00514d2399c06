"""Slices joined with their labels, slab by slab."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slab


def read_labeled_slab(run: RunFolder, volume_id: str, slab: int, columns: list[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Return columns of one slab of `slices/`, with `slice_index`, and what `image_labels/` says of each slice.

    That is `refined_label` and `segments_present`, shape (n, 8).

    Raises:
        ValueError: If the two tables do not hold the same slices; both sides are quoted.
    """
    slices = read_slab(run, "slices", volume_id, slab, ["slice_index", *columns])
    labels = read_slab(run, "image_labels", volume_id, slab, ["slice_index", "refined_label", "segments_present"])
    if not np.array_equal(slices["slice_index"], labels["slice_index"]):
        raise ValueError(
            f"{volume_id}, slab {slab}: slices {slices['slice_index'].tolist()} "
            f"but labels for {labels['slice_index'].tolist()}"
        )
    return {**slices, **labels}
