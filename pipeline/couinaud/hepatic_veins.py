"""The right, middle and left hepatic vein, told apart by their direction from the inferior vena cava.

Azimuths are those of a point about the caval axis, 0 to the patient's left, 90 to the front, 180 to the right. A vein
runs in its plane, so it is expected a right angle beyond the normal of that plane (the mean normals of public
annotations point to 90, 50 and 10 degrees, so the veins to 180, 140 and 100).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray, Float64Array, Int64Array
from pipeline.couinaud.division import CompleteDivision, Plane, physical_points
from pipeline.couinaud.skeleton import CenterLines, RootedForest, root
from pipeline.volume import Geometry

CAVAL_RADIUS_MM = 7.0
"""Hepatic veins are thinner, the vena cava is thicker."""
CAVAL_HEIGHT_MM = 30.0
"""A vena cava in the mask is at least so long."""
CAVAL_REACH_MM = 45.0
"""It runs within this distance of where the division expects it."""
CAVAL_SHIFT_MM = (-22.0, -4.0)
"""From the line where mid and right plane cross to the hepatic confluence, along x, y: the planes pass it on its left
(one patient with a separate mask, and the built-in phantom)."""
OUTSIDE_MM = 14.0
"""Center lines closer to the axis belong to the vena cava or the confluence."""
CUT_OFF_MM = 40.0
"""The mask of a vein may end so far before the vena cava,"""
THICK_MM = 2.5
"""where the vein has at least this radius."""
TRUNK_MM = 80.0
"""A plane follows its vein over this length from the vena cava; farther out the vein turns into its last branch."""
SMALLEST_TRUNK_MM = 25.0
AZIMUTH_TOLERANCE_DEG = 30.0
OFFSET_TOLERANCE_MM = 30.0


@dataclass(frozen=True)
class CavalAxis:
    """The course of the inferior vena cava, or of a vertical line where it should be.

    Args:
        heights_mm: Physical z, increasing, shape (k,).
        positions: x, y at these heights, shape (k, 2); beyond them the last one holds.
    """

    heights_mm: Float64Array
    positions: Float64Array

    def offsets(self, points: Float64Array) -> Float64Array:
        """Return the horizontal way from the axis to each point, shape (n, 2) as x, y."""
        return points[:, :2] - self.at(points[:, 2])

    def at(self, heights_mm: Float64Array | float) -> Float64Array:
        """Return x, y at heights z: shape (2,) for a number, (n, 2) for an array of shape (n,)."""
        columns = [np.interp(heights_mm, self.heights_mm, self.positions[:, axis]) for axis in (0, 1)]
        return np.stack(columns, axis=-1)


def expect_axis(division: CompleteDivision) -> CavalAxis:
    """Return the vertical line where a division expects the confluence of the hepatic veins.

    Args:
        division: What the liver's shape tells.
    """
    height, planes = division.left_level_mm, (division.mid, division.right)
    normals = np.array([plane.normal for plane in planes])
    offsets = np.array([plane.offset_mm for plane in planes]) - normals[:, 2] * height
    crossing, *_ = np.linalg.lstsq(normals[:, :2], offsets, rcond=None)
    return CavalAxis(np.array([height]), (crossing + np.array(CAVAL_SHIFT_MM))[None])


@dataclass(frozen=True)
class Trunk:
    """The trunk of a hepatic vein.

    Args:
        points: Physical positions from the vena cava outward, shape (n, 3).
        radius_mm: Radius at each, shape (n,).
        length_mm: Length of the way through them.
    """

    points: Float64Array
    radius_mm: Float64Array
    length_mm: float


def find_axis(hepatic: BoolArray, geometry: Geometry, expected: CavalAxis) -> CavalAxis | None:
    """Find the vena cava in the mask of the hepatic veins by its thickness.

    Args:
        hepatic: Shape (z, y, x), isotropic.
        geometry: Where its voxels lie.
        expected: Where it should run.

    Returns:
        Its course in steps of 10 mm; None if nothing so thick is so long there.
    """
    from scipy.ndimage import distance_transform_edt

    core = np.argwhere(distance_transform_edt(hepatic, geometry.spacing_mm) >= CAVAL_RADIUS_MM)
    points = physical_points(core, geometry)
    points = points[np.linalg.norm(expected.offsets(points), axis=1) < CAVAL_REACH_MM]
    if len(points) == 0 or np.ptp(points[:, 2]) < CAVAL_HEIGHT_MM:
        return None
    level = np.round(points[:, 2] / 10).astype(np.int64)
    steps = [points[level == step] for step in np.unique(level)]
    means = np.array([step.mean(axis=0) for step in steps])
    return CavalAxis(means[:, 2], means[:, :2])


def azimuth_deg(offset: Float64Array) -> float:
    """Return the direction of a horizontal way x, y: 0 to the patient's left, 90 to the front, 180 to the right."""
    return math.degrees(math.atan2(-offset[1], offset[0]))


