"""Sweeps as plain data: ranges of settings, evaluated points, the tau x c surface, and choosing among points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.arrays import Float64Array
from pipeline.sweep.grid import GridResult, evaluate_grid
from pipeline.sweep.stability import sum_stability
from pipeline.sweep.statistics import VolumeStatistics

if TYPE_CHECKING:
    import pyarrow as pa

Settings = Mapping[str, Any]
"""Dotted settings of `pipeline.config.PipelineConfig` and their values, such as `{"pixel_labels.scale": 2.0}`."""

FIGURES = ("dice_per_case", "dice_global", "stability")
"""What is measured at a point of a sweep; a Dice is NaN where no volume has a reference mask."""

EPOCHS, SET_ASIDE = "epochs", "set_aside"
"""Figures that say how long a trial has trained, and how many volumes it had to go without."""

THRESHOLD, SCALE = "pixel_labels.threshold", "pixel_labels.scale"

AS_GIVEN = ("pixel_labels.enabled", "pixel_labels.method", "pixel_labels.radius", "pixel_labels.radius_mm")
"""Settings that a sweep of tau and c takes from its own command: that it is of the continuity index, and the window, of
which the statistics say how far it may reach."""

PAPER: Settings = {THRESHOLD: 0.5, SCALE: 5.0}
"""The paper's tau and c."""


@dataclass(frozen=True)
class Choice:
    """One of some values; a grid takes them all."""

    values: tuple[Any, ...]

    @property
    def grid(self) -> tuple[Any, ...]:
        """The values of a grid."""
        return self.values


@dataclass(frozen=True)
class Uniform:
    """A number in [low, high]; a grid takes the values of `grid`, or leaves the setting alone if there are none."""

    low: float
    high: float
    grid: tuple[float, ...] = ()


@dataclass(frozen=True)
class LogUniform:
    """A number in [low, high], low > 0, each factor as likely as any other; a grid takes the values of `grid`."""

    low: float
    high: float
    grid: tuple[float, ...] = ()


Range = Choice | Uniform | LogUniform
Space = Mapping[str, Range]
"""Dotted settings and the ranges that a sweep draws them from."""


