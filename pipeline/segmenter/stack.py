"""The slices of a volume as a regular stack, and beside each slice its neighbors."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import Float32Array, Int32Array, Int64Array
from pipeline.slabs import fill_gaps


def find_neighbors(slice_index: Int32Array, offset: int) -> Int64Array:
    """Return the row of the slice `offset` above each slice; where it is missing, of the last one on the way to it.

    At the liver's end, and at a gap, a slice's neighbor is thus the slice itself.

    Args:
        slice_index: Ascending z indices, shape (n,).
        offset: Slices towards the head, or, negative, towards the feet.

    Returns:
        Rows 0..n - 1, shape (n,).
    """
    if offset < 0:
        return np.searchsorted(slice_index, slice_index + offset, side="left")
    return np.searchsorted(slice_index, slice_index + offset, side="right") - 1


def stack_channels(image: Float32Array, slice_index: Int32Array, context_slices: int) -> Float32Array:
    """Return a volume as the network's channels: slices z - n .. z + n for each z, in this order.

    Args:
        image: Slices, shape (n, H, W), n >= 1.
        slice_index: Ascending z indices, shape (n,).
        context_slices: Neighbors on each side.

    Returns:
        Shape (2 * context_slices + 1, depth, H, W); all channels are black where a slice is not there.
    """
    offsets = range(-context_slices, context_slices + 1)
    return np.stack([fill_gaps(image[find_neighbors(slice_index, offset)], slice_index) for offset in offsets])
