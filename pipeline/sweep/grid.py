"""Surfaces of PLR over threshold tau and scale c for whole cohorts, vectorised across volumes.

The algebra is that of `pipeline.sweep.statistics`, on the counts of many volumes laid side by side: a point then
costs some 0.1 ms per 100 volumes of 100 slices, and is equal to the masks' own figures bit for bit.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Float64Array, Int32Array, Int64Array
from pipeline.refinement.levels import LEVELS, threshold_level
from pipeline.sweep.statistics import VolumeStatistics, check_point, check_radius, find_pairs, raise_dice

GROUP_SLICES = 1 << 12
"""`evaluate_grid` holds the counts of about so many slices at a time, some 15 MB."""

_PROBABILITY_OF_LEVEL = np.append(np.arange(LEVELS) / 255.0, np.inf)
_UNDER_255 = 255.0 * (1.0 - 1e-12)
_HALF, _LOW = 32, (1 << 32) - 1
"""Where the upper half of a count of `StackedStatistics` begins, and what is below."""


@dataclass(frozen=True)
class GridResult:
    """Dice sums of PLR over cases at all pairs of T thresholds and C scales; results of disjoint cases add up.

    Args:
        thresholds: tau, shape (T,).
        scales: c, shape (C,).
        cases: Volumes with a reference mask; volumes without are not counted.
        dice_sum: Sum of the cases' Dice, shape (T, C).
        intersection: Pixels that refined and reference masks share, shape (T, C).
        prediction: Pixels of the refined masks, shape (T, C).
        reference: Pixels of the reference masks.
    """

    thresholds: Float64Array
    scales: Float64Array
    cases: int
    dice_sum: Float64Array
    intersection: Int64Array
    prediction: Int64Array
    reference: int

    def __add__(self, other: GridResult) -> GridResult:
        """Return the result of both sets of cases.

        Raises:
            ValueError: If the grids differ; both are quoted.
        """
        for name in ("thresholds", "scales"):
            if not np.array_equal(getattr(self, name), getattr(other, name)):
                raise ValueError(f"grids differ in {name}: {getattr(self, name)} and {getattr(other, name)}")
        sums = {name: value + getattr(other, name) for name, value in vars(self).items()}
        return GridResult(**{**sums, "thresholds": self.thresholds, "scales": self.scales})

    @property
    def dice_per_case(self) -> Float64Array:
        """Mean Dice of the cases, shape (T, C); NaN without cases."""
        return self.dice_sum / self.cases if self.cases else np.full(self.dice_sum.shape, np.nan)

    @property
    def dice_global(self) -> Float64Array:
        """Dice of all cases' pixels pooled, shape (T, C); NaN without cases."""
        dice = _dice(self.intersection, self.prediction + self.reference)
        return dice if self.cases else np.full(dice.shape, np.nan)


@dataclass(frozen=True)
class SlicePairs:
    """All slices k and k + j of the same volume.

    Args:
        left: Columns of the lower slices, ascending, shape (pairs,).
        right: Columns of the upper slices, shape (pairs,).
        shared: I_kj of every slice k, shape (257, n).
    """

    left: Int64Array
    right: Int64Array
    shared: Int32Array


