"""Holes in tumor masks: the necrotic core of a tumor is as dark as a cyst, but lies inside the tumor."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import BoolArray


def fill_holes(mask: BoolArray, region: BoolArray) -> BoolArray:
    """Return masks with what they enclose.

    Args:
        mask: Masks of slices, shape (n, H, W).
        region: Where they may grow, same shape.

    Returns:
        Same shape: the masks, and of the region what has no way along pixel sides to the border of its slice that does
        not cross the slice's mask.
    """
    from scipy.ndimage import binary_fill_holes

    filled: BoolArray = mask.copy()
    for at in np.flatnonzero(mask.any(axis=(1, 2))):
        filled[at] |= binary_fill_holes(mask[at]) & region[at]
    return filled
