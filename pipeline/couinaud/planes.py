"""The constructor `planes`: Couinaud's division from the hepatic veins and the portal vein.

The map from the liver's shape gives a first division. Each vein then moves its own cut by weighted least squares, with
the first cut as a prior: the mid and right plane follow the trunks of their veins, the left plane the umbilical
portion of the left portal branch (else the left hepatic vein), the levels the portal branches. A vein that is not
found, or that would move its cut farther than vessels plausibly do, leaves the cut to the shape, with a flag.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.arrays import Float64Array, UInt8Array
from pipeline.config import CouinaudConfig
from pipeline.couinaud.division import CompleteDivision, Plane, complete, divide, fit_division
from pipeline.couinaud.evidence import SHAPE_DEVIATIONS, Evidence, move_level, move_plane
from pipeline.couinaud.hepatic_veins import find_trunks
from pipeline.couinaud.liver_vessels import LiverVessels, read_vessels
from pipeline.couinaud.portal_vein import UMBILICAL_MM, PortalLandmarks, find_landmarks, root_portal
from pipeline.couinaud.result import CouinaudMap
from pipeline.errors import CaseError
from pipeline.volume import Volume

VESSEL_MM = {True: 4.0, False: 8.0}
"""Deviation of a cut from its vein, with trees told apart by the source and by us."""
TOLD_BY_DIVIDED_ONLY = ("left", "left_level_mm")
"""In a mask of both trees the left portal branch is too often mistaken: these cuts come out worse than the shape's."""
NEAR_PLANE_MM = 5.0
"""The part of a plane in the liver is known by the points within this distance of it."""


def build_plane_map(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Divide a liver by its vessels, and by its shape where they do not tell.

    Args:
        volume: With vessel masks.
        config: As the constructor `shape` reads it, and `method`: under `auto` a liver that cannot be divided by its
            vessels keeps the map from its shape, flagged with the reason code of `divide_by_vessels`.

    Raises:
        CaseError: As `build_shape_map` and, unless the method is `auto`, `divide_by_vessels`.
    """
    from pipeline.couinaud.shape import build_shape_map

    shape = build_shape_map(volume, config)
    try:
        return divide_by_vessels(volume, shape)
    except CaseError as error:
        if config.method != "auto":
            raise
        return replace(shape, flags=tuple(sorted({*shape.flags, error.code})))


def divide_by_vessels(volume: Volume, shape: CouinaudMap) -> CouinaudMap:
    """Correct a map by the vessels of its liver.

    Args:
        volume: With vessel masks.
        shape: A map of the same liver; it also gives the caudate lobe.

    Returns:
        The map, flagged `MID_PLANE_FROM_SHAPE`, `RIGHT_PLANE_FROM_SHAPE`, `LEFT_PLANE_FROM_SHAPE`,
        `RIGHT_LEVEL_FROM_SHAPE` or `LEFT_LEVEL_FROM_SHAPE` for each cut that no vessel could move, `VESSELS_UNDIVIDED`
        if the two trees came in one mask, and with the flags of `shape`.

    Raises:
        CaseError: VESSELS_MISSING, VESSELS_EMPTY, or SHAPE_INCOMPLETE if the shape's map lacks too many segments to
            divide the liver.
    """
    labels, flags, _ = cut_by_vessels(volume, shape)
    return CouinaudMap(labels, "planes", tuple(sorted({*shape.flags, *flags})))


def cut_by_vessels(volume: Volume, shape: CouinaudMap) -> tuple[UInt8Array, list[str], LiverVessels]:
    """Return the labels of `divide_by_vessels`, its own flags, and the vessels; arguments and errors are the same."""
    prior = fit_prior(volume, shape)
    vessels = read_vessels(volume, prior)
    division, flags = move_division(prior, vessels)
    return divide(volume.liver_mask, volume.geometry, division, shape.labels == 1), flags, vessels


def fit_prior(volume: Volume, shape: CouinaudMap) -> CompleteDivision:
    """Return the division of a map.

    Raises:
        CaseError: SHAPE_INCOMPLETE.
    """
    try:
        return complete(fit_division(shape.labels, volume.geometry))
    except ValueError as error:
        raise CaseError("SHAPE_INCOMPLETE", f"the map from the liver's shape: {error}", "construct_couinaud") from None


def move_division(prior: CompleteDivision, vessels: LiverVessels) -> tuple[CompleteDivision, list[str]]:
    """Move each cut of a division to its vein.

    Args:
        prior: What the liver's shape tells.
        vessels: The vessels.

    Returns:
        The division, and a flag for each cut that is still the prior's.
    """
    tolerance = VESSEL_MM[vessels.divided]
    forest = root_portal(vessels.portal, vessels.hilum)
    landmarks = find_landmarks(forest, vessels.portal_inside, prior.mid, vessels.hilum)
    evidence = _collect_evidence(prior, vessels, landmarks)
    trusted = [name for name in vars(prior) if vessels.divided or name not in TOLD_BY_DIVIDED_ONLY]
    cuts: dict[str, Any] = {}
    for name in ("mid", "right", "left"):
        known = evidence.get(name)
        plane, anchor = getattr(prior, name), _find_anchor(prior, name, vessels.liver_points)
        cuts[name] = (
            move_plane(plane, SHAPE_DEVIATIONS[name], anchor, known, tolerance) if known and name in trusted else None
        )
    for name in ("right_level_mm", "left_level_mm"):
        found = getattr(landmarks, name) if name in trusted else None
        cuts[name] = move_level(getattr(prior, name), found, tolerance)
    flags = [_flag(name) for name, cut in cuts.items() if cut is None]
    if not vessels.divided:
        flags.append("VESSELS_UNDIVIDED")
    return replace(prior, **{name: cut for name, cut in cuts.items() if cut is not None}), flags


def _collect_evidence(
    prior: CompleteDivision, vessels: LiverVessels, landmarks: PortalLandmarks
) -> dict[str, Evidence]:
    """Return the points that each plane should pass through, of those planes that have any."""
    trunks = find_trunks(vessels.hepatic, vessels.axis, prior)
    evidence = {name: Evidence(trunk.points, trunk.radius_mm, trunk.length_mm) for name, trunk in trunks.items()}
    if len(landmarks.umbilical):
        evidence["left"] = Evidence(landmarks.umbilical, landmarks.umbilical_weight, UMBILICAL_MM)
    return evidence


def _find_anchor(prior: CompleteDivision, name: str, points: Float64Array) -> Float64Array:
    """Return the center of the part of a plane that divides the liver; of the whole plane if there is no such part."""
    plane: Plane = getattr(prior, name)
    near = points[np.abs(plane.heights(points)) < NEAR_PLANE_MM]
    side = {"mid": 0.0, "right": -1.0, "left": 1.0}[name] * prior.mid.heights(near) >= 0
    chosen = near[side] if side.any() else points
    middle: Float64Array = chosen.mean(axis=0)
    return middle


def _flag(cut: str) -> str:
    """Return the flag of a cut that is the shape's: `mid` becomes MID_PLANE_FROM_SHAPE."""
    name = cut.removesuffix("_mm") if cut.endswith("_mm") else f"{cut}_plane"
    return f"{name.upper()}_FROM_SHAPE"