class StackedStatistics:
    """Counts of many volumes side by side, made once and shared by all points of a sweep.

    Slices without any probability are in no mask and are left out. Takes 1 KB x (2 + radius) per slice that is kept.

    Args:
        volumes: At least one volume, each with at least one slice.
        radius: Window of all volumes, or of each of them.

    Attributes:
        counts: `A_k + 2^32 G_k`, a column per slice, volume after volume, int64 of shape (257, n): what a mask has of
            both is looked up and added up at once. Exact for volumes of less than 2^32 pixels.
        windows: Pairs of slices at the distances 1, 2, ..
        starts: First column of each volume, strictly ascending, shape (volumes,).
        reference: Pixels of the volumes' reference masks, shape (volumes,).
        has_reference: Which volumes have a reference mask, shape (volumes,).

    Raises:
        ValueError: If the counts of a volume do not reach as far as its window.
    """

    def __init__(self, volumes: Sequence[VolumeStatistics], radius: int | Sequence[int] = 1) -> None:
        radii = [radius] * len(volumes) if isinstance(radius, int) else list(radius)
        for volume, reach in zip(volumes, radii, strict=True):
            check_radius(volume, reach)
        kept = [volume.above[:, 1] > 0 for volume in volumes]
        for mine in kept:
            mine[0] = True  # a volume without any column could not be told from the next one
        lengths = [int(np.count_nonzero(mine)) for mine in kept]
        self.starts = np.cumsum([0, *lengths[:-1]])
        pairs = (_pair(volume.above[mine], volume.inside[mine]) for volume, mine in zip(volumes, kept, strict=True))
        self.counts = _lay_levels(pairs, sum(lengths), np.int64)
        self._columns = np.arange(sum(lengths))
        self.reference = np.array([volume.reference_area.sum(dtype=np.int64) for volume in volumes])
        self.has_reference = np.array([volume.has_reference for volume in volumes])
        index = _number_slices(volumes, max(radii))[np.concatenate(kept)]
        reach_of_slice = np.repeat(radii, lengths)
        self.windows = []
        for distance in range(1, max(radii) + 1):
            left, right = find_pairs(index, distance)
            within = reach_of_slice[left] >= distance
            parts = (_shared_at(volume, distance)[mine] for volume, mine in zip(volumes, kept, strict=True))
            shared = _lay_levels(parts, sum(lengths), np.int32)
            self.windows.append(SlicePairs(left[within], right[within], shared))

    def refine(self, thresholds: Sequence[float], scales: Sequence[float]) -> Iterator[Int64Array]:
        """Give for each threshold the levels of every slice's refined mask at all C scales, shape (C, n).

        Args:
            thresholds: tau, each in (0, 1].
            scales: c, each positive.

        Raises:
            ValueError: If a threshold or scale is not positive.
        """
        for threshold, scale in itertools.product(thresholds, scales):
            check_point(threshold, scale)
        columns = np.asarray(scales)[:, None]
        for threshold in thresholds:
            level, best = threshold_level(threshold), np.zeros(len(self._columns))
            area = self.counts[level] & _LOW
            for pairs in self.windows:
                raise_dice(best, area, pairs.shared[level, pairs.left], pairs.left, pairs.right)
            yield solve_levels(columns * best, threshold)

    def count_pixels(self, levels: Int64Array) -> tuple[Int64Array, Int64Array]:
        """Return the pixels of each volume's masks, and those of them inside the reference mask.

        Args:
            levels: Level from which on a pixel of a slice is in its mask, shape (C, n).

        Returns:
            Two arrays of shape (C, volumes).
        """
        looked_up = self.counts.take(levels * len(self._columns) + self._columns)
        sums = np.add.reduceat(looked_up, self.starts, axis=1)
        return sums & _LOW, sums >> _HALF

    def evaluate(self, thresholds: Sequence[float], scales: Sequence[float]) -> GridResult:
        """Return the Dice sums over the volumes that have a reference; arguments as of `refine`."""
        shape, cases = (len(thresholds), len(scales)), self.has_reference
        dice_sum, intersection, prediction = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, levels in enumerate(self.refine(thresholds, scales)):
            refined, shared = (pixels[:, cases] for pixels in self.count_pixels(levels))
            dice = _dice(shared, refined + self.reference[cases])
            dice_sum[row] = [sum(values) for values in dice.tolist()]
            intersection[row], prediction[row] = shared.sum(axis=1), refined.sum(axis=1)
        return GridResult(
            thresholds=np.array(thresholds, dtype=np.float64),
            scales=np.array(scales, dtype=np.float64),
            cases=int(cases.sum()),
            dice_sum=dice_sum,
            intersection=intersection,
            prediction=prediction,
            reference=int(self.reference[cases].sum()),
        )


