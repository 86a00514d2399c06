"""The tau x c surface as a picture, drawn without a display."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.sweep.points import SCALE, THRESHOLD, Evaluated, Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLES = {
    "dice_per_case": "Dice per case",
    "dice_global": "Dice global",
    "stability": "Stability (no reference)",
}
_SIZE_INCHES = (5.2, 4.6)
_DPI = 110


def draw_surface(surface: Surface, marks: Mapping[str, Evaluated]) -> bytes:
    """Return a PNG with one panel per figure that has values.

    Args:
        surface: Figures by tau and c.
        marks: Name to a point that is marked; one outside the surface is drawn at its edge.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in _TITLES if name in surface.figures and np.isfinite(surface.figures[name]).any()]
    width, height = _SIZE_INCHES
    figure = Figure(figsize=(width * len(names), height), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        _draw_panel(axes, surface, name)
        _mark(axes, surface, marks)
    figure.axes[0].legend(loc="lower right", fontsize="small")
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _draw_panel(axes: Axes, surface: Surface, name: str) -> None:
    """Draw one figure as colored cells, a cell per point whatever the distances between the values."""
    image = axes.imshow(surface.figures[name], origin="lower", aspect="auto", cmap="viridis")
    axes.figure.colorbar(image, ax=axes)
    axes.set_title(_TITLES[name])
    axes.set_xlabel("scale c")
    axes.set_ylabel("threshold \N{GREEK SMALL LETTER TAU}")
    axes.set_xticks(range(len(surface.scales)), [f"{value:g}" for value in surface.scales])
    axes.set_yticks(range(len(surface.thresholds)), [f"{value:.2f}" for value in surface.thresholds])


def _mark(axes: Axes, surface: Surface, marks: Mapping[str, Evaluated]) -> None:
    """Mark points; one between the values of the surface lies between the cells."""
    for (name, point), symbol in zip(marks.items(), "*o^s", strict=False):
        x = _position(point.settings[SCALE], surface.scales)
        y = _position(point.settings[THRESHOLD], surface.thresholds)
        axes.plot(x, y, symbol, markersize=13, color="white", markeredgecolor="black", label=name, linestyle="none")


def _position(value: float, values: Sequence[float]) -> float:
    """Return where a value lies among ascending values, as a fractional index."""
    return float(np.interp(value, values, np.arange(len(values))))
