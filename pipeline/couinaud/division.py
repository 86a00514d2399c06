"""Couinaud's division of the liver: three planes and two axial levels, to labels and back.

Segments 2 to 8 of an annotation are cut by the planes of the middle, the right and the left hepatic vein and by the
levels of the right and the left portal branch; segment 1, the caudate lobe, is none of the planes' and travels as a
mask. Everything is in millimeters of LPS space, x to the patient's left, y to the back, z to the head, so that neither
the order of the voxels nor an oblique grid matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import BoolArray, Float64Array, Int64Array, UInt8Array
from pipeline.geometry import liver_box
from pipeline.volume import Geometry

LATTICE_MM = 2.5
"""Voxels about so far apart are looked at when a division is fitted."""
SMALLEST_CLASS = 12
"""A cut with fewer lattice points on either side is left out."""
_SCALE_MM = 10.0
_RIDGE = 1e-4
_NEWTON_STEPS = 30

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Plane:
    """An oriented plane `normal . p = offset_mm`.

    Args:
        normal: Unit normal as x, y, z (LPS); it points to the side where `heights` is positive.
        offset_mm: Signed distance of the plane from the physical origin.
    """

    normal: Vector
    offset_mm: float

    def heights(self, points: Float64Array) -> Float64Array:
        """Return the signed distance in mm of physical points, shape (n, 3) as x, y, z."""
        return points @ np.array(self.normal) - self.offset_mm

    @property
    def azimuth_deg(self) -> float:
        """Direction of the normal in the axial plane: 0 to the patient's left, 90 to the front."""
        return math.degrees(math.atan2(-self.normal[1], self.normal[0]))

    @property
    def tilt_deg(self) -> float:
        """Angle of the normal above the axial plane: 0 for an upright plane, 90 for one that faces the head."""
        return math.degrees(math.asin(max(-1.0, min(1.0, self.normal[2]))))


@dataclass(frozen=True)
class Division:
    """The cuts between segments 2 to 8; None where there is no evidence for one.

    Args:
        mid: Plane of the middle hepatic vein, positive on 2, 3, 4 (normal to the left and front).
        right: Plane of the right hepatic vein, positive on 5, 8 (normal to the front).
        left: Plane of the left hepatic vein and the umbilical fissure, positive on 2, 3 (normal to the left).
        right_level_mm: Physical z of the right portal branch: 7, 8 above, 5, 6 below.
        left_level_mm: Physical z of the left portal branch: 2 above, 3 below.
    """

    mid: Plane | None
    right: Plane | None
    left: Plane | None
    right_level_mm: float | None
    left_level_mm: float | None


@dataclass(frozen=True)
class CompleteDivision(Division):
    """A division with all of its cuts; `complete` makes one."""

    mid: Plane
    right: Plane
    left: Plane
    right_level_mm: float
    left_level_mm: float


def complete(division: Division) -> CompleteDivision:
    """Check that a division has all of its cuts.

    Raises:
        ValueError: If one is missing.
    """
    for name, cut in vars(division).items():
        if cut is None:
            raise ValueError(f"the division has no {name}, expected all of its five cuts")
    return CompleteDivision(**vars(division))


def physical_points(indices: NDArray[np.integer], geometry: Geometry) -> Float64Array:
    """Return the physical positions of voxels.

    Args:
        indices: Voxel indices z, y, x, shape (n, 3).
        geometry: Where the voxels lie.

    Returns:
        float64, shape (n, 3), as x, y, z in mm (LPS).
    """
    return indices[:, ::-1] @ _steps(geometry).T + np.array(geometry.origin_mm)


def voxel_indices(points: Float64Array, geometry: Geometry) -> Int64Array:
    """Return the voxels nearest to physical positions; positions outside of the volume go to its border.

    Args:
        points: Shape (n, 3), as x, y, z in mm (LPS).
        geometry: Where the voxels lie.

    Returns:
        int64, shape (n, 3), as z, y, x.
    """
    position = np.linalg.solve(_steps(geometry), (points - np.array(geometry.origin_mm)).T).T[:, ::-1]
    return np.clip(np.rint(position), 0, np.array(geometry.shape) - 1).astype(np.int64)


