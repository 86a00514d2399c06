"""Pictures of one slice: the liver CT, its Couinaud segments, and masks drawn over it.

Slices are shown as radiologists look at them: from the feet, the patient's right on the left, front on top. Masks of
people and of networks differ in color and in line, so that no meaning hangs on color alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray, Float32Array, UInt8Array
from pipeline.config import GridConfig
from pipeline.intensity import gray_to_hu
from pipeline.segment_names import ROMAN, segment_rgb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REFERENCE_COLOR = "#FFC20A"
PREDICTION_COLOR = "#35D6FF"

DISPLAY_WIDTH_HU = 200.0
"""Width of the display window, centered on the liver's median: the usual liver window."""

_PANEL_INCHES = (3.0, 2.7)
_TITLE_INCHES = 0.3
_DOTS_PER_INCH = 140
_MARGIN = 0.09
"""Free space around the liver, as a share of its box."""


@dataclass(frozen=True)
class Panel:
    """One view of the slice.

    Args:
        title: A few words above it.
        segments: Show the Couinaud segments.
        filled: Mask shown as a tinted area, shape (H, W), or None.
        dashed: Mask shown by a dashed outline, or None.
        solid: Mask shown by a solid outline, or None.
    """

    title: str
    segments: bool = False
    filled: BoolArray | None = None
    dashed: BoolArray | None = None
    solid: BoolArray | None = None


@dataclass(frozen=True)
class SlicePicture:
    """What all panels of a picture share.

    Args:
        image: Gray values of the slice, zero outside the liver, shape (H, W).
        couinaud_map: 0 outside the liver, segments 1..8, shape (H, W).
        named: `bool[8]`, the segments that the volume's label names; they are outlined.
        liver_median_hu: Center of the display window.
    """

    image: UInt8Array
    couinaud_map: UInt8Array
    named: BoolArray
    liver_median_hu: float


def display_gray(picture: SlicePicture, grid: GridConfig) -> Float32Array:
    """Return the slice in the display window, 0 (black) to 1, black outside the liver, shape (H, W)."""
    hu = gray_to_hu(picture.image, grid.window_low_hu, grid.window_high_hu)
    gray = (hu - picture.liver_median_hu) / DISPLAY_WIDTH_HU + 0.5
    return np.where(picture.couinaud_map > 0, np.clip(gray, 0, 1), 0).astype(np.float32)


def tint_segments(gray: Float32Array, couinaud_map: UInt8Array, strength: float = 0.5) -> Float32Array:
    """Blend the segments' colors into a gray slice; returns (H, W, 3) in 0..1."""
    colors = np.zeros((SEGMENT_COUNT + 1, 3), np.float32)
    colors[1:] = np.array([segment_rgb(segment) for segment in range(1, SEGMENT_COUNT + 1)]) / 255
    weight = strength * (couinaud_map > 0)[..., None].astype(np.float32)
    return (gray[..., None] * (1 - weight) + colors[couinaud_map] * weight).astype(np.float32)


def draw_panels(picture: SlicePicture, panels: Sequence[Panel], grid: GridConfig) -> bytes:
    """Draw the panels side by side, cropped to the liver.

    Returns:
        A PNG of some 30 to 80 kB per panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    gray = display_gray(picture, grid)
    height = _PANEL_INCHES[1] + _TITLE_INCHES
    figure = Figure(figsize=(_PANEL_INCHES[0] * len(panels), height), dpi=_DOTS_PER_INCH, facecolor="black")
    box = _view(picture.couinaud_map > 0)
    for number, panel in enumerate(panels):
        axes = figure.add_axes((number / len(panels), 0, 1 / len(panels), _PANEL_INCHES[1] / height))
        _draw_panel(axes, picture, panel, gray)
        _frame(axes, box, grid.spacing_mm, panel.title)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"optimize": True})
    return buffer.getvalue()


def _draw_panel(axes: Axes, picture: SlicePicture, panel: Panel, gray: Float32Array) -> None:
    """Draw image and masks of one panel."""
    shown = tint_segments(gray, picture.couinaud_map) if panel.segments else gray
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest" if panel.segments else "bicubic")
    if panel.segments:
        _name_segments(axes, picture)
    if panel.filled is not None and panel.filled.any():
        area = np.ma.masked_equal(panel.filled.astype(np.float32), 0)
        axes.imshow(area, cmap=_single_color(PREDICTION_COLOR), alpha=0.35, interpolation="nearest")
        _outline(axes, panel.filled, PREDICTION_COLOR, "solid", 0.9)
    if panel.solid is not None:
        _outline(axes, panel.solid, REFERENCE_COLOR, "solid", 1.4)
    if panel.dashed is not None:
        _outline(axes, panel.dashed, PREDICTION_COLOR, "dashed", 1.4)


def _name_segments(axes: Axes, picture: SlicePicture) -> None:
    """Write each segment's number in its middle, and outline the named ones."""
    from matplotlib.patheffects import withStroke
    from scipy.ndimage import distance_transform_edt

    for segment, name in enumerate(ROMAN, start=1):
        mask = picture.couinaud_map == segment
        if not mask.any():
            continue
        row, column = np.unravel_index(distance_transform_edt(np.pad(mask, 1)).argmax(), np.add(mask.shape, 2))
        text = axes.text(column - 1, row - 1, name, color="white", size=9, ha="center", va="center", weight="bold")
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])
        if picture.named[segment - 1]:
            _outline(axes, mask, "white", "solid", 1.4)


def _outline(axes: Axes, mask: BoolArray, color: str, style: str, width: float) -> None:
    """Draw the edge of a mask, cutting the corners of its pixels."""
    if mask.any():
        padded = np.pad(mask, 1).astype(np.float32)
        rows, columns = (np.arange(-1, size + 1) for size in mask.shape)
        axes.contour(columns, rows, padded, levels=[0.5], colors=color, linestyles=style, linewidths=width)


def _frame(axes: Axes, box: tuple[float, float, float, float], spacing_mm: float, title: str) -> None:
    """Cut the view to the liver; write title, directions and a scale."""
    left, right, top, bottom = box
    axes.set(xlim=(left, right), ylim=(bottom, top), title=title)
    axes.title.set(color="white", size=9)
    axes.axis("off")
    small: dict[str, Any] = {"color": "#B8B8B8", "size": 8, "transform": axes.transAxes}
    axes.text(0.02, 0.5, "R", va="center", **small)
    axes.text(0.5, 0.98, "A", ha="center", va="top", **small)
    length = 50 / spacing_mm
    end, height = right - 0.04 * (right - left), bottom - 0.05 * (bottom - top)
    axes.plot([end - length, end], [height, height], color="#B8B8B8", linewidth=1.5, solid_capstyle="butt")
    axes.text(
        end - length / 2, height - 0.02 * (bottom - top), "5 cm", color="#B8B8B8", size=7, ha="center", va="bottom"
    )


def _view(liver: BoolArray) -> tuple[float, float, float, float]:
    """Return left, right, top and bottom of the liver's box with a margin, in the panel's proportions."""
    rows, columns = np.flatnonzero(liver.any(axis=1)), np.flatnonzero(liver.any(axis=0))
    height, width = ((index[-1] - index[0] + 1) * (1 + 2 * _MARGIN) for index in (rows, columns))
    ratio = _PANEL_INCHES[0] / _PANEL_INCHES[1]
    width, height = max(width, height * ratio), max(height, width / ratio)
    x, y = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2


def _single_color(color: str) -> Any:
    """Return a color map of one color."""
    from matplotlib.colors import ListedColormap

    return ListedColormap([color])
