"""Telling hepatic from portal veins in one undivided vessel mask: a minimum cut through the center lines.

Every point of a center line has a leaning: how much cheaper it is reached, along thick vessels, from the confluence of
the hepatic veins than from the hilum; which of the two its vessel points at; and whether it runs near a plane of the
liver's division, where hepatic veins do, or between the planes, where portal branches do. Contacts hold points together
in proportion to their thickness, so that the cut goes through the weakest ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.arrays import BoolArray, Float64Array
from pipeline.couinaud.division import CompleteDivision
from pipeline.couinaud.skeleton import CenterLines

OUTSIDE_COST = 3.0
"""A way outside of vessels costs so many times that in a vessel of the point's radius: masks leave out the hilum."""
DIRECTION_REACH_MM = 8.0
"""A vessel's direction is that of its points within this distance."""
NEAR_PLANE_MM = 12.0
"""Nearer to a plane a vessel is rather a hepatic vein."""
PLANE_BLUR_MM = 3.0
PLANE_WEIGHT = 0.5
CONTACT_WEIGHT = 3.0
GAP_CONTACT = 0.3
"""Hold of a bridged gap, relative to a contact."""
CONFLUENCE_ABOVE_MM = (8.0, 25.0)
"""The hepatic veins end at the vena cava from so far above the left level on, and point so far above it."""
_CAPACITY = 1000


def find_hepatic(lines: CenterLines, division: CompleteDivision, cava: Float64Array, hilum: Float64Array) -> BoolArray:
    """Tell which points belong to the hepatic veins; the others are the portal vein's.

    Args:
        lines: Center lines of all vessels.
        division: What the liver's shape tells.
        cava: x, y of the vena cava where the hepatic veins open, shape (2,).
        hilum: Position of the portal bifurcation, shape (3,).

    Returns:
        bool, shape (n,).
    """
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(lines.points)
    if count == 0:
        return np.empty(0, bool)
    leaning = _leaning(lines, division, cava, hilum)
    hold = CONTACT_WEIGHT * lines.thickness_mm * np.where(lines.gap_mm > 0, GAP_CONTACT / (1 + lines.gap_mm), 1.0)
    network = _network(lines, leaning, hold)
    residual = network - maximum_flow(network, count, count + 1).flow
    residual.eliminate_zeros()
    hepatic = np.zeros(count + 2, bool)
    hepatic[breadth_first_order(residual, count, return_predecessors=False)] = True
    return hepatic[:count]


def _leaning(lines: CenterLines, division: CompleteDivision, cava: Float64Array, hilum: Float64Array) -> Float64Array:
    """Return the leaning of each point towards the hepatic veins, shape (n,); 0 is undecided."""
    low, top = (division.left_level_mm + above for above in CONFLUENCE_ABOVE_MM)
    points = lines.points
    beside = np.linalg.norm(points[:, :2] - cava, axis=1)
    to_cava = np.hypot(beside, np.maximum(low - points[:, 2], 0.0))
    to_hilum = np.linalg.norm(points - hilum, axis=1)
    reach = np.log(_reach(lines, to_hilum) / _reach(lines, to_cava))
    direction = _directions(lines)
    aim = [np.abs(_toward(points, goal) * direction).sum(axis=1) for goal in (np.array([*cava, top]), hilum)]
    planes = (division.mid, division.right, division.left)
    away = np.min([np.abs(plane.heights(points)) for plane in planes], axis=0)
    between = np.log((away + PLANE_BLUR_MM) / NEAR_PLANE_MM)
    return reach + aim[0] - aim[1] - PLANE_WEIGHT * between


def _reach(lines: CenterLines, distance: Float64Array) -> Float64Array:
    """Return what it costs to reach each point from a root: along vessels, or straight at `OUTSIDE_COST`.

    Args:
        lines: Center lines.
        distance: Straight distance of each point from the root, shape (n,).
    """
    from scipy.sparse import block_array, csr_array
    from scipy.sparse.csgraph import dijkstra

    straight = OUTSIDE_COST * np.maximum(distance, 0.1) / lines.radius_mm**2
    graph = block_array(
        [[lines.matrix(lines.resistance), None], [csr_array(straight[None]), csr_array((1, 1))]], format="csr"
    )
    return dijkstra(graph, False, len(straight))[:-1]


def _directions(lines: CenterLines) -> Float64Array:
    """Return the unit direction of the vessel at each point, of either sign, shape (n, 3)."""
    from scipy.spatial import KDTree

    directions = np.empty_like(lines.points)
    for point, near in enumerate(KDTree(lines.points).query_ball_point(lines.points, DIRECTION_REACH_MM)):
        around = lines.points[near] - lines.points[near].mean(axis=0)
        directions[point] = np.linalg.eigh(around.T @ around)[1][:, -1]
    return directions


def _toward(points: Float64Array, goal: Float64Array) -> Float64Array:
    """Return the unit direction from each point to a goal, shape (n, 3)."""
    way = goal - points
    return way / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)


def _network(lines: CenterLines, leaning: Float64Array, hold: Float64Array) -> Any:
    """Return the capacities of the flow network: source n is the hepatic, sink n + 1 the portal side."""
    from scipy.sparse import coo_array

    count = len(leaning)
    hepatic, portal = np.flatnonzero(leaning > 0), np.flatnonzero(leaning < 0)
    first, second = lines.pairs.T
    rows = np.concatenate([first, second, np.full(len(hepatic), count), portal])
    columns = np.concatenate([second, first, hepatic, np.full(len(portal), count + 1)])
    values = np.concatenate([hold, hold, leaning[hepatic], -leaning[portal]])
    capacity = np.rint(_CAPACITY * values).astype(np.int32)
    return coo_array((capacity, (rows, columns)), shape=(count + 2, count + 2)).tocsr()
