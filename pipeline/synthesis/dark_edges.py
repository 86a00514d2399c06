"""Dark edges that are no tumors: fat and partial volume along the liver's border, which masks often take in."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import BoolArray, Float32Array

DARKENING_HU = (20.0, 150.0)
"""At the border: from a little air or fat in a voxel to nothing else."""
REACH_MM = (1.5, 6.0)
"""Depth at which a third is left, drawn evenly on a logarithmic scale."""
PATCH_MM = (5.0, 15.0)
"""Smoothness along the border."""
FAT_HU = -110.0
"""Nothing is made darker than this."""


def darken_edges(rng: np.random.Generator, hu: Float32Array, liver_mask: BoolArray, pixel_mm: float) -> Float32Array:
    """Return slices whose liver is darker along parts of its border, `hu - a w exp(-d / r)`.

    Args:
        rng: Generator.
        hu: Neighboring slices in HU, shape (n, H, W); they are not changed.
        liver_mask: Same shape.
        pixel_mm: In-plane pixel spacing.

    Returns:
        float32, same shape. d is the depth below the border in each slice; the darkening a and its reach r are drawn
        once, the smooth weight w in [0, 1] once for all slices, 0 along about half of the border. A slice
        that the liver fills has no border.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    darkening = rng.uniform(*DARKENING_HU)
    reach_mm = np.exp(rng.uniform(*np.log(REACH_MM)))
    field = gaussian_filter(rng.standard_normal(hu.shape[1:]), rng.uniform(*PATCH_MM) / pixel_mm)
    weight = np.clip(field / max(float(field.std()), 1e-6), 0, 1)
    depth_px = [np.full(mask.shape, np.inf) if mask.all() else distance_transform_edt(mask) for mask in liver_mask]
    depth_mm = np.stack(depth_px) * pixel_mm
    darker = hu - darkening * weight * np.exp(-depth_mm / reach_mm)
    return np.where(liver_mask, np.maximum(darker, np.minimum(hu, FAT_HU)), hu).astype(np.float32)
