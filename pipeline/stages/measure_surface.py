"""The tau x c surface of a cohort on Ray: tasks read the statistics of some volumes and send back sums."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Sequence

import numpy as np
import ray

from pipeline.arrays import Float64Array
from pipeline.config import PixelLabelConfig
from pipeline.pixel_labels import window_radius
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.sweep.grid import GROUP_SLICES, GridResult, evaluate_grid
from pipeline.sweep.points import Surface
from pipeline.sweep.stability import measure_stability
from pipeline.sweep.statistics_table import read_statistics


def measure_cohort(
    run: RunFolder,
    config: PixelLabelConfig,
    volumes: Sequence[VolumeRow],
    thresholds: Sequence[float],
    scales: Sequence[float],
    *,
    stability: bool = True,
) -> Surface:
    """Return all figures of PLR at all pairs of thresholds and scales, from the statistics of a cohort of any size.

    A task holds the statistics of about `GROUP_SLICES` slices, the driver only sums. Those are added up in the order of
    the volumes, so that they do not hang on the number of workers.

    Args:
        run: Run folder with `refinement_statistics/`.
        config: The window.
        volumes: At least one volume with statistics. The Dice is that of the volumes with a reference mask.
        thresholds: tau, each in (0, 1].
        scales: c, each positive.
        stability: Whether the reference-free figure is measured, too; NaN if not. It takes longer than the rest.
    """
    measure = ray.remote(_measure_group)
    groups = [measure.remote(run, config, group, thresholds, scales, stability) for group in _group(volumes)]
    results, totals = zip(*ray.get(groups), strict=True)
    result = functools.reduce(operator.add, results)
    figures = {
        "dice_per_case": result.dice_per_case,
        "dice_global": result.dice_global,
        "stability": np.sum(totals, axis=0) / len(volumes),
    }
    return Surface(tuple(thresholds), tuple(scales), figures)


def _measure_group(
    run: RunFolder,
    config: PixelLabelConfig,
    volumes: Sequence[VolumeRow],
    thresholds: Sequence[float],
    scales: Sequence[float],
    stability: bool,
) -> tuple[GridResult, Float64Array]:
    """Return the Dice sums of some volumes, and the sum of their stabilities, shape (T, C)."""
    radii = [window_radius(config, volume.spacing_mm[0]) for volume in volumes]
    statistics = [read_statistics(run, volume) for volume in volumes]
    result = evaluate_grid(statistics, thresholds, scales, radii)
    if not stability:
        return result, np.full(result.dice_sum.shape, np.nan)
    return result, len(volumes) * measure_stability(statistics, thresholds, scales, radii)


def _group(volumes: Sequence[VolumeRow]) -> Iterator[list[VolumeRow]]:
    """Give volumes in groups of about `GROUP_SLICES` slices."""
    group: list[VolumeRow] = []
    for volume in volumes:
        group.append(volume)
        if sum(member.slice_count for member in group) >= GROUP_SLICES:
            yield group
            group = []
    if group:
        yield group
