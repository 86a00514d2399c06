"""Slices joined with their labels, slab by slab, and with their neighbors along z."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.arrays import Int32Array
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slab, slab_name


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


def read_neighbors(
    run: RunFolder, volume_id: str, slab: int, wanted: Int32Array, columns: Sequence[str], context_slices: int
) -> dict[str, np.ndarray[Any, Any]]:
    """Return pixel columns of slices of one slab, each in the middle of its neighbors along z.

    Args:
        run: Run folder with `slices/`.
        volume_id: Volume.
        slab: Slab; the ones before and after it hold what it lacks.
        wanted: Slice indices of the slab's slices that are asked for, shape (n,).
        columns: Pixel columns.
        context_slices: Neighbors c on each side, at most the length of a slab.

    Returns:
        Arrays of shape (n, 2 c + 1, H, W). A neighbor that is not a liver slice is zero: it holds no liver.
    """
    near = range(slab - 1, slab + 2) if context_slices else (slab,)
    there = [number for number in near if run.exists("slices", volume_id, slab_name(number))]
    parts = [read_slab(run, "slices", volume_id, number, ["slice_index", *columns]) for number in there]
    index = np.concatenate([part["slice_index"] for part in parts])
    return {
        name: stack_neighbors(np.concatenate([part[name] for part in parts]), index, wanted, context_slices)
        for name in columns
    }


def stack_neighbors(
    values: np.ndarray[Any, Any], slice_index: Int32Array, wanted: Int32Array, context_slices: int
) -> np.ndarray[Any, Any]:
    """Return slices, each in the middle of its neighbors along z; a neighbor that is not there is zero.

    Args:
        values: Slices, shape (m, H, W), m >= 1.
        slice_index: Of these slices, ascending, shape (m,).
        wanted: Slice indices that are asked for, shape (n,).
        context_slices: Neighbors c on each side.

    Returns:
        Shape (n, 2 c + 1, H, W).
    """
    seen = wanted[:, None] + np.arange(-context_slices, context_slices + 1)
    rows = np.minimum(np.searchsorted(slice_index, seen), len(slice_index) - 1)
    stack = values[rows]
    stack[slice_index[rows] != seen] = 0
    return stack
