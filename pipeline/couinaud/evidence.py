"""Moving a cut of the prior division by what vessels show: least squares with a prior.

A plane has three degrees of freedom: a shift along its normal and two slopes, horizontal and vertical. The prior says
that they are 0 within some deviation, points say that the plane passes through them within some deviation, and the
solution weighs both; it is linear in the frame of the prior plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Float64Array
from pipeline.couinaud.division import Plane


@dataclass(frozen=True)
class Deviation:
    """Standard deviations of a plane that the liver's shape gives: along its normal, of its azimuth, of its tilt."""

    shift_mm: float
    turn_deg: float
    tilt_deg: float


SHAPE_DEVIATIONS = {
    "mid": Deviation(8.0, 7.0, 3.0),
    "right": Deviation(6.0, 3.0, 2.0),
    "left": Deviation(12.0, 11.0, 7.0),
}
"""Of planes fitted to a leave-one-out vote against those of public annotations (LiTS)."""
SHAPE_LEVEL_MM = 8.0
"""The same, of a level."""
INDEPENDENT_MM = 25.0
"""Parts of a vessel so far apart tell of a plane independently."""
BELIEVED = 2.0
"""A vessel that would move a cut by more than so many standard deviations is not believed."""


@dataclass(frozen=True)
class Evidence:
    """Points that a plane should pass through.

    Args:
        points: Shape (n, 3), physical.
        weight: Shape (n,), positive; only ratios matter.
        length_mm: Length of the vessel, which says how much the points tell together.
    """

    points: Float64Array
    weight: Float64Array
    length_mm: float


def move_plane(
    prior: Plane, deviation: Deviation, anchor: Float64Array, evidence: Evidence, vessel_mm: float
) -> Plane | None:
    """Move a plane towards points.

    Args:
        prior: The plane before.
        deviation: How far it may be off.
        anchor: The center of its part in the liver, where shift and slopes are independent; shape (3,). It need not
            lie in the plane: its foot there counts.
        evidence: The points.
        vessel_mm: Deviation of a plane from its vein, over `INDEPENDENT_MM` of the vein.

    Returns:
        The most probable plane, or None if it would move or turn by more than `BELIEVED` deviations.
    """
    normal = np.array(prior.normal)
    across = np.cross(normal, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across)
    upward = np.cross(across, normal)
    foot = anchor - prior.heights(anchor[None])[0] * normal
    way = evidence.points - foot
    design = np.column_stack([np.ones(len(way)), way @ across, way @ upward])
    weight = evidence.weight / evidence.weight.sum() * max(1.0, evidence.length_mm / INDEPENDENT_MM) / vessel_mm**2
    slopes = [math.tan(math.radians(angle)) for angle in (deviation.turn_deg, deviation.tilt_deg)]
    scale = np.array([deviation.shift_mm, *slopes])
    information = design.T @ (design * weight[:, None]) + np.diag(scale**-2.0)
    shift, slope, rise = np.linalg.solve(information, design.T @ (weight * prior.heights(evidence.points)))
    moved = normal - slope * across - rise * upward
    moved /= np.linalg.norm(moved)
    if np.any(np.abs([shift, slope, rise]) > BELIEVED * scale):
        return None
    x, y, z = moved.tolist()
    return Plane((x, y, z), float(moved @ (foot + shift * normal)))


def move_level(prior_mm: float, found_mm: float | None, vessel_mm: float) -> float | None:
    """Move a level towards the height of a vessel.

    Args:
        prior_mm: The level before.
        found_mm: Height of the vessel, if it was found.
        vessel_mm: Deviation of a level from its vessel.

    Returns:
        The most probable level; None without a vessel, or if the level would move by more than `BELIEVED` deviations.
    """
    if found_mm is None:
        return None
    shift = (found_mm - prior_mm) * SHAPE_LEVEL_MM**2 / (SHAPE_LEVEL_MM**2 + vessel_mm**2)
    return prior_mm + shift if abs(shift) <= BELIEVED * SHAPE_LEVEL_MM else None
