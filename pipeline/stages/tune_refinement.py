"""A sweep of tau and c with Ray Tune: trials look the surface up, or have their point measured, and read no pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.config import PipelineConfig, PixelLabelConfig
from pipeline.pixel_labels import window_radius
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.stages.measure_surface import identify_statistics, measure_point
from pipeline.stages.tuning import WAITING, name_sweep, run_sweep
from pipeline.sweep.points import PAPER, Evaluated, Space, Surface

CONCURRENT = 1
"""A point that is measured has the whole cluster; Ray Tune keeps one process for the next trial, and no more."""


def sweep_refinement(
    run: RunFolder, config: PipelineConfig, space: Space, volumes: Sequence[VolumeRow], surface: Surface
) -> list[Evaluated]:
    """Evaluate the points of a space in Ray Tune trials, those left over where the sweep was begun before.

    Args:
        run: Run folder; the state of the sweep goes to `tune/label_refinement/`.
        config: The window, and search, samples, objective and seed.
        space: Ranges of `pixel_labels.threshold` and `pixel_labels.scale`.
        volumes: Volumes to measure on.
        surface: Points that are known already.

    Returns:
        One entry per trial, with all figures of `pipeline.sweep.points.FIGURES`.
    """
    from ray import tune

    radii = [window_radius(config.pixel_labels, volume.spacing_mm[0]) for volume in volumes]
    return run_sweep(
        run,
        name_sweep(config, space, (identify_statistics(run, volumes), radii)),
        config,
        space,
        tune.with_parameters(
            evaluate_point, run=run, config=config.pixel_labels, volumes=list(volumes), surface=surface
        ),
        resources=WAITING,
        origin=PAPER,
        concurrent=CONCURRENT,
    )


def evaluate_point(
    settings: dict[str, Any], run: RunFolder, config: PixelLabelConfig, volumes: Sequence[VolumeRow], surface: Surface
) -> None:
    """Report the figures of one point: a Ray Tune trial."""
    from ray import tune

    tune.report(dict(measure_point(run, config, volumes, surface, settings).figures))