def evaluate_grid(
    volumes: Iterable[VolumeStatistics],
    thresholds: Sequence[float],
    scales: Sequence[float],
    radius: int | Sequence[int] = 1,
) -> GridResult:
    """Return the figures of PLR at all pairs of thresholds and scales.

    Args:
        volumes: At least one. An iterator is read as it goes, so that a cohort need not fit into memory.
        thresholds: tau, each in (0, 1].
        scales: c, each positive.
        radius: Window of all volumes, or of each of them.

    Raises:
        ValueError: If there is no volume, or the counts of one do not reach as far as its window.
    """
    radii = itertools.repeat(radius) if isinstance(radius, int) else radius
    results = [
        StackedStatistics(*zip(*group, strict=True)).evaluate(thresholds, scales)
        for group in _group(zip(volumes, radii, strict=not isinstance(radius, int)))
    ]
    if not results:
        raise ValueError("no volumes to evaluate")
    return functools.reduce(operator.add, results)


def solve_levels(continuity_index: Float64Array, threshold: float) -> Int64Array:
    """Return what `pipeline.refinement.levels.effective_levels` returns, several times faster.

    Whether level q passes eq. 6, `fl(fl(q / 255) CI) >= tau`, does not fall with q, and rounding moves the place where
    it begins to hold, x = 255 tau / CI, by a few units in the last place only. So no level under x (1 - 1e-12) passes,
    and the second one from there on does: one look at the first decides.

    Args:
        continuity_index: CI_k >= 0, of any shape.
        threshold: tau > 0.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        levels = np.minimum(np.ceil(_UNDER_255 * threshold / continuity_index), LEVELS).astype(np.int64)
        levels += _PROBABILITY_OF_LEVEL.take(levels) * continuity_index < threshold
    return levels


def _group(volumes: Iterable[tuple[VolumeStatistics, int]]) -> Iterator[list[tuple[VolumeStatistics, int]]]:
    """Give volumes in groups of about `GROUP_SLICES` slices."""
    group: list[tuple[VolumeStatistics, int]] = []
    slices = 0
    for pair in volumes:
        group.append(pair)
        slices += len(pair[0].slice_index)
        if slices >= GROUP_SLICES:
            yield group
            group, slices = [], 0
    if group:
        yield group


def _number_slices(volumes: Sequence[VolumeStatistics], radius: int) -> Int64Array:
    """Number the slices of all volumes in one row, with a gap between volumes that no window spans."""
    numbers, first = [], 0
    for volume in volumes:
        numbers.append(volume.slice_index.astype(np.int64) - int(volume.slice_index[0]) + first)
        first = int(numbers[-1][-1]) + radius + 1
    return np.concatenate(numbers)


def _shared_at(volume: VolumeStatistics, distance: int) -> Int32Array:
    """Return I_kj at one distance j, shape (n, 257); zeros beyond the radius of the counts."""
    return volume.shared[:, distance - 1] if distance <= volume.radius else np.zeros_like(volume.above)


def _pair(above: Int32Array, inside: Int32Array) -> Int64Array:
    """Return `A_k + 2^32 G_k`."""
    return (inside.astype(np.int64) << _HALF) + above


def _lay_levels(parts: Iterable[Int32Array | Int64Array], slices: int, dtype: type[np.signedinteger]) -> np.ndarray:
    """Turn parts of shape (n_i, 257) into (257, sum of n_i), so that the counts of a level lie side by side."""
    laid, start = np.empty((LEVELS + 1, slices), dtype=dtype), 0
    for part in parts:
        laid[:, start : start + len(part)] = part.T
        start += len(part)
    return laid


def _dice(intersection: Int64Array, size: Int64Array) -> Float64Array:
    """Return Dice as `MaskCounts.dice` does: 1 where both masks are empty."""
    return np.divide(2 * intersection, size, out=np.ones(np.shape(size)), where=size > 0)
