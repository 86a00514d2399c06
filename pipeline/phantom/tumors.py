"""Tumors of a phantom liver, and the volume-level label that a radiologist would give them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.arrays import SEGMENT_COUNT, BoolArray, UInt8Array
from pipeline.phantom.anatomy import Liver, LiverSurvey
from pipeline.phantom.shapes import FloatArray, PatientGrid, Points, Vector, as_points, as_vector, coverage
from pipeline.phantom.vessels import VesselTrees

Site = Literal["inside", "vessel", "border"]
SITES: tuple[Site, ...] = ("inside", "vessel", "border")
SITE_SHARES = (0.5, 0.3, 0.2)
DEPTHS: dict[Site, tuple[float, float]] = {"inside": (0.8, math.inf), "vessel": (0.5, math.inf), "border": (0.1, 0.6)}
"""Range of the depth of the center below the liver's surface, in radii."""
COUNT_SHARES = (0.5, 0.3, 0.2)
"""Shares of patients with 1, 2 and 3 tumors."""
RADIUS_RANGE_MM = (6.0, 25.0)
HYPODENSE_SHARE = 0.85
HYPODENSE_RANGE_HU = (-60.0, -20.0)
HYPERDENSE_RANGE_HU = (20.0, 45.0)
NAMED_SHARE = 0.25
"""A tumor names every segment that holds at least this share of it."""
CANDIDATES = 600
"""Positions that are tried for a tumor."""
MINIMUM_DEPTH_MM = 1.5
"""No center lies closer to the liver's surface."""
WAVES = 5
"""Waves of a tumor's wobbling edge."""


@dataclass(frozen=True)
class Tumor:
    """One tumor: an ellipsoid whose radius wobbles with the direction, so that it is one piece on every grid.

    Args:
        center: Center in mm, at a voxel's center.
        radii: Half axes in mm along z, y, x.
        waves: Wave vectors of the wobble over the unit sphere, shape (n, 3).
        phases: Their phases, shape (n,).
        amplitudes: Their amplitudes relative to the radius, shape (n,); they sum to less than 1.
        contrast_hu: Mean difference to the parenchyma.
        core: Relative excess of the contrast in the middle, against the rim.
        edge_mm: Width of the soft edge.
    """

    center: Vector
    radii: Vector
    waves: NDArray[np.float64]
    phases: NDArray[np.float64]
    amplitudes: NDArray[np.float64]
    contrast_hu: float
    core: float
    edge_mm: float

    @property
    def radius_mm(self) -> float:
        """Geometric mean of the half axes."""
        return math.prod(self.radii) ** (1 / 3)

    @property
    def reach_mm(self) -> float:
        """No part of the tumor or its soft edge is farther from the center."""
        return max(self.radii) * (1.0 + float(self.amplitudes.sum())) + self.edge_mm

    def depth(self, points: Points) -> FloatArray:
        """Return the approximate distance to the tumor's edge in mm, positive inside."""
        offset = [(axis - c) / r for axis, c, r in zip(points, self.center, self.radii, strict=True)]
        distance = np.sqrt(offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2)
        unit = [axis / np.maximum(distance, 1e-6) for axis in offset]
        wobble = np.zeros_like(distance)
        for wave, phase, amplitude in zip(self.waves.tolist(), self.phases, self.amplitudes, strict=True):
            wobble += amplitude * np.sin(wave[0] * unit[0] + wave[1] * unit[1] + wave[2] * unit[2] + phase)
        return (1.0 + wobble - distance) * self.radius_mm

    def render(self, points: Points) -> tuple[FloatArray, FloatArray]:
        """Return the share of the tumor in each point, over 0.5 inside, and the change of HU."""
        depth = self.depth(points)
        share = coverage(depth, self.edge_mm)
        inward = np.clip(depth / self.radius_mm, 0.0, 1.0)
        return share, self.contrast_hu * share * (1.0 + self.core * (inward - 0.25))

    def box(self, margin_mm: float) -> tuple[Vector, Vector]:
        """Return the low and high corner of all that the tumor changes, and a margin."""
        center, reach = np.array(self.center), self.reach_mm + margin_mm
        return as_vector(center - reach), as_vector(center + reach)


