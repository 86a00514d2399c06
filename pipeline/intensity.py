"""Gray values: the HU window on disk, and the normalizations that networks see."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import BoolArray, Float32Array, UInt8Array
from pipeline.config import GridConfig

LIVER_MEDIAN_SCALE_HU = 40.0
"""HU that become one unit under the `liver_median` normalization."""


def window_to_gray(hu: NDArray[Any], low_hu: float, high_hu: float) -> UInt8Array:
    """Map HU linearly to gray values, `round(255 * (hu - low) / (high - low))`, clipped to 0..255.

    Args:
        hu: Hounsfield units, any shape and real dtype, finite.
        low_hu: HU that becomes 0; the paper uses -200.
        high_hu: HU that becomes 255; the paper uses 250.

    Returns:
        uint8 of the same shape.
    """
    scaled = (hu.astype(np.float32) - low_hu) * (255.0 / (high_hu - low_hu))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def gray_to_hu(gray: NDArray[Any], low_hu: float, high_hu: float) -> Float32Array:
    """Map gray values 0..255 back to HU; the inverse of `window_to_gray` up to its rounding and clipping."""
    return (gray.astype(np.float32) * ((high_hu - low_hu) / 255.0) + low_hu).astype(np.float32)


def normalize(
    image: UInt8Array,
    liver_mask: BoolArray,
    liver_median_hu: Float32Array,
    grid: GridConfig,
    kind: Literal["window", "liver_median"],
) -> Float32Array:
    """Turn stored gray values into network input.

    Args:
        image: Gray values, shape (n, ..., H, W).
        liver_mask: Same shape; the result is zero outside.
        liver_median_hu: Median liver HU of each slice's volume, shape (n,).
        grid: The window of the run.
        kind: `window` gives gray / 255 in [0, 1]; `liver_median` gives (HU - median) / 40, so that the same lesion
            contrast has the same value whatever the scanner phase.

    Returns:
        float32, same shape.
    """
    if kind == "window":
        values = image.astype(np.float32) / np.float32(255)
    else:
        hu = gray_to_hu(image, grid.window_low_hu, grid.window_high_hu)
        median = liver_median_hu.astype(np.float32).reshape(-1, *(1,) * (image.ndim - 1))
        values = (hu - median) / np.float32(LIVER_MEDIAN_SCALE_HU)
    return np.where(liver_mask, values, np.float32(0)).astype(np.float32)
