"""An analytic liver with vessels whose planes and levels are known, on any grid. All positions are x, y, z (LPS)."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from pipeline.couinaud.division import CompleteDivision, Plane, divide, physical_points
from pipeline.couinaud.result import CouinaudMap
from pipeline.volume import Geometry, Vessels, Volume

RADII = np.array([100.0, 78.0, 75.0])
CAUDATE = (np.array([8.0, 16.0, 22.0]), 13.0)
CAVA = np.array([-2.0, 21.0])


def upright(azimuth_deg, through):
    """Return the upright plane through a point of the axial plane (x, y)."""
    angle = np.deg2rad(azimuth_deg)
    normal = (float(np.cos(angle)), float(-np.sin(angle)), 0.0)
    return Plane(normal, float(np.dot(normal[:2], through)))


TRUTH = CompleteDivision(upright(50, (20, 25)), upright(90, (0, 25)), upright(11, (28, 0)), -5.0, 15.0)


def on(plane, x, y, z):
    """Return a point moved onto a plane."""
    point = np.array([x, y, z], float)
    return point - np.array(plane.normal) * plane.heights(point[None])[0]


def hepatic_tubes(without=()):
    """Return the hepatic veins as (start, end, radius); each leaves the vena cava and runs in its plane."""
    courses = {
        "right": [(TRUTH.right, -20, 25, 45), (TRUTH.right, -50, 25, 15), (TRUTH.right, -80, 25, -10)],
        "mid": [(TRUTH.mid, 2, 8, 45), (TRUTH.mid, -20, -20, 25), (TRUTH.mid, -42, -35, -10)],
        "left": [(TRUTH.left, 20, 0, 45), (TRUTH.left, 20, -30, 38), (TRUTH.left, 15, -52, 25)],
    }
    tubes = []
    for name, course in courses.items():
        nodes = [np.array([*CAVA, 50.0]), *(on(*node) for node in course)]
        if name not in without:
            tubes += [(a, b, 4.0) for a, b in pairwise(nodes)]
    return tubes


def portal_tubes(without=()):
    """Return the portal vein: trunk, right branch on its level, left branch with its umbilical portion, and more."""
    fork, right = np.array([-14.0, 5.0, -5.0]), np.array([-45.0, 8.0, -5.0])
    junction, end = on(TRUTH.left, 25, -12, 15), on(TRUTH.left, 18, -48, 15)
    tubes = [(np.array([20.0, 18.0, -72.0]), fork, 6.0)]
    if "right" not in without:
        tips = [(-58, -18, 32), (-55, -12, -38), (-58, 44, 25), (-58, 44, -32)]
        tubes += [(fork, right, 5.0), *((right, np.array(tip, float), 2.5) for tip in tips)]
    if "left" not in without:
        branches = [(junction, (68, -2, 30), 2.5), (end, (58, -42, -10), 2.5), (end, (-8, -52, 28), 2.5)]
        tubes += [(fork, junction, 4.5), (junction, end, 4.5), *((a, np.array(b, float), r) for a, b, r in branches)]
    return tubes


def make_grid(spacing_mm=(4.0, 2.5, 2.5), direction=None):
    """Return a grid around the liver, with the given index axes as columns."""
    axes = np.eye(3) if direction is None else np.asarray(direction)
    reach = np.abs(axes.T) @ (RADII + 12)
    shape = tuple(int(2 * size / step) + 1 for size, step in zip(reach[::-1], spacing_mm, strict=True))
    center = axes @ (np.array(spacing_mm[::-1]) * (np.array(shape[::-1]) - 1) / 2)
    return Geometry(shape, spacing_mm, tuple((-center).tolist()), tuple(axes.ravel().tolist()))


def draw(tubes, points):
    """Tell which points lie in any of the tubes."""
    inside = np.zeros(len(points), bool)
    for start, end, radius in tubes:
        way = end - start
        share = np.clip((points - start) @ way / (way @ way), 0, 1)
        inside |= np.linalg.norm(points - start - share[:, None] * way, axis=1) <= radius
    return inside


def make_case(geometry=None, hepatic=None, portal=None):
    """Return a volume with its true map and separate vessel masks, drawn on a grid."""
    geometry = geometry or make_grid()
    points = physical_points(np.argwhere(np.ones(geometry.shape, bool)), geometry)
    liver = (np.linalg.norm(points / RADII, axis=1) <= 1).reshape(geometry.shape)
    caudate = (np.linalg.norm(points - CAUDATE[0], axis=1) <= CAUDATE[1]).reshape(geometry.shape)
    masks = [
        draw(tubes, points).reshape(geometry.shape)
        for tubes in (hepatic_tubes() if hepatic is None else hepatic, portal_tubes() if portal is None else portal)
    ]
    labels = divide(liver, geometry, TRUTH, caudate)
    hu, image_label = np.zeros(geometry.shape, np.int16), np.zeros(8, bool)
    vessels = Vessels(hepatic=masks[0], portal=masks[1])
    return Volume("a", hu, liver, geometry, image_label, couinaud_map=labels, vessels=vessels)


def shift(plane, distance_mm):
    """Return a plane moved along its normal."""
    return replace(plane, offset_mm=plane.offset_mm + distance_mm)


def guess_from_shape(volume, shifts=(8.0, -6.0, 10.0, 7.0, -6.0)):
    """Return a map whose five cuts are off by some millimeters."""
    planes = [shift(getattr(TRUTH, name), by) for name, by in zip(("mid", "right", "left"), shifts[:3], strict=True)]
    division = CompleteDivision(*planes, TRUTH.right_level_mm + shifts[3], TRUTH.left_level_mm + shifts[4])
    caudate = volume.couinaud_map == 1
    return CouinaudMap(divide(volume.liver_mask, volume.geometry, division, caudate), "shape", ("LOW_CONFIDENCE",))
