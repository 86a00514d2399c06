"""Landmarks of the portal vein: its right branch, and the umbilical portion of its left branch.

The tree is rooted at the hilum, so that it does not matter whether the trunk below the liver is in the mask. A branch
is where the tree beyond a point lies on one side of the mid plane. The left branch runs to the left first (transverse
portion), then forward in the left fissure (umbilical portion), where segments 2, 3 and 4 are fed from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray, Float64Array, Int64Array
from pipeline.couinaud.division import Plane
from pipeline.couinaud.skeleton import CenterLines, RootedForest, root

SIDE_MM = 8.0
"""Beyond this distance from the mid plane a point is on one side of the liver."""
ONE_SIDED = 0.8
"""A branch feeds one side if of its tree on either side this share lies there."""
SMALLEST_BRANCH_MM = 60.0
"""Length of the tree on its side, at least."""
RIGHT_BRANCH_MM = 20.0
"""The right level is the mean height of the right branch over this length."""
JUNCTION_MM = 12.0
"""The left level is the mean height of the umbilical portion over its first millimeters."""
UMBILICAL_MM = 25.0
"""Length of the umbilical portion, at most."""
THICK = 0.75
"""The umbilical portion is thicker than this share of the left branch."""
RADIUS_WEIGHT = 4.0
"""The root is sought near the hilum; a point so many times its radius farther away is as good."""


@dataclass(frozen=True)
class PortalLandmarks:
    """What the portal vein shows; None or empty where it does not.

    Args:
        right_level_mm: Height z of the right branch.
        left_level_mm: Height z of the junction between transverse and umbilical portion.
        umbilical: Points of the umbilical portion, shape (n, 3).
        umbilical_weight: Weight of each, larger where the vessel is thick and runs forward, shape (n,).
    """

    right_level_mm: float | None
    left_level_mm: float | None
    umbilical: Float64Array
    umbilical_weight: Float64Array


def root_portal(portal: CenterLines, hilum: Float64Array) -> RootedForest:
    """Root each tree of the portal vein at a thick point near the hilum.

    Args:
        portal: Center lines, with or without the trunk below the liver.
        hilum: Where the bifurcation is expected, shape (3,).
    """
    distance = np.linalg.norm(portal.points - hilum, axis=1)
    return root(portal, distance - RADIUS_WEIGHT * portal.radius_mm)


def find_landmarks(portal: RootedForest, inside: BoolArray, mid: Plane, hilum: Float64Array) -> PortalLandmarks:
    """Find right branch and umbilical portion.

    Args:
        portal: The tree, as `root_portal` gives it.
        inside: Points in the liver, shape (n,); only they count for the side of a branch.
        mid: Roughly the mid plane.
        hilum: Where the bifurcation is expected, shape (3,).
    """
    heights = mid.heights(portal.lines.points)
    right_side, left_side = inside & (heights < -SIDE_MM), inside & (heights > SIDE_MM)
    right, left = find_branch(portal, right_side, left_side), find_branch(portal, left_side, right_side)
    nothing = np.empty((0, 3)), np.empty(0)
    level = None if right is None else _measure_level(portal, right, heights < -SIDE_MM)
    if left is None:
        return PortalLandmarks(level, None, *nothing)
    umbilical, weight = _umbilical_portion(portal, left, float(hilum[1]))
    if weight.sum() == 0:
        return PortalLandmarks(level, None, *nothing)
    points = portal.lines.points[umbilical]
    depth = portal.depth_mm[umbilical]
    junction = depth <= depth.min() + JUNCTION_MM
    return PortalLandmarks(level, float(points[junction, 2].mean()), points, weight)


def find_branch(portal: RootedForest, side: BoolArray, other: BoolArray) -> int | None:
    """Return the first point of the largest branch whose tree lies on one side, or None.

    Args:
        portal: The tree.
        side: Points on this side, in the liver, shape (n,).
        other: Points on the other side.
    """
    there = _beyond(portal, side)
    fits = (there >= ONE_SIDED * (there + _beyond(portal, other))) & (there >= SMALLEST_BRANCH_MM)
    parent = portal.parent
    first = fits & ((parent < 0) | ~fits[np.maximum(parent, 0)])
    return int(np.argmax(np.where(first, there, -1.0))) if first.any() else None


def _measure_level(portal: RootedForest, right: int, side: BoolArray) -> float:
    """Return the mean height of the right branch from where it is on its side."""
    path = next(path for path in portal.heavy_paths() if right in path)
    path = path[(portal.depth_mm[path] >= portal.depth_mm[right]) & side[path]]
    start = path[portal.depth_mm[path] <= portal.depth_mm[path].min(initial=np.inf) + RIGHT_BRANCH_MM]
    return float(portal.lines.points[start, 2].mean())


def _beyond(portal: RootedForest, chosen: BoolArray) -> Float64Array:
    """Return the length of chosen center lines at and beyond each point."""
    length = np.where(portal.parent >= 0, portal.depth_mm - portal.depth_mm[np.maximum(portal.parent, 0)], 0.0)
    total = length * chosen
    for point in portal.order[::-1]:
        if portal.parent[point] >= 0:
            total[portal.parent[point]] += total[point]
    return total


def subtree(forest: RootedForest, start: int) -> BoolArray:
    """Return the points at and beyond a point, shape (n,)."""
    member = np.zeros(len(forest.parent), bool)
    member[start] = True
    for point in forest.order:
        parent = forest.parent[point]
        member[point] |= parent >= 0 and member[parent]
    return member


def _within(portal: RootedForest, start: int, reach_mm: float) -> BoolArray:
    """Return the points of the heavy path from a point on, over some length, shape (n,)."""
    member = np.zeros(len(portal.parent), bool)
    for path in portal.heavy_paths():
        if start in path:
            reach = portal.depth_mm[path] - portal.depth_mm[start]
            member[path[(reach >= 0) & (reach <= reach_mm)]] = True
    return member


def _umbilical_portion(portal: RootedForest, left: int, behind_mm: float) -> tuple[Int64Array, Float64Array]:
    """Return the points of the umbilical portion and their weights; there may be none, and the weights may all be 0.

    It is the thick part of the left branch in front of the middle between its beginning and its foremost thick point.
    Where the mask leaves out the hilum, the branch may begin late: it begins at `behind_mm` (y of the hilum) or behind.
    """
    points, radius = portal.lines.points, portal.lines.radius_mm
    usual = float(np.median(radius[_within(portal, left, RIGHT_BRANCH_MM)]))
    thick = subtree(portal, left) & (radius >= THICK * usual)
    middle = (max(points[left, 1], behind_mm) + points[thick, 1].min(initial=np.inf)) / 2
    front = np.flatnonzero(thick & (points[:, 1] <= middle))
    front = front[portal.depth_mm[front] <= portal.depth_mm[front].min(initial=np.inf) + UMBILICAL_MM]
    return front, radius[front] ** 2 * _forwardness(portal, front)


def _forwardness(portal: RootedForest, chosen: Int64Array) -> Float64Array:
    """Return the cosine between the way that leads to each point and the direction to the front, at least 0."""
    back = chosen
    for _ in range(4):
        back = np.where(portal.parent[back] >= 0, portal.parent[back], back)
    way = portal.lines.points[chosen] - portal.lines.points[back]
    return np.maximum(-way[:, 1], 0.0) / np.maximum(np.linalg.norm(way, axis=1), 1e-9)