def divide(liver_mask: BoolArray, geometry: Geometry, division: Division, caudate: BoolArray | None) -> UInt8Array:
    """Label a liver by its division.

    A point on a plane or level belongs to its negative side. The cuts are evaluated at every voxel's center, so that
    edges are as sharp as the grid; one slice at a time, which holds memory down.

    Args:
        liver_mask: Shape (z, y, x).
        geometry: Where the voxels lie.
        division: All five cuts.
        caudate: Segment 1, same shape; voxels outside the liver do not count. None for a liver without.

    Returns:
        uint8 of the mask's shape: 1..8 on every liver voxel, 0 elsewhere.

    Raises:
        ValueError: If a cut is missing.
    """
    labels = np.zeros(liver_mask.shape, np.uint8)
    cuts, table = _half_spaces(division), _segment_table()
    if not liver_mask.any():
        return labels
    box = liver_box(liver_mask)
    ramps = [_ramps(cut, geometry, box) for cut in cuts]
    for z in range(box[0].start, box[0].stop):
        code = np.zeros(liver_mask[z, box[1], box[2]].shape, np.uint8)
        for bit, (along_z, along_y, along_x) in enumerate(ramps):
            code |= (along_x[None, :] > -(along_z[z - box[0].start] + along_y)[:, None]).view(np.uint8) << np.uint8(bit)
        labels[z, box[1], box[2]] = table[code] * liver_mask[z, box[1], box[2]]
    if caudate is not None:
        labels[caudate & liver_mask] = 1
    return labels


def fit_division(labels: UInt8Array, geometry: Geometry, weights: NDArray[np.floating] | None = None) -> Division:
    """Find the cuts that reproduce a label map best.

    Planes are balanced logistic regressions, levels maximize the balanced accuracy; voxels are sampled on a lattice of
    about `LATTICE_MM`. (Fitted again to the voxels near each plane alone, the 78 public maps come out no better.)

    Args:
        labels: 0 or segment 1..8, shape (z, y, x). Segment 1 does not matter.
        geometry: Where the voxels lie.
        weights: Weight of each voxel, not negative, same shape; such as the certainty of a vote. None for all equal.

    Returns:
        The division; a cut is None if either of its sides has fewer than `SMALLEST_CLASS` lattice points.
    """
    lattice = tuple(slice(None, None, max(1, round(LATTICE_MM / step))) for step in geometry.spacing_mm)
    sampled = labels[lattice]
    indices = np.argwhere(sampled > 1)
    segments = sampled[tuple(indices.T)]
    strides = np.array([part.step for part in lattice])
    points = physical_points(indices * strides, geometry)
    weight = np.ones(len(points)) if weights is None else weights[lattice][tuple(indices.T)].astype(np.float64)

    def sides(positive: tuple[int, ...], negative: tuple[int, ...]) -> tuple[Float64Array, BoolArray, Float64Array]:
        chosen = np.isin(segments, positive + negative) & (weight > 0)
        return points[chosen], np.isin(segments[chosen], positive), weight[chosen]

    return Division(
        fit_plane(*sides((2, 3, 4), (5, 6, 7, 8))),
        fit_plane(*sides((5, 8), (6, 7))),
        fit_plane(*sides((2, 3), (4,))),
        fit_level(*sides((7, 8), (5, 6))),
        fit_level(*sides((2,), (3,))),
    )


