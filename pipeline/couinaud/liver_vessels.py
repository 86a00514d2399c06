"""Both vessel trees of a liver as center lines, from separate masks or from one undivided mask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray, Float64Array
from pipeline.couinaud.division import CompleteDivision, physical_points, voxel_indices
from pipeline.couinaud.hepatic_veins import CavalAxis, expect_axis, find_axis
from pipeline.couinaud.skeleton import CenterLines, resample_isotropic, trace
from pipeline.couinaud.vessel_division import find_hepatic
from pipeline.errors import CaseError
from pipeline.geometry import liver_box
from pipeline.volume import Geometry, Vessels, Volume

MARGIN_MM = 15.0
"""Vessels are looked at in the liver's box and so much around it, for the vena cava and the portal trunk."""
INSIDE_MM = 3.0
"""Center lines up to this far from the liver's mask count as inside: masks leave out the hilum."""
HILUM_FROM_CAVA_MM = (-12.0, -15.0)
"""From the caval axis to the portal bifurcation, along x, y."""


@dataclass(frozen=True)
class LiverVessels:
    """What the vessel masks of a volume hold.

    Args:
        hepatic: Center lines of the hepatic veins in the liver, the vena cava perhaps among them.
        portal: Center lines of the portal vein, its trunk below the liver perhaps among them.
        portal_inside: Points of the latter in the liver, shape (n,).
        axis: The vena cava, or where it should be.
        hilum: Where the portal bifurcation should be, shape (3,).
        divided: Whether the source told the two trees apart.
        liver_points: A lattice of the liver, shape (m, 3).
    """

    hepatic: CenterLines
    portal: CenterLines
    portal_inside: BoolArray
    axis: CavalAxis
    hilum: Float64Array
    divided: bool
    liver_points: Float64Array


def read_vessels(volume: Volume, division: CompleteDivision) -> LiverVessels:
    """Find the center lines of both trees.

    Args:
        volume: With any of the masks of `Vessels`; the undivided one counts only if neither of the others is there.
        division: What the liver's shape tells.

    Raises:
        CaseError: VESSELS_MISSING if the volume has no vessel mask, VESSELS_EMPTY if no vessel lies in the liver.
    """
    vessels, geometry = volume.vessels or Vessels(), volume.geometry
    box = _find_box(volume.liver_mask, geometry)
    liver, grid = resample_isotropic(volume.liver_mask, geometry, box)
    masks = {
        name: resample_isotropic(mask, geometry, box)[0] for name, mask in vars(vessels).items() if mask is not None
    }
    if not masks:
        raise CaseError("VESSELS_MISSING", "the case has no vessel mask, expected at least one", "construct_couinaud")
    axis = expect_axis(division)
    if "hepatic" in masks:
        axis = find_axis(masks["hepatic"], grid, axis) or axis
    hilum = np.append(axis.at(division.left_level_mm) + np.array(HILUM_FROM_CAVA_MM), division.right_level_mm)
    hepatic, portal = _trace_trees(masks, grid, division, axis, hilum)
    hepatic_inside, portal_inside = _find_inside((hepatic, portal), liver, grid)
    if not (hepatic_inside.any() or portal_inside.any()):
        raise CaseError("VESSELS_EMPTY", "no voxel of the vessel masks lies in the liver", "construct_couinaud")
    points = physical_points(np.argwhere(liver), grid)
    divided = not masks.keys().isdisjoint({"hepatic", "portal"})
    return LiverVessels(hepatic.select(hepatic_inside), portal, portal_inside, axis, hilum, divided, points)


def _trace_trees(
    masks: dict[str, BoolArray], grid: Geometry, division: CompleteDivision, axis: CavalAxis, hilum: Float64Array
) -> tuple[CenterLines, CenterLines]:
    """Return the center lines of the hepatic and of the portal tree; either may be empty."""
    if "hepatic" in masks or "portal" in masks:
        nothing = np.zeros(grid.shape, bool)
        return trace(masks.get("hepatic", nothing), grid), trace(masks.get("portal", nothing), grid)
    lines = trace(masks["undivided"], grid)
    middle = hilum + np.array([0.0, 0.0, (division.left_level_mm - division.right_level_mm) / 2])
    hepatic = find_hepatic(lines, division, axis.at(division.left_level_mm), middle)
    return lines.select(hepatic), lines.select(~hepatic)


def _find_inside(trees: Iterable[CenterLines], liver: BoolArray, grid: Geometry) -> list[BoolArray]:
    """Tell of each tree which points lie in the liver or within `INSIDE_MM` of it, shape (n,)."""
    from scipy.ndimage import distance_transform_edt

    near = distance_transform_edt(~liver, grid.spacing_mm) <= INSIDE_MM
    return [near[tuple(voxel_indices(lines.points, grid).T)] for lines in trees]


def _find_box(liver_mask: BoolArray, geometry: Geometry) -> tuple[slice, slice, slice]:
    """Return the liver's box and `MARGIN_MM` around it, within the volume."""
    sides = []
    for side, size, spacing in zip(liver_box(liver_mask), geometry.shape, geometry.spacing_mm, strict=True):
        margin = round(MARGIN_MM / spacing)
        sides.append(slice(max(0, side.start - margin), min(size, side.stop + margin)))
    return sides[0], sides[1], sides[2]
