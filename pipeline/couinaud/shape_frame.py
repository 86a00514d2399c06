"""The frame in which livers are compared: patient axes, origin and scale taken from the liver itself.

A frame spans the cube [-1, 1]^3; its axes are those of the patient (x left, y back, z head), whatever the order,
direction or obliqueness of the image's index axes. A grid of side n has its samples at the centers of n equal cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import BoolArray, Float32Array, Float64Array
from pipeline.geometry import liver_box
from pipeline.volume import Geometry

_COARSE_MM = 2.0
"""Voxels are skipped down to about this spacing when a frame is fitted."""
_TAIL = 0.002
"""Share of the liver beyond each side of its box, so that stray voxels do not move the frame."""


@dataclass(frozen=True)
class ShapeFrame:
    """A box in patient axes.

    Args:
        center_mm: Physical center as x, y, z (LPS).
        half_mm: Half of its extents along x, y, z.
    """

    center_mm: tuple[float, float, float]
    half_mm: tuple[float, float, float]

    def points(self, side: int) -> Float64Array:
        """Return the physical x, y, z of a grid's samples in mm, shape (side, side, side, 3), the grid as z, y, x."""
        ticks = (np.arange(side) + 0.5) * (2 / side) - 1
        z, y, x = np.meshgrid(ticks, ticks, ticks, indexing="ij")
        return np.stack([x, y, z], axis=-1) * self.half_mm + self.center_mm


def index_to_mm(geometry: Geometry) -> Float64Array:
    """Return the matrix, shape (3, 3), that takes an x, y, z index step to millimeters in patient axes."""
    return np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing_mm[::-1])


def fit_frame(liver_mask: BoolArray, geometry: Geometry) -> ShapeFrame:
    """Return the box of a liver in patient axes.

    Args:
        liver_mask: Shape `geometry.shape`, at least one voxel.
        geometry: Where the voxels lie.

    Returns:
        The box that leaves out `_TAIL` of the liver at each side; voxels count with their extent.
    """
    box = liver_box(liver_mask)
    steps = [max(1, int(_COARSE_MM / spacing)) for spacing in geometry.spacing_mm]
    inside = liver_mask[tuple(slice(side.start, side.stop, step) for side, step in zip(box, steps, strict=True))]
    index = np.argwhere(inside) * steps + [side.start for side in box]
    matrix = index_to_mm(geometry)
    points = index[:, ::-1] @ matrix.T + geometry.origin_mm
    low, high = np.quantile(points, [_TAIL, 1 - _TAIL], axis=0)
    margin = np.abs(matrix).max(axis=1) / 2
    center, half = (low + high) / 2, (high - low) / 2 + margin
    return ShapeFrame(_triple(center), _triple(half))


def to_index(points_mm: Float64Array, geometry: Geometry) -> Float64Array:
    """Return physical positions as fractional z, y, x indices, shape (3, ...).

    Args:
        points_mm: Shape (..., 3), x, y, z.
        geometry: Of the image.
    """
    inverse = np.linalg.inv(index_to_mm(geometry))
    return np.moveaxis((points_mm - geometry.origin_mm) @ inverse.T, -1, 0)[::-1]


def sample_liver(liver_mask: BoolArray, geometry: Geometry, frame: ShapeFrame, side: int) -> Float32Array:
    """Return the liver on a grid of the frame, interpolated linearly: float32 in [0, 1], shape (side, side, side)."""
    from scipy.ndimage import map_coordinates

    index = to_index(frame.points(side), geometry)
    sampled: Float32Array = map_coordinates(
        liver_mask.view(np.uint8), index, output=np.float32, order=1, mode="grid-constant", prefilter=False
    )
    return sampled


def _triple(values: NDArray[Any]) -> tuple[float, float, float]:
    """Return three numbers as a tuple."""
    return float(values[0]), float(values[1]), float(values[2])
