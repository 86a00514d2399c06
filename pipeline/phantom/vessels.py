"""Portal and hepatic vessel trees of a phantom liver: tapered tubes that branch and end inside the liver.

The portal vein divides at the hilum and feeds the segments from inside; the three hepatic veins run between the
sectors, in the planes of Couinaud's scheme, to the vena cava.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.phantom.anatomy import Liver
from pipeline.phantom.shapes import FloatArray, Plane, Tube, Vector, as_points, as_vector

TUBES_PER_BRANCH = 4
GENERATIONS = 3
CHILDREN = 3
SMALLEST_RADIUS_MM = 0.6

Targets = tuple[Vector, ...]
_RIGHT_TARGETS: Targets = ((0.78, 0.42, 0.24), (0.26, 0.42, 0.20), (0.74, 0.74, 0.26), (0.30, 0.72, 0.18))
_LEFT_TARGETS: Targets = ((0.74, 0.28, 0.74), (0.54, 0.16, 0.66), (0.66, 0.16, 0.40))


@dataclass(frozen=True)
class VesselTrees:
    """The tubes of one liver.

    Args:
        trunk: Portal vein and its two main branches, partly outside of the liver.
        portal: The trunk and all branches.
        hepatic: The three hepatic veins and their branches.
    """

    trunk: tuple[Tube, ...]
    portal: tuple[Tube, ...]
    hepatic: tuple[Tube, ...]

    def positions(self) -> FloatArray:
        """Return the far ends of all tubes in mm, shape (n, 3)."""
        return np.array([tube.end for tube in self.portal + self.hepatic])


def draw_vessels(rng: np.random.Generator, liver: Liver) -> VesselTrees:
    """Draw both trees; branches that leave the liver are cut off."""
    trunk, branches = _draw_portal(rng, liver)
    hepatic = _draw_hepatic(rng, liver)
    portal = trunk + _keep_inside(branches, liver)
    return VesselTrees(tuple(trunk), tuple(portal), tuple(_keep_inside(hepatic, liver)))


def _draw_portal(rng: np.random.Generator, liver: Liver) -> tuple[list[Tube], list[Tube]]:
    """Draw trunk, right and left branch at their levels; and one tree towards each of segments 2 to 8."""
    size, scheme = np.array(liver.size_mm), liver.scheme
    radius = float(rng.uniform(5.5, 7.5))
    fork = np.array([scheme.right_level_mm, 0.46 * size[1], 0.46 * size[2]])
    right = np.array([scheme.right_level_mm, 0.50 * size[1], 0.31 * size[2]])
    left = np.array([scheme.left_level_mm, 0.30 * size[1], 0.53 * size[2]])
    trunk = [Tube(as_vector(fork + np.array([-45.0, 5.0, 25.0])), as_vector(fork), radius, radius)]
    trunk += _draw_branch(rng, fork, right, 0.75 * radius) + _draw_branch(rng, fork, left, 0.65 * radius)
    branches: list[Tube] = []
    for start, targets in ((right, _RIGHT_TARGETS), (left, _LEFT_TARGETS)):
        for target in targets:
            end = (np.array(target) + rng.normal(0.0, 0.03, 3)) * size
            branches += _draw_tree(rng, start, end, 0.6 * radius, GENERATIONS)
    return trunk, branches


def _draw_hepatic(rng: np.random.Generator, liver: Liver) -> list[Tube]:
    """Draw the right, middle and left hepatic vein, each in its plane, from the vena cava down."""
    size, scheme = np.array(liver.size_mm), liver.scheme
    radius = float(rng.uniform(4.5, 6.0))
    root = np.array([0.86, 0.53, 0.50]) * size
    targets: tuple[tuple[Plane, Vector], ...] = (
        (scheme.right, (0.40, 0.59, 0.14)),
        (scheme.middle, (0.38, 0.25, 0.26)),
        (scheme.left, (0.66, 0.16, 0.56)),
    )
    tubes: list[Tube] = []
    for plane, target in targets:
        end = (np.array(target) + rng.normal(0.0, 0.02, 3)) * size
        end -= np.array(plane.normal) * float(np.dot(plane.normal, end) - plane.offset_mm)
        tubes += _draw_tree(rng, root, end, radius * float(rng.uniform(0.8, 1.1)), GENERATIONS)
    return tubes


def _draw_tree(
    rng: np.random.Generator, start: FloatArray, end: FloatArray, radius: float, generations: int
) -> list[Tube]:
    """Draw a branch and, along its far half, shorter and thinner children that fan out around its direction."""
    branch = _draw_branch(rng, start, end, radius)
    if generations <= 1:
        return branch
    tubes, length = list(branch), float(np.linalg.norm(end - start))
    for tube in branch[-CHILDREN:]:
        sideways = rng.normal(0.0, 1.0, 3)
        heading = (end - start) / length + 0.9 * sideways / np.linalg.norm(sideways)
        tip = np.array(tube.end) + 0.55 * length * float(rng.uniform(0.7, 1.2)) * heading / np.linalg.norm(heading)
        tubes += _draw_tree(rng, np.array(tube.end), tip, 0.8 * tube.end_radius, generations - 1)
    return tubes


def _draw_branch(rng: np.random.Generator, start: FloatArray, end: FloatArray, radius: float) -> list[Tube]:
    """Draw a slightly winding chain of tubes that tapers to two thirds of its radius."""
    share = np.linspace(0.0, 1.0, TUBES_PER_BRANCH + 1)[:, None]
    winding = rng.normal(0.0, 0.05 * float(np.linalg.norm(end - start)), (TUBES_PER_BRANCH + 1, 3))
    nodes = start + share * (end - start) + winding * share * (1 - share) * 4
    radii = np.maximum(radius * (1.0 - share[:, 0] / 3.0), SMALLEST_RADIUS_MM).tolist()
    return [Tube(as_vector(nodes[i]), as_vector(nodes[i + 1]), radii[i], radii[i + 1]) for i in range(TUBES_PER_BRANCH)]


def _keep_inside(tubes: list[Tube], liver: Liver) -> list[Tube]:
    """Drop the tubes that end outside of the liver."""
    inside = liver.depth(as_points(np.array([tube.end for tube in tubes]))) > 1.0
    return [tube for tube, keep in zip(tubes, inside.tolist(), strict=True) if keep]
