"""Solids in millimeters, and how they fall on voxels. Every vector and every tuple of axes is z, y, x.

A solid knows one thing: `depth`, roughly the distance to its surface, positive inside. Unions and cuts are maxima and
minima of depths, and partial volume is a ramp over the depth, so that a patient has the same anatomy on every grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
Vector = tuple[float, float, float]
Points = tuple[FloatArray, FloatArray, FloatArray]
"""Coordinates in mm that broadcast against each other: the three axes of a grid, or three lists of equal length."""


class Solid(Protocol):
    """Anything with an inside."""

    def depth(self, points: Points) -> FloatArray:
        """Return the approximate distance to the surface in mm, positive inside, of the broadcast shape."""

    def box(self, margin_mm: float) -> tuple[Vector, Vector]:
        """Return the low and high corner of a box that holds the solid and a margin around it."""


@dataclass(frozen=True)
class Ellipsoid:
    """The points with `sum |(p - center) / radii| ** power <= 1`.

    Args:
        center: Center in mm.
        radii: Half axes in mm; an infinite one makes a cylinder.
        power: 2 for an ellipsoid, more for a boxier body.
    """

    center: Vector
    radii: Vector
    power: float = 2.0

    def depth(self, points: Points) -> FloatArray:
        """Return `(1 - q) * r` with the normalized radius q and the geometric mean r of the finite half axes."""
        finite = [axis for axis in range(3) if math.isfinite(self.radii[axis])]
        terms = [np.abs((points[axis] - self.center[axis]) / self.radii[axis]) ** self.power for axis in finite]
        scale = math.prod(self.radii[axis] for axis in finite) ** (1.0 / len(finite))
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return (1.0 - total ** (1.0 / self.power)) * scale

    def box(self, margin_mm: float) -> tuple[Vector, Vector]:
        """Return the low and high corner, infinite along a cylinder."""
        reach = np.array(self.radii) + margin_mm
        return as_vector(self.center - reach), as_vector(self.center + reach)


@dataclass(frozen=True)
class Tube:
    """A tapered rod with round ends.

    Args:
        start: One end in mm.
        end: Other end in mm, not equal to `start`.
        start_radius: Radius in mm at the start.
        end_radius: Radius in mm at the end.
    """

    start: Vector
    end: Vector
    start_radius: float
    end_radius: float

    def depth(self, points: Points) -> FloatArray:
        """Return the local radius minus the distance to the axis."""
        dz, dy, dx = (end - start for start, end in zip(self.start, self.end, strict=True))
        z, y, x = (axis - start for axis, start in zip(points, self.start, strict=True))
        share = np.clip((z * dz + y * dy + x * dx) / (dz * dz + dy * dy + dx * dx), 0.0, 1.0)
        distance = np.sqrt((z - share * dz) ** 2 + (y - share * dy) ** 2 + (x - share * dx) ** 2)
        depth: FloatArray = self.start_radius + share * (self.end_radius - self.start_radius) - distance
        return depth

    def box(self, margin_mm: float) -> tuple[Vector, Vector]:
        """Return the low and high corner of the tube and a margin around it."""
        reach = max(self.start_radius, self.end_radius) + margin_mm
        low, high = np.minimum(self.start, self.end) - reach, np.maximum(self.start, self.end) + reach
        return as_vector(low), as_vector(high)


@dataclass(frozen=True)
class Plane:
    """An oriented plane `normal . p = offset_mm`; `normal` has length 1."""

    normal: Vector
    offset_mm: float

    def height(self, points: Points) -> FloatArray:
        """Return the signed distance in mm, positive on the side of the normal."""
        z, y, x = (axis * part for axis, part in zip(points, self.normal, strict=True))
        return z + y + x - self.offset_mm


@dataclass(frozen=True)
class RandomField:
    """Correlated noise: independent values on a coarse lattice, linearly interpolated.

    Args:
        values: Lattice values, float32, shape (nz, ny, nx).
        low: Position of lattice point (0, 0, 0) in mm.
        cell_mm: Distance of lattice points, about the correlation length.
    """

    values: NDArray[np.float32]
    low: Vector
    cell_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, low: Vector, high: Vector, cell_mm: float, deviation: float) -> RandomField:
        """Draw a field that covers a box, with this standard deviation between lattice points (on average)."""
        shape = [math.ceil((b - a) / cell_mm) + 2 for a, b in zip(low, high, strict=True)]
        # Averaged over a cell, the interpolation weights keep 2/3 of the variance along each axis.
        return cls(rng.standard_normal(shape, np.float32) * np.float32(deviation * 1.5**1.5), low, cell_mm)

    def at(self, points: Points) -> FloatArray:
        """Return the field on a grid given by its three axes."""
        field: FloatArray = self.values
        for axis, coordinates in enumerate(points):
            position = np.clip((coordinates.ravel() - self.low[axis]) / self.cell_mm, 0, field.shape[axis] - 1.001)
            index = position.astype(np.intp)
            weight = (position - index).astype(np.float32).reshape(coordinates.shape)
            lower = np.take(field, index, axis)
            field = lower + (np.take(field, index + 1, axis) - lower) * weight
        return field


@dataclass(frozen=True)
class PatientGrid:
    """Where the voxels of a scan lie in the patient: `patient = (scan - offset_mm) / squeeze`, both in mm.

    Args:
        shape: Voxels along z, y, x.
        spacing_mm: Voxel spacing in the scan.
        offset_mm: Scan position of the patient's origin; scan positions count from the low edge of voxel 0.
        squeeze: 1, or less along an axis on which the patient would not fit into the field of view.
    """

    shape: tuple[int, int, int]
    spacing_mm: Vector
    offset_mm: Vector
    squeeze: Vector

    @property
    def edge_mm(self) -> float:
        """Width over which a surface blurs into its surroundings: one pixel, in the patient."""
        return max(self.spacing_mm[axis] / self.squeeze[axis] for axis in (1, 2))

    def axes(self, start: int, stop: int) -> Points:
        """Return the patient coordinates of the voxel centers of slices `start..stop - 1`, ready to broadcast."""
        spans = ((start, stop), (0, self.shape[1]), (0, self.shape[2]))
        z, y, x = (self._center(np.arange(*span), axis).astype(np.float32) for axis, span in enumerate(spans))
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def snap(self, positions: FloatArray) -> FloatArray:
        """Return the nearest voxel centers to patient positions, shape (n, 3); positions off the grid go to its rim."""
        moved = np.empty_like(positions)
        for axis in range(3):
            scan = positions[:, axis] * self.squeeze[axis] + self.offset_mm[axis]
            index = np.clip(np.floor(scan / self.spacing_mm[axis]), 0, self.shape[axis] - 1)
            moved[:, axis] = self._center(index, axis)
        return moved

    def _center(self, index: NDArray[Any], axis: int) -> NDArray[np.float64]:
        """Return the patient coordinate of voxel centers along one axis."""
        scan: NDArray[np.float64] = (index + 0.5) * self.spacing_mm[axis] - self.offset_mm[axis]
        return scan / self.squeeze[axis]


def as_vector(values: FloatArray | Vector) -> Vector:
    """Return three numbers as a tuple of Python floats."""
    z, y, x = (float(value) for value in values)
    return z, y, x


def as_points(positions: FloatArray) -> Points:
    """Return positions of shape (n, 3) as three lists of coordinates."""
    return positions[:, 0], positions[:, 1], positions[:, 2]


def smooth_minimum(first: FloatArray, second: FloatArray, width_mm: float) -> FloatArray:
    """Return the minimum, rounded off where the two depths differ by less than `width_mm`."""
    rounding = np.maximum(width_mm - np.abs(first - second), 0.0)
    return np.minimum(first, second) - rounding * rounding * (0.25 / width_mm)


def smooth_maximum(first: FloatArray, second: FloatArray, width_mm: float) -> FloatArray:
    """Return the maximum, rounded off where the two depths differ by less than `width_mm`."""
    return -smooth_minimum(-first, -second, width_mm)


def coverage(depth: FloatArray, edge_mm: float) -> FloatArray:
    """Return the share of a voxel that lies inside, a ramp of width `edge_mm` around depth 0."""
    return np.clip(0.5 + depth / edge_mm, 0.0, 1.0)


def window(points: Points, low: Vector, high: Vector) -> tuple[tuple[slice, slice, slice], Points]:
    """Return where a box lies in a grid, as slices of the grid's arrays, and the axes of that part (perhaps empty)."""
    z, y, x = (
        slice(*np.searchsorted(axis.ravel(), [a, b]).tolist()) for axis, a, b in zip(points, low, high, strict=True)
    )
    return (z, y, x), (points[0][z], points[1][:, y], points[2][:, :, x])


def paint(image: NDArray[np.float32], points: Points, solid: Solid, value: float, edge_mm: float) -> None:
    """Blend a solid of one value into an image in place.

    Args:
        image: Values on a grid, shape (z, y, x).
        points: The axes of that grid.
        solid: What to paint.
        value: Its value.
        edge_mm: Width of its edge.
    """
    place, inner = window(points, *solid.box(edge_mm))
    if image[place].size:
        image[place] += coverage(solid.depth(inner), edge_mm) * (value - image[place])
