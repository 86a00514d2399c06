"""Probabilities as they are stored: level q of 0..255 stands for q / 255, and thresholds are applied to the level.

So a result does not depend on where it ran, nor on the order of floating-point operations.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Float64Array, Int64Array, UInt8Array

LEVELS = 256
"""Stored levels; as a threshold level, the one that no pixel reaches."""
_PROBABILITY_OF_LEVEL = np.arange(LEVELS, dtype=np.float64) / 255.0


def quantize_probability(probability: NDArray[np.floating]) -> UInt8Array:
    """Return the stored level of a probability, `round(255 o)`, for o in [0, 1]."""
    return np.rint(np.clip(probability, 0.0, 1.0) * 255.0).astype(np.uint8)


def threshold_level(threshold: float) -> int:
    """Return the smallest level q with q / 255 >= threshold; 256, which no pixel reaches, if there is none.

    Example:
        >>> threshold_level(0.5), threshold_level(1.0), threshold_level(1.01)
        (128, 255, 256)
    """
    return int(np.searchsorted(_PROBABILITY_OF_LEVEL, threshold, side="left"))


def effective_levels(continuity_index: Float64Array, threshold: float) -> Int64Array:
    """Return for each slice the smallest level q with q / 255 * CI_k >= tau (eq. 6 solved for the stored level).

    Args:
        continuity_index: CI_k >= 0, any shape.
        threshold: tau > 0.

    Returns:
        int64, of the same shape; 256, which no pixel reaches, where the slice's mask is deleted.
    """
    levels: Int64Array = LEVELS - np.searchsorted(_least_index_of_level(threshold), continuity_index, side="right")
    return levels


@lru_cache(maxsize=4096)
def _least_index_of_level(threshold: float) -> Float64Array:
    """Return the smallest CI that lets level q pass, `q / 255 * CI >= tau` in floating point, for q = 255 down to 1.

    Rounded multiplication is monotone, so comparing with this number decides exactly as the product does.
    """
    probability = _PROBABILITY_OF_LEVEL[:0:-1]
    least = threshold / probability
    while (low := probability * least < threshold).any():
        least[low] = np.nextafter(least[low], np.inf)
    while (high := probability * np.nextafter(least, 0) >= threshold).any():
        least[high] = np.nextafter(least[high], 0)
    return least