def draw_tumors(
    rng: np.random.Generator, liver: Liver, found: LiverSurvey, vessels: VesselTrees, grid: PatientGrid
) -> tuple[Tumor, ...]:
    """Draw one to three tumors that do not overlap, each with its center on a voxel of the liver.

    Radii are log-uniform in 6 to 25 mm. Half of the tumors lie deep, the others at a vessel or cut by the border. A
    tumor that finds no room is left out, except the first.
    """
    tumors: list[Tumor] = []
    for _ in range(1 + int(rng.choice(len(COUNT_SHARES), p=COUNT_SHARES))):
        tumor = _draw_tumor(rng, math.exp(float(rng.uniform(*np.log(RADIUS_RANGE_MM)))))
        site = SITES[int(rng.choice(len(SITES), p=SITE_SHARES))]
        positions: FloatArray = rng.uniform(found.low, found.high, (CANDIDATES, 3))
        if site == "vessel":
            positions = _scatter_around(rng, vessels.positions(), tumor.radius_mm)
        positions = grid.snap(positions)
        depth = liver.depth(as_points(positions))
        for other in tumors:
            gap = np.linalg.norm(positions - other.center, axis=1) - tumor.reach_mm - other.reach_mm
            depth[gap < 0] = -np.inf
        low, high = DEPTHS[site]
        choice = _choose(depth, max(low * tumor.radius_mm, MINIMUM_DEPTH_MM), high * tumor.radius_mm)
        if depth[choice] > 0:
            tumors.append(replace(tumor, center=as_vector(positions[choice])))
    return tuple(tumors)


def _draw_tumor(rng: np.random.Generator, radius: float) -> Tumor:
    """Draw everything about a tumor but its place."""
    stretch = np.exp(np.clip(rng.normal(0.0, 0.15, 3), -0.3, 0.3))
    hypodense = rng.random() < HYPODENSE_SHARE
    return Tumor(
        center=(0.0, 0.0, 0.0),
        radii=as_vector(radius * stretch / float(np.prod(stretch)) ** (1 / 3)),
        waves=rng.normal(0.0, 2.5, (WAVES, 3)),
        phases=rng.uniform(0.0, 2 * math.pi, WAVES),
        amplitudes=rng.uniform(0.03, 0.09, WAVES),
        contrast_hu=float(rng.uniform(*(HYPODENSE_RANGE_HU if hypodense else HYPERDENSE_RANGE_HU))),
        core=float(rng.uniform(-0.2, 0.3)),
        edge_mm=float(rng.uniform(1.5, 4.0)),
    )


def _scatter_around(rng: np.random.Generator, positions: FloatArray, radius: float) -> FloatArray:
    """Draw candidate centers about one radius away from any of some positions, shape (n, 3)."""
    heading = rng.normal(0.0, 1.0, (CANDIDATES, 3))
    heading *= rng.uniform(0.8, 1.1, (CANDIDATES, 1)) * radius / np.linalg.norm(heading, axis=1, keepdims=True)
    scattered: FloatArray = positions[rng.integers(len(positions), size=CANDIDATES)] + heading
    return scattered


def _choose(depth: FloatArray, low: float, high: float) -> int:
    """Return the first candidate in a range of depths; without one, the deepest."""
    suited = np.flatnonzero((depth > low) & (depth < high))
    return int(suited[0]) if len(suited) else int(np.argmax(depth))


def name_segments(tumor_mask: BoolArray, couinaud_map: UInt8Array) -> BoolArray:
    """Return the volume-level label of a case: each tumor component names every segment that holds a quarter of it.

    Args:
        tumor_mask: Shape (z, y, x). Components touch at faces, edges or corners.
        couinaud_map: Shape (z, y, x), segment 1..8 wherever there is a tumor.

    Returns:
        `bool[8]`; all false without a tumor. A component spread so widely that no segment holds a quarter names the
        one that holds most.
    """
    label = np.zeros(SEGMENT_COUNT, dtype=bool)
    if not tumor_mask.any():
        return label
    rows = [np.flatnonzero(tumor_mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(row[0], row[-1] + 1) for row in rows)
    components, count = ndimage.label(tumor_mask[box], np.ones((3, 3, 3)))
    inside = tumor_mask[box]
    voxels = np.zeros((count, SEGMENT_COUNT))
    np.add.at(voxels, (components[inside] - 1, couinaud_map[box][inside] - 1), 1)
    least = np.minimum(NAMED_SHARE * voxels.sum(1), voxels.max(1))
    label |= (voxels >= least[:, None]).any(0)
    return label
