"""Pixel-level labels: thresholding, and their refinement by the neighbor-slice continuity index (PLR, eq. 3-6).

Probabilities are stored quantised, level q of 0..255 standing for q / 255, and every threshold is applied to the
stored value, so that a result does not depend on where it ran.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import BoolArray, Float64Array, Int32Array, Int64Array, UInt8Array

LEVELS = 256
_PROBABILITY_OF_LEVEL = np.arange(LEVELS, dtype=np.float64) / 255.0


@dataclass(frozen=True)
class RefinedMasks:
    """Masks of consecutive rows of one volume, before and after PLR.

    Args:
        pseudo_mask: m_k, shape (n, H, W).
        refined_mask: The mask after eq. 6, shape (n, H, W).
        continuity_index: CI_k, shape (n,), in [0, c].
    """

    pseudo_mask: BoolArray
    refined_mask: BoolArray
    continuity_index: Float64Array


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
        continuity_index: CI_k >= 0, shape (n,).
        threshold: tau.

    Returns:
        int64, shape (n,); 256, which no pixel reaches, where the slice's mask is deleted.
    """
    passes = _PROBABILITY_OF_LEVEL[None, :] * continuity_index[:, None] >= threshold
    return np.where(passes.any(axis=1), passes.argmax(axis=1), LEVELS).astype(np.int64)


def pack_masks(masks: BoolArray) -> NDArray[np.uint64]:
    """Pack masks to bits: shape (n, H, W) to (n, ceil(H W / 64)) words, padded with zeros."""
    bits = np.packbits(masks.reshape(len(masks), math.prod(masks.shape[1:])), axis=1)
    padding = -bits.shape[1] % 8
    padded = np.pad(bits, ((0, 0), (0, padding))) if padding else bits
    return np.ascontiguousarray(padded).view(np.uint64)


def dice_of_neighbors(masks: BoolArray, slice_index: Int32Array) -> Float64Array:
    """Return the Dice of each slice with the next row, `2 |a & b| / (|a| + |b|)`.

    Args:
        masks: m_k, shape (n, H, W), rows in ascending `slice_index`.
        slice_index: Shape (n,).

    Returns:
        float64, shape (n - 1,); 0 where both masks are empty or the slice indices are not consecutive.
    """
    words = pack_masks(masks)
    area = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    intersection = np.bitwise_count(words[1:] & words[:-1]).sum(axis=1, dtype=np.int64)
    total = area[1:] + area[:-1]
    dice = np.divide(2 * intersection, total, out=np.zeros(len(total)), where=total > 0)
    return np.where(np.diff(slice_index) == 1, dice, 0.0)


def compute_continuity_index(masks: BoolArray, slice_index: Int32Array, scale: float) -> Float64Array:
    """Return the neighbor-slice continuity index, eq. 4-5: `CI_k = c * max(Dice(m_k, m_k-1), Dice(m_k, m_k+1))`.

    A slice at an end, or beside a gap, has one neighbor; a single slice has none and CI 0.

    Args:
        masks: m_k, shape (n, H, W), rows in strictly ascending `slice_index`.
        slice_index: Shape (n,).
        scale: c.

    Returns:
        float64, shape (n,).

    Raises:
        ValueError: If the rows are not in strictly ascending order of `slice_index`.
    """
    if len(masks) == 0:
        return np.zeros(0)
    if np.any(np.diff(slice_index) <= 0):
        raise ValueError(f"slice_index must ascend strictly, got {slice_index.tolist()}")
    dice = dice_of_neighbors(masks, slice_index)
    best = np.zeros(len(masks))
    best[:-1] = dice
    best[1:] = np.maximum(best[1:], dice)
    return scale * best


def refine_pixel_labels(
    probability: UInt8Array, slice_index: Int32Array, threshold: float, scale: float
) -> RefinedMasks:
    """Refine pseudo masks by continuity, eq. 3-6.

    `m_k = 1(o_k >= tau)` (eq. 3), CI_k from the unrefined neighbors (eq. 4-5), refined mask
    `1(o_k * CI_k >= tau)` (eq. 6). With c = 5 and tau = 0.5 a slice whose best neighbor Dice is under 0.1 loses its
    mask, and one over 0.2 grows.

    Args:
        probability: Stored levels of o_k, zero outside the named segments, shape (n, H, W). Rows of one volume in
            strictly ascending `slice_index`. A slice that is not among the rows is as good as black.
        slice_index: Shape (n,).
        threshold: tau in (0, 1].
        scale: c > 0.

    Returns:
        Masks before and after, and CI_k.

    Raises:
        ValueError: If the rows are not in order, or shapes differ.
    """
    if len(probability) != len(slice_index):
        raise ValueError(f"{len(probability)} probability slices but {len(slice_index)} slice indices")
    pseudo_mask = probability >= threshold_level(threshold)
    continuity_index = compute_continuity_index(pseudo_mask, slice_index, scale)
    levels = effective_levels(continuity_index, threshold)
    return RefinedMasks(pseudo_mask, probability >= levels[:, None, None], continuity_index)
