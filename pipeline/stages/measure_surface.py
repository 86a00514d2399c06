"""The tau x c surface of a cohort on Ray: tasks read the statistics of some volumes and send back sums."""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Iterator, Sequence

import ray

from pipeline.config import PixelLabelConfig
from pipeline.pixel_labels import window_radius
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow, slab_name
from pipeline.sweep.grid import GROUP_SLICES
from pipeline.sweep.points import SCALE, THRESHOLD, Evaluated, Settings, Surface, SurfaceSums, sum_surface
from pipeline.sweep.statistics_table import TABLE, read_statistics

_ANYWHERE = {"scheduling_strategy": "DEFAULT"}
"""Tasks that a Ray Tune trial starts need CPUs beside those that it reserves."""


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

    A task holds the statistics of about `GROUP_SLICES` slices, the caller only sums. Those are added up in the order of
    the volumes, so that they do not hang on the number of workers.

    Args:
        run: Run folder with `refinement_statistics/`.
        config: The window.
        volumes: At least one volume with statistics. The Dice is that of the volumes with a reference mask.
        thresholds: tau, each in (0, 1].
        scales: c, each positive.
        stability: Whether the reference-free figure is measured, too; NaN if not. It takes longer than the rest.
    """
    measure = ray.remote(_measure_group).options(**_ANYWHERE)
    groups = [measure.remote(run, config, group, thresholds, scales, stability) for group in _group(volumes)]
    return functools.reduce(operator.add, ray.get(groups)).divide()


def measure_point(
    run: RunFolder, config: PixelLabelConfig, volumes: Sequence[VolumeRow], surface: Surface, settings: Settings
) -> Evaluated:
    """Return a point of tau and c: that of the surface, or one that is measured as the surface was.

    Args:
        run: Run folder with `refinement_statistics/`.
        config: The window.
        volumes: The volumes of the surface.
        surface: What is known already.
        settings: Threshold and scale.
    """
    known = surface.find(settings)
    if known is None:
        (known,) = measure_cohort(run, config, volumes, [settings[THRESHOLD]], [settings[SCALE]]).points()
    return known


def identify_statistics(run: RunFolder, volumes: Sequence[VolumeRow]) -> list[str]:
    """Return texts that are equal for equal statistics of the same volumes."""
    identify = ray.remote(_identify_group)
    texts: list[str] = ray.get([identify.remote(run, group) for group in _group(volumes)])
    return texts


def _measure_group(
    run: RunFolder,
    config: PixelLabelConfig,
    volumes: Sequence[VolumeRow],
    thresholds: Sequence[float],
    scales: Sequence[float],
    stability: bool,
) -> SurfaceSums:
    """Return the sums over some volumes."""
    radii = [window_radius(config, volume.spacing_mm[0]) for volume in volumes]
    statistics = [read_statistics(run, volume) for volume in volumes]
    return sum_surface(statistics, thresholds, scales, radii, stability=stability)


def _identify_group(run: RunFolder, volumes: Sequence[VolumeRow]) -> str:
    """Return a hash of the statistics of some volumes."""
    content = hashlib.sha256()
    for volume in volumes:
        content.update(f"{volume.volume_id} {volume.has_reference}".encode())
        for slab in volume.slabs:
            content.update(run.read_bytes(TABLE, volume.volume_id, slab_name(slab)))
    return content.hexdigest()


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