@dataclass(frozen=True)
class Evaluated:
    """One point of a sweep.

    Args:
        settings: Dotted settings and their values.
        figures: What was measured there, by name.
    """

    settings: Settings
    figures: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return settings and figures as JSON values; NaN becomes null."""
        return {
            **self.settings,
            **{name: value if math.isfinite(value) else None for name, value in self.figures.items()},
        }


@dataclass(frozen=True)
class Surface:
    """Figures at all pairs of thresholds and scales.

    Args:
        thresholds: tau, shape (T,).
        scales: c, shape (C,).
        figures: Name to values, shape (T, C) each.
    """

    thresholds: Sequence[float]
    scales: Sequence[float]
    figures: Mapping[str, Float64Array]

    def points(self) -> Iterator[Evaluated]:
        """Give the points, c running fastest."""
        for (row, threshold), (column, scale) in itertools.product(enumerate(self.thresholds), enumerate(self.scales)):
            figures = {name: float(values[row, column]) for name, values in self.figures.items()}
            yield Evaluated({THRESHOLD: threshold, SCALE: scale}, figures)

    def find(self, settings: Settings) -> Evaluated | None:
        """Return the point of a threshold and scale, None if it is not among those of the surface."""
        wanted = (settings[THRESHOLD], settings[SCALE])
        return next((point for point in self.points() if tuple(point.settings.values()) == wanted), None)

    def to_table(self) -> pa.Table:
        """Return the surface as a table: `threshold`, `scale` and one column per figure, a row per point."""
        import pyarrow as pa

        threshold, scale = np.meshgrid(self.thresholds, self.scales, indexing="ij")
        columns = {"threshold": threshold, "scale": scale, **self.figures}
        return pa.table({name: np.asarray(values, np.float64).ravel() for name, values in columns.items()})


@dataclass(frozen=True)
class SurfaceSums:
    """What volumes contribute to a surface; sums of disjoint volumes add up.

    Args:
        dice: Dice sums of the volumes with a reference mask.
        stability: Sum of the volumes' stabilities, shape (T, C); NaN if it is not measured.
        volumes: How many there are.
    """

    dice: GridResult
    stability: Float64Array
    volumes: int

    def __add__(self, other: SurfaceSums) -> SurfaceSums:
        """Return the sums over both sets of volumes."""
        return SurfaceSums(self.dice + other.dice, self.stability + other.stability, self.volumes + other.volumes)

    def divide(self) -> Surface:
        """Return the surface of all volumes."""
        figures = (self.dice.dice_per_case, self.dice.dice_global, self.stability / self.volumes)
        thresholds, scales = (tuple(values.tolist()) for values in (self.dice.thresholds, self.dice.scales))
        return Surface(thresholds, scales, dict(zip(FIGURES, figures, strict=True)))


def sum_surface(
    volumes: Sequence[VolumeStatistics],
    thresholds: Sequence[float],
    scales: Sequence[float],
    radii: Sequence[int],
    *,
    stability: bool = True,
) -> SurfaceSums:
    """Sum up all figures of PLR at all pairs of thresholds and scales, exactly, from statistics alone.

    Args:
        volumes: Statistics of at least one volume.
        thresholds: tau, each in (0, 1].
        scales: c, each positive.
        radii: Radius of each volume's window.
        stability: Whether the reference-free figure is measured, too. It takes longer than the rest.
    """
    dice = evaluate_grid(volumes, thresholds, scales, radii)
    unknown = np.full(dice.dice_sum.shape, np.nan)
    total = sum_stability(volumes, thresholds, scales, radii) if stability else unknown
    return SurfaceSums(dice, total, len(volumes))


def grid_points(space: Space) -> list[dict[str, Any]]:
    """Return all combinations of a space's grid values, the last setting running fastest.

    Settings without grid values are left out: they stay as they are.
    """
    grids = {name: values.grid for name, values in space.items() if values.grid}
    return [dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())]


def pick_best(points: Sequence[Evaluated], objective: str, origin: Settings | None = None) -> Evaluated:
    """Return the point with the largest objective.

    Args:
        points: At least one point.
        objective: Name of a figure. NaN never wins.
        origin: Of equals, the one nearest to these values (all positive) counts, in ratios: half and double are
            equally far. Of equals at the same distance, or without an origin, the first counts.

    Raises:
        ValueError: If no point has a value.

    Example:
        >>> near, far = (Evaluated({"c": c}, {"dice": 0.7}) for c in (4.0, 1.0))
        >>> pick_best([far, near], "dice", {"c": 5.0}).settings
        {'c': 4.0}
    """
    valued = [point for point in points if not math.isnan(point.figures[objective])]
    if not valued:
        raise ValueError(f"none of {len(points)} points has a {objective}")
    best = max(point.figures[objective] for point in valued)
    equals = [point for point in valued if point.figures[objective] == best]
    return min(equals, key=lambda point: _distance(point.settings, origin or {}))


def format_points(points: Mapping[str, Evaluated]) -> str:
    """Return named points of PLR as lines of a table; a figure that is not known is a dash."""
    lines = [f"{'':<14}{'tau':>7}{'c':>7}{'Dice per case':>15}{'Dice global':>13}{'stability':>11}"]
    for name, point in points.items():
        per_case, overall, stability = (
            "-" if math.isnan(point.figures[figure]) else f"{point.figures[figure]:.4f}" for figure in FIGURES
        )
        threshold, scale = point.settings[THRESHOLD], point.settings[SCALE]
        lines.append(f"{name:<14}{threshold:>7.3g}{scale:>7.3g}{per_case:>15}{overall:>13}{stability:>11}")
    return "\n".join(lines)


def _distance(settings: Settings, origin: Settings) -> float:
    """Return how far settings are from an origin, as a sum of log ratios."""
    return sum(abs(math.log(settings[name] / value)) for name, value in origin.items())
