"""What surrounds the liver of a phantom patient: wall, fat and bowel, lungs, bones, organs and great vessels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom.anatomy import Liver
from pipeline.phantom.shapes import Ellipsoid, Points, RandomField, Solid, Tube, Vector, as_vector, coverage, paint

AIR_HU, LUNG_HU, FAT_HU, BILE_HU, BOWEL_HU, MUSCLE_HU, RIB_HU = -1000.0, -850.0, -95.0, 8.0, 35.0, 55.0, 260.0

Organ = tuple[Vector, Vector, float, float]
"""Center relative to the liver's box, half axes in mm, HU without contrast medium, and relative uptake of it."""
ORGANS: tuple[Organ, ...] = (
    ((1.22, 0.28, 0.85), (48.0, 45.0, 60.0), 45.0, 0.9),  # heart
    ((0.10, 0.80, 0.40), (52.0, 24.0, 25.0), 35.0, 1.3),  # right kidney
    ((0.22, 0.82, 0.97), (52.0, 24.0, 25.0), 35.0, 1.3),  # left kidney
    ((0.62, 0.74, 1.15), (48.0, 42.0, 26.0), 50.0, 0.7),  # spleen
    ((0.58, 0.38, 0.98), (60.0, 42.0, 34.0), 25.0, 0.1),  # stomach
    ((0.62, 0.20, 0.98), (30.0, 12.0, 20.0), AIR_HU, 0.0),  # its gas
    ((0.00, 0.77, 0.77), (math.inf, 10.5, 10.5), 45.0, 1.2),  # aorta
    ((0.00, 1.06, 0.52), (math.inf, 17.0, 27.0), MUSCLE_HU, 0.0),  # muscles of the back
    ((0.00, 1.06, 0.82), (math.inf, 17.0, 27.0), MUSCLE_HU, 0.0),
    ((0.00, 0.92, 0.67), (math.inf, 17.0, 22.0), 230.0, 0.0),  # vertebral bodies
    ((0.00, 1.08, 0.67), (math.inf, 13.0, 20.0), 250.0, 0.0),  # vertebral arches
    ((0.00, 1.05, 0.67), (math.inf, 8.0, 10.0), 30.0, 0.0),  # spinal canal
)


@dataclass(frozen=True)
class Body:
    """Everything but the liver.

    Args:
        cavity: Upright cylinder of the abdominal cavity.
        muscle_mm: Thickness of the muscle around the cavity.
        fat_mm: Thickness of the fat around the muscle.
        diaphragm_mm: Height of the diaphragm in the middle of the cavity and at its wall.
        bowel: Field that parts bowel from fat in the cavity.
        solids: Organs with their HU, in the order of painting.
    """

    cavity: Ellipsoid
    muscle_mm: float
    fat_mm: float
    diaphragm_mm: tuple[float, float]
    bowel: RandomField
    solids: tuple[tuple[Solid, float], ...]

    def render(self, points: Points, edge_mm: float) -> NDArray[np.float32]:
        """Return HU without noise on a grid given by its axes, float32."""
        rim = self.cavity.depth(points)
        wall = AIR_HU + (FAT_HU - AIR_HU) * coverage(rim + self.muscle_mm + self.fat_mm, edge_mm)
        wall += (MUSCLE_HU - FAT_HU) * coverage(rim + self.muscle_mm, edge_mm)
        content = FAT_HU + (BOWEL_HU - FAT_HU) * np.clip(0.4 + self.bowel.at(points), 0.0, 1.0)
        content += coverage(self._height_above_diaphragm(points), edge_mm) * (LUNG_HU - content)
        hu = (wall + coverage(rim, edge_mm) * (content - wall)).astype(np.float32)
        for solid, value in self.solids:
            paint(hu, points, solid, value, edge_mm)
        return hu

    def _height_above_diaphragm(self, points: Points) -> NDArray[np.floating]:
        """Return the height in mm above a dome that sinks quadratically from the cavity's middle to its wall."""
        middle, wall = self.diaphragm_mm
        share = [(points[axis] - self.cavity.center[axis]) / self.cavity.radii[axis] for axis in (1, 2)]
        return points[0] - middle + (middle - wall) * (share[0] ** 2 + share[1] ** 2)


def draw_body(
    rng: np.random.Generator,
    liver: Liver,
    blood: Sequence[tuple[Solid, float]],
    view: tuple[Vector, Vector],
) -> Body:
    """Draw the surroundings of a liver.

    Args:
        rng: Source of randomness.
        liver: Its cavity bounds the abdomen; its gallbladder and fissures are painted too.
        blood: Vessels outside of the liver, with their HU.
        view: Low and high corner of the field of view, in patient mm.
    """
    size, uptake_hu = np.array(liver.size_mm), float(rng.uniform(60.0, 120.0))
    muscle_mm, fat_mm = float(rng.uniform(9.0, 15.0)), float(rng.uniform(6.0, 22.0))
    solids: list[tuple[Solid, float]] = []
    for center, radii, base_hu, uptake in ORGANS:
        place = (center + rng.normal(0.0, 0.012, 3)) * size
        solids.append((Ellipsoid(as_vector(place), radii), base_hu + uptake * uptake_hu))
    solids += [(rib, RIB_HU) for rib in _place_ribs(liver, float(rng.uniform(0.0, 35.0)), 0.4 * muscle_mm)]
    solids += [(fissure, FAT_HU) for fissure in liver.fissures]
    solids += [(liver.gallbladder, BILE_HU), *blood]
    dome, wall = rng.uniform((0.97, 0.50), (1.03, 0.65)) * size[0]
    bowel = RandomField.draw(rng, *view, 14.0, 0.7)
    return Body(liver.cavity, muscle_mm, fat_mm, (float(dome), float(wall)), bowel, tuple(solids))


def _place_ribs(liver: Liver, height_mm: float, outside_mm: float) -> list[Tube]:
    """Return ribs as chains of tubes that slope down from the back to the sides, 35 mm apart."""
    angles = np.radians(np.linspace(20.0, 140.0, 8))
    around = np.abs(np.stack([np.cos(angles), np.sin(angles)])) ** (2.0 / liver.cavity.power)
    around *= np.sign([np.cos(angles), np.sin(angles)])
    tubes = []
    for top in np.arange(height_mm - 35.0, 2.2 * liver.size_mm[0], 35.0):
        for side in (-1.0, 1.0):
            y = liver.cavity.center[1] + (liver.cavity.radii[1] + outside_mm) * around[0]
            x = liver.cavity.center[2] + side * (liver.cavity.radii[2] + outside_mm) * around[1]
            nodes = np.stack([top - 40.0 * angles, y, x], axis=1)
            tubes += [Tube(as_vector(a), as_vector(b), 4.0, 4.0) for a, b in pairwise(nodes)]
    return tubes
