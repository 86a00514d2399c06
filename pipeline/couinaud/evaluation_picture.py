"""A picture of constructors: one slice of a few volumes, the annotation beside what each method made of it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, Float32Array, UInt8Array
from pipeline.couinaud.agreement import measure_areas
from pipeline.geometry import liver_box
from pipeline.report.overlays import DISPLAY_WIDTH_HU, tint_segments
from pipeline.segment_names import ROMAN, segment_rgb
from pipeline.volume import Volume

_PANEL_INCHES = 2.4
_DOTS_PER_INCH = 110


@dataclass(frozen=True)
class CutVolume:
    """One axial slice of a volume, cut to the liver's box.

    Args:
        volume_id: The volume.
        gray: Liver window, 0..1, shape (y, x).
        maps: Name of each map to its labels, shape (y, x).
        ratio: Height of a pixel by its width.
    """

    volume_id: str
    gray: Float32Array
    maps: dict[str, UInt8Array]
    ratio: float

    def to_bytes(self) -> bytes:
        """Return the slice as bytes that travel in one column."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {f"map_{name}": labels for name, labels in self.maps.items()}
        arrays |= {"volume_id": self.volume_id, "gray": self.gray, "ratio": self.ratio}
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> CutVolume:
        """Return the slice that `to_bytes` packed."""
        with np.load(io.BytesIO(data), allow_pickle=False) as values:
            maps = {name.removeprefix("map_"): values[name] for name in values.files if name.startswith("map_")}
            return cls(str(values["volume_id"]), values["gray"], maps, float(values["ratio"]))


def cut_volume(volume: Volume, maps: Mapping[str, UInt8Array]) -> CutVolume:
    """Cut the slice on which the first map shows most: of the slices with most segments the one with most liver.

    Args:
        volume: Gives gray values and spacing.
        maps: Name to labels 1..8 in the liver, shape of the volume; at least one.
    """
    box, spacing_mm = liver_box(volume.liver_mask), volume.geometry.spacing_mm
    areas = measure_areas(next(iter(maps.values()))[box], spacing_mm)
    segments = np.count_nonzero(areas, axis=1)
    best = box[0].start + int(np.argmax(np.where(segments == segments.max(), areas.sum(axis=1), -1)))
    place = (best, *box[1:])
    median = float(np.median(volume.hu[volume.liver_mask]))
    gray = np.clip((volume.hu[place] - median) / DISPLAY_WIDTH_HU + 0.5, 0, 1).astype(np.float32)
    cut = {name: labels[place] for name, labels in maps.items()}
    return CutVolume(volume.volume_id, gray, cut, spacing_mm[1] / spacing_mm[2])


def draw_volumes(volumes: Sequence[CutVolume], columns: Sequence[str]) -> bytes:
    """Draw one row per volume, the CT first and then one panel per map; return a PNG.

    Slices are shown as radiologists look at them: from the feet, the patient's right on the left, front on top.

    Args:
        volumes: At least one.
        columns: Names of the maps in order; a panel stays empty where a volume has no such map.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    size = (_PANEL_INCHES * (len(columns) + 1), _PANEL_INCHES * len(volumes) + 0.5)
    figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, facecolor="black", layout="constrained")
    grid = figure.subplots(len(volumes), len(columns) + 1, squeeze=False)
    for row, volume in zip(grid, volumes, strict=True):
        for axes, name in zip(row, (volume.volume_id, *columns), strict=True):
            axes.axis("off")
            axes.set_title(name, color="white", size=8)
            labels = volume.maps.get(name, np.zeros_like(volume.gray, dtype=np.uint8))
            if name == volume.volume_id or name in volume.maps:
                axes.imshow(tint_segments(volume.gray, labels, 0.6), aspect=volume.ratio, interpolation="nearest")
    patches = [
        Patch(color=tuple(part / 255 for part in segment_rgb(segment)), label=ROMAN[segment - 1])
        for segment in range(1, SEGMENT_COUNT + 1)
    ]
    legend = {"loc": "outside lower center", "facecolor": "black", "labelcolor": "white", "fontsize": 8}
    figure.legend(handles=patches, ncols=SEGMENT_COUNT, **legend)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, pil_kwargs={"optimize": True})
    return buffer.getvalue()
