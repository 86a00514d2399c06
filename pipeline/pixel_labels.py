"""Pixel-level labels: thresholding, and their refinement by the neighbor-slice continuity index (PLR, eq. 3-6).

Probabilities are stored quantised, level q of 0..255 standing for q / 255, and every threshold is applied to the
stored value, so that a result does not depend on where it ran.

The rules on whole arrays are here; `pipeline.refinement.walk` applies them to a volume of any depth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray, Float64Array, Int32Array, UInt8Array
from pipeline.config import PixelLabelConfig
from pipeline.refinement.continuity import best_neighbor_dice, check_ascending, pack_masks, unpack_masks
from pipeline.refinement.levels import LEVELS, effective_levels, quantize_probability, threshold_level
from pipeline.refinement.walk import RefinementWalk

__all__ = [
    "LEVELS",
    "RefinedMasks",
    "compute_continuity_index",
    "effective_levels",
    "pack_masks",
    "quantize_probability",
    "refine_pixel_labels",
    "threshold_level",
    "window_radius",
]

_SPACING_TOLERANCE = 1e-3
"""Headers hold spacings in single precision: a slice so small a part of a spacing beyond the reach still counts."""


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


def window_radius(config: PixelLabelConfig, slice_spacing_mm: float) -> int:
    """Return how many slices on each side may continue a mask of a volume with this slice spacing.

    `config.radius`, or with `config.radius_mm` as many slices as that reach holds, at least 1, at most `config.radius`.

    Example:
        >>> window_radius(PixelLabelConfig(radius=4, radius_mm=5.0), 2.5)
        2
    """
    if config.radius_mm == 0:
        return config.radius
    return min(max(math.floor(config.radius_mm / slice_spacing_mm + _SPACING_TOLERANCE), 1), config.radius)


def compute_continuity_index(masks: BoolArray, slice_index: Int32Array, scale: float, radius: int = 1) -> Float64Array:
    """Return the neighbor-slice continuity index, eq. 4-5: `CI_k = c * max(Dice(m_k, m_k-1), Dice(m_k, m_k+1))`.

    A slice at an end, or beside a gap, has one neighbor; a single slice has none and CI 0. With a radius r > 1 the
    maximum is over all slices with an index at most r away.

    Args:
        masks: m_k, shape (n, H, W), rows in strictly ascending `slice_index`.
        slice_index: Shape (n,).
        scale: c.
        radius: r.

    Returns:
        float64, shape (n,).

    Raises:
        ValueError: If the rows are not in strictly ascending order of `slice_index`.
    """
    check_ascending(slice_index)
    return scale * best_neighbor_dice(pack_masks(masks), slice_index, radius)


def refine_pixel_labels(
    probability: UInt8Array, slice_index: Int32Array, threshold: float, scale: float, radius: int = 1
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
        radius: Slices on each side that may continue a mask.

    Returns:
        Masks before and after, and CI_k.

    Raises:
        ValueError: If the rows are not in order, or shapes differ.
    """
    walk = RefinementWalk(math.prod(probability.shape[1:]), threshold, scale, radius)
    parts = [walk.push(probability, slice_index), walk.finish()]
    before, after = np.empty_like(probability, dtype=bool), np.empty_like(probability, dtype=bool)
    split = len(parts[0].slice_index)
    for part, rows in zip(parts, (slice(0, split), slice(split, None)), strict=True):
        before[rows] = unpack_masks(part.pseudo_mask, probability.shape[1:])
        after[rows] = unpack_masks(part.refined_mask, probability.shape[1:])
    return RefinedMasks(before, after, np.concatenate([part.continuity_index for part in parts]))
