"""Smoothing inside a mask, without darkening at its border."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import BoolArray, Float32Array


def smooth_inside(
    values: Float32Array, mask: BoolArray, sigma: tuple[float, ...], least_weight: float = 1e-6, reach: float = 4.0
) -> Float32Array:
    """Return the Gaussian mean of the values inside a mask, `(G * v) / (G * M)`.

    Args:
        values: Zero outside the mask, any shape.
        mask: M, same shape.
        sigma: Standard deviations in voxels, one per axis; 0 leaves an axis alone.
        least_weight: The mean is divided by at least this, so that what has little of the mask around it stays low.
        reach: Standard deviations after which the Gaussian is cut off.

    Returns:
        float32, same shape; zero outside the mask.
    """
    from scipy.ndimage import gaussian_filter

    weight = gaussian_filter(mask.astype(np.float32), sigma, mode="constant", truncate=reach)
    smoothed = gaussian_filter(values, sigma, mode="constant", truncate=reach)
    return np.where(mask, smoothed / np.maximum(weight, np.float32(least_weight)), np.float32(0))
