"""A sweep of tau and c with Ray Tune: trials read the statistics from the object store, and no pixel.

As a point costs milliseconds, the whole surface is computed beside the trials, exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.stages.tuning import name_sweep, run_sweep
from pipeline.sweep.points import PAPER, SCALE, THRESHOLD, Evaluated, Space, measure_surface
from pipeline.sweep.statistics import VolumeStatistics

_RESOURCES = {"cpu": 0.5}
"""A trial mostly waits for Ray Tune."""


def sweep_refinement(
    run: RunFolder,
    config: PipelineConfig,
    space: Space,
    volumes: Sequence[VolumeStatistics],
    radii: Sequence[int],
) -> list[Evaluated]:
    """Evaluate the points of a space in Ray Tune trials, those left over where the sweep was begun before.

    Args:
        run: Run folder; the state of the sweep goes to `tune/label_refinement/`.
        config: Search, samples, objective and seed.
        space: Ranges of `pixel_labels.threshold` and `pixel_labels.scale`.
        volumes: Statistics of the volumes to measure on.
        radii: Radius of each volume's window.

    Returns:
        One entry per trial, with all figures of `pipeline.sweep.points.FIGURES`.
    """
    from ray import tune

    data = list(zip(map(digest, volumes), radii, strict=True))
    name = name_sweep(config, space, data)
    trial = tune.with_parameters(evaluate_point, volumes=list(volumes), radii=list(radii))
    return run_sweep(run, name, config, space, trial, resources=_RESOURCES, origin=PAPER)


def digest(volume: VolumeStatistics) -> str:
    """Return a text that is equal for equal statistics of the same volume."""
    counts = (volume.slice_index, volume.above, volume.shared, volume.inside, volume.reference_area)
    content = hashlib.sha256(volume.volume_id.encode())
    for values in counts:
        content.update(values.tobytes())
    return content.hexdigest()


def evaluate_point(settings: dict[str, Any], volumes: Sequence[VolumeStatistics], radii: Sequence[int]) -> None:
    """Report the figures of one point: a Ray Tune trial."""
    from ray import tune

    surface = measure_surface(volumes, [settings[THRESHOLD]], [settings[SCALE]], radii)
    (point,) = surface.points()
    tune.report(dict(point.figures))
