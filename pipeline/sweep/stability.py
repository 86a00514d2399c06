"""How plausible refined masks are, without any reference: they go on along z, fit the probabilities and leave room.

All of it follows from the statistics of `pipeline.sweep.statistics`. With l_k the level from which on a pixel is
in the refined mask r_k of slice k, per volume

- agreement along z, `D = 2 sum |r_k and r_k+1| / sum (|r_k| + |r_k+1|)` over pairs of consecutive slices: a tumor goes
  on through slices. Slices weigh by area. Overlaps are exact between slices of the same level, else bounded from below
  by `|min(o_k, o_k+1) >= max(l_k, l_k+1)|`;
- fidelity, `E = 2 sum_r o / (sum |r_k| + sum o)`: the soft Dice of the masks and the probabilities. It falls when masks
  vanish, as probability is left outside, and when they flood where the probability is low;
- room, `1 - F` with `F = sum |r_k| / sum |o_k >= 1 / 255|`: a tumor does not fill the segments that the label names.

A volume's stability is `D E (1 - F)`, in [0, 1]; 0 where no mask is left, as the volume's label names a tumor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.arrays import BoolArray, Float64Array, Int32Array, Int64Array, UInt8Array
from pipeline.refinement.levels import LEVELS, effective_levels
from pipeline.sweep.statistics import VolumeStatistics, best_dice, find_pairs


def sum_stability(
    volumes: Sequence[VolumeStatistics], thresholds: Sequence[float], scales: Sequence[float], radii: Sequence[int]
) -> Float64Array:
    """Return the sum of the volumes' stabilities at all pairs of thresholds and scales.

    Args:
        volumes: Statistics of at least one volume; references are not looked at.
        thresholds: tau, T values.
        scales: c, C values.
        radii: Slices on each side that may continue a mask of each volume. Agreement is that of direct neighbors.

    Returns:
        float64, shape (T, C).
    """
    total = np.zeros((len(thresholds), len(scales)))
    for volume, radius in zip(volumes, radii, strict=True):
        indices = [np.multiply.outer(scales, best_dice(volume, threshold, radius)) for threshold in thresholds]
        levels = np.stack([effective_levels(index, tau) for index, tau in zip(indices, thresholds, strict=True)])
        total += score_levels(volume, levels.reshape(total.size, -1)).reshape(total.shape)
    return total


def score_levels(volume: VolumeStatistics, levels: Int64Array) -> Float64Array:
    """Return D E (1 - F) of the masks {o_k >= levels_k}.

    Args:
        volume: Statistics of a volume.
        levels: Levels per slice at P points, shape (P, n), each in 1..256.

    Returns:
        float64, shape (P,).
    """
    rows = np.arange(levels.shape[1])
    area = volume.above[rows, levels].astype(np.int64)
    total = area.sum(axis=1)
    left, right = find_pairs(volume.slice_index, 1)
    both = volume.shared[left, 0, np.maximum(levels[:, left], levels[:, right])].sum(axis=1)
    agreement = _divide(2.0 * both, (area[:, left] + area[:, right]).sum(axis=1))
    held = sum_probability(volume)
    fidelity = _divide(2.0 * held[rows, levels].sum(axis=1), total + held[:, 1].sum())
    fill = _divide(total, np.broadcast_to(volume.above[:, 1].sum(), total.shape))
    return agreement * fidelity * (1.0 - fill)


def score_masks(masks: BoolArray, probability: UInt8Array, slice_index: Int32Array) -> float:
    """Return D E (1 - F) of any masks of a volume, with exact overlaps.

    Args:
        masks: r_k, shape (n, H, W).
        probability: Stored levels of o_k, 0 on slices without any, same shape.
        slice_index: Strictly ascending, shape (n,).

    Returns:
        In [0, 1]. Masks may go beyond the pixels with a probability, which then fill the room, too.
    """
    area = np.count_nonzero(masks, axis=(1, 2))
    left, right = find_pairs(slice_index, 1)
    agreement = _divide(2.0 * np.count_nonzero(masks[left] & masks[right]), (area[left] + area[right]).sum())
    held, total = (values.sum(dtype=np.int64) / 255.0 for values in (probability[masks], probability))
    fidelity = _divide(2.0 * held, area.sum() + total)
    fill = _divide(area.sum(), np.count_nonzero(masks | (probability > 0)))
    return float(agreement * fidelity * (1.0 - fill))


def sum_probability(volume: VolumeStatistics) -> Float64Array:
    """Return how much probability the pixels from each level on hold together, `sum of o over o_k >= t`.

    A pixel of level q counts 1 / 255 for each of the levels 1..q, so that the pixels from level t on hold
    `((t - 1) |o_k >= t| + sum over u >= t of |o_k >= u|) / 255`.

    Returns:
        float64, shape (n, 257) for t = 0..256; entry 0 is that of entry 1, as level 0 holds nothing.
    """
    above = volume.above[:, 1:].astype(np.float64)
    held = np.cumsum(above[:, ::-1], axis=1)[:, ::-1] + np.arange(LEVELS) * above
    return np.concatenate([held[:, :1], held], axis=1) / 255.0


def _divide(numerator: np.ndarray | float, denominator: np.ndarray | np.number | float) -> Float64Array:
    """Return quotients, and 0 where the denominator is 0: there the numerator is, too."""
    return np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=denominator > 0)