def fit_plane(points: Float64Array, positive: BoolArray, weight: Float64Array) -> Plane | None:
    """Separate two sets of points by a balanced, slightly ridged logistic regression (Newton's method).

    Args:
        points: Shape (n, 3), physical.
        positive: Shape (n,), the side of each point.
        weight: Shape (n,), positive; each side is scaled to the same total.

    Returns:
        The plane, positive on the `positive` points; None if either side has fewer than `SMALLEST_CLASS` points.
    """
    if min(np.count_nonzero(positive), np.count_nonzero(~positive)) < SMALLEST_CLASS:
        return None
    center = points.mean(axis=0)
    features = np.column_stack([(points - center) / _SCALE_MM, np.ones(len(points))])
    balanced = np.where(positive, weight / weight[positive].sum(), weight / weight[~positive].sum())
    ridge = _RIDGE * np.diag([1.0, 1.0, 1.0, 0.0])
    beta = np.zeros(4)
    for _ in range(_NEWTON_STEPS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(features @ beta, -50.0, 50.0)))
        gradient = features.T @ (balanced * (positive - probability)) - ridge @ beta
        curvature = balanced * probability * (1.0 - probability) + 1e-9 * balanced
        step = np.linalg.solve(features.T @ (features * curvature[:, None]) + ridge, gradient)
        beta += step * min(1.0, 5.0 / float(np.linalg.norm(step) + 1e-12))
        if float(np.linalg.norm(step)) < 1e-6:
            break
    length = float(np.linalg.norm(beta[:3]))
    if length == 0.0:
        return None
    x, y, z = (beta[:3] / length).tolist()
    return Plane((x, y, z), float(center @ (beta[:3] / length) - beta[3] * _SCALE_MM / length))


def fit_level(points: Float64Array, above: BoolArray, weight: Float64Array) -> float | None:
    """Return the height z between two sets of points that maximizes the balanced accuracy.

    Args:
        points: Shape (n, 3), physical.
        above: Shape (n,), the points that should lie above the level.
        weight: Shape (n,), positive.

    Returns:
        Midway between the two neighboring heights, of several equally good levels the middle one; or None if either
        side has fewer than `SMALLEST_CLASS` points.
    """
    if min(np.count_nonzero(above), np.count_nonzero(~above)) < SMALLEST_CLASS:
        return None
    heights, place = np.unique(np.round(points[:, 2], 6), return_inverse=True)
    share = np.where(above, -weight / weight[above].sum(), weight / weight[~above].sum())
    gain = np.round(np.cumsum(np.bincount(place, share)), 12)
    best = np.flatnonzero(gain == gain.max())
    index = int(best[len(best) // 2])
    return float((heights[index] + heights[min(index + 1, len(heights) - 1)]) / 2)


def _half_spaces(division: Division) -> tuple[Plane, ...]:
    """Return the five cuts as planes, in the order of the bits of `_segment_table`."""
    whole = complete(division)
    levels = (Plane((0.0, 0.0, 1.0), level) for level in (whole.right_level_mm, whole.left_level_mm))
    return (whole.mid, whole.right, whole.left, *levels)


def _segment_table() -> UInt8Array:
    """Return the segment of each of the 32 combinations of sides; bit i is set on the positive side of cut i."""
    code = np.arange(32)
    of_left, anterior, lateral, right_high, left_high = ((code >> bit) & 1 > 0 for bit in range(5))
    right_liver = np.where(anterior, np.where(right_high, 8, 5), np.where(right_high, 7, 6))
    left_liver = np.where(lateral, np.where(left_high, 2, 3), 4)
    return np.where(of_left, left_liver, right_liver).astype(np.uint8)


def _steps(geometry: Geometry) -> Float64Array:
    """Return the physical steps along the x, y, z index axes as columns, shape (3, 3)."""
    return np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing_mm[::-1])


def _ramps(
    cut: Plane, geometry: Geometry, box: tuple[slice, slice, slice]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return three arrays along z, y, x of a box whose outer sum is the height above a plane."""
    slope = np.array(cut.normal) @ _steps(geometry)
    start = float(np.dot(cut.normal, geometry.origin_mm)) - cut.offset_mm
    z, y, x = (np.arange(part.start, part.stop) * slope[2 - axis] for axis, part in enumerate(box))
    return (z + start).astype(np.float32), y.astype(np.float32), x.astype(np.float32)