def find_trunks(hepatic: CenterLines, axis: CavalAxis, division: CompleteDivision) -> dict[str, Trunk]:
    """Name the trunks of the hepatic veins.

    Candidates are the heavy paths of at least `SMALLEST_TRUNK_MM` that begin above the right level (accessory inferior
    veins begin below). Names go to the longest trees whose paths point the right way and run near their planes.

    Args:
        hepatic: Center lines in the liver, with or without those of the vena cava.
        axis: The vena cava.
        division: What the liver's shape tells.

    Returns:
        The trunks that were found, by `mid`, `right`, `left`.
    """
    distance = np.linalg.norm(axis.offsets(hepatic.points), axis=1)
    forest = root(hepatic, distance, _find_openings(hepatic, distance))
    paths = [path for path in _trunk_paths(forest) if hepatic.points[path[0], 2] > division.right_level_mm]
    names = ("mid", "right", "left")
    scores = np.array([[_score(forest, path, axis, getattr(division, name)) for path in paths] for name in names])
    trunks: dict[str, Trunk] = {}
    while scores.size and scores.max() > 0:
        name, number = np.unravel_index(int(np.argmax(scores)), scores.shape)
        path = paths[number]
        length = float(forest.depth_mm[path[-1]] - forest.depth_mm[path[0]])
        trunks[names[name]] = Trunk(hepatic.points[path], hepatic.radius_mm[path], length)
        scores[name], scores[:, number] = 0.0, 0.0
    return trunks


def _find_openings(hepatic: CenterLines, distance: Float64Array) -> BoolArray:
    """Tell which points open into the vena cava: those beside it, and the ends of thick veins that are cut off near it.

    Args:
        hepatic: Center lines.
        distance: Distance of each point from the axis, shape (n,).
    """
    nearest = distance.copy()
    for first, second in (hepatic.pairs.T, hepatic.pairs.T[::-1]):
        np.minimum.at(nearest, first, distance[second])
    cut_off = (nearest == distance) & (distance <= CUT_OFF_MM) & (hepatic.radius_mm >= THICK_MM)
    return (distance <= OUTSIDE_MM) | cut_off


def _trunk_paths(forest: RootedForest) -> list[Int64Array]:
    """Return the heavy paths cut to the length of a trunk, without the short ones."""
    paths = []
    for path in forest.heavy_paths():
        reach = forest.depth_mm[path] - forest.depth_mm[path[0]]
        if reach[-1] >= SMALLEST_TRUNK_MM:
            paths.append(path[reach <= TRUNK_MM])
    return paths


def _score(forest: RootedForest, path: Int64Array, axis: CavalAxis, plane: Plane) -> float:
    """Return the length of a path's tree, less the worse it fits as the trunk in a plane; 0 if it cannot be."""
    points = forest.lines.points[path]
    direction = axis.offsets(points).mean(axis=0)
    turn = (azimuth_deg(direction) - (plane.azimuth_deg + 90) + 180) % 360 - 180
    height = float(plane.heights(points).mean())
    if abs(turn) > AZIMUTH_TOLERANCE_DEG or abs(height) > OFFSET_TOLERANCE_MM:
        return 0.0
    misfit = (turn / AZIMUTH_TOLERANCE_DEG) ** 2 + (height / OFFSET_TOLERANCE_MM) ** 2
    return forest.weight(int(path[0])) * math.exp(-2 * misfit)
