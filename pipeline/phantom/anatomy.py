"""The liver of a phantom patient and its eight Couinaud segments, in mm from the low corner of the liver's box.

Shape: two lobes under the abdominal wall, carved by the viscera, the spine, the vena cava, the gallbladder and two
fissures. The proportions were fitted to the mean of public Couinaud annotations (LiTS). Segments: Couinaud's scheme as
radiologists use it, three vertical planes and two axial levels, with the angles, levels and spreads measured on those
annotations. Axes are z, y, x in LPS order: x grows to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import UInt8Array
from pipeline.phantom.shapes import (
    Ellipsoid,
    FloatArray,
    Plane,
    Points,
    Solid,
    Tube,
    Vector,
    as_vector,
    smooth_maximum,
    smooth_minimum,
)

MEAN_SIZE_MM = (169.0, 185.0, 214.0)
"""Mean liver box along z, y, x (LiTS annotations, n = 78)."""
VOLUME_RANGE_ML = (850.0, 2150.0)
SMALLEST_SHARES = (0.012, 0.04, 0.02, 0.05, 0.05, 0.04, 0.05, 0.08)
"""Smallest share of the liver that segments 1..8 may have; the measured means are .03 .13 .07 .15 .15 .10 .16 .23."""
ATTEMPTS = 100


@dataclass(frozen=True)
class CouinaudScheme:
    """The cuts between the segments.

    Args:
        middle: Plane of the middle hepatic vein, normal to the left and front: left liver against right liver.
        right: Plane of the right hepatic vein, normal to the front: sectors 5, 8 against 6, 7.
        left: Plane of the umbilical fissure, normal to the left: 2, 3 against 4.
        right_level_mm: Height of the right portal branch: 7, 8 above, 5, 6 below.
        left_level_mm: Height of the left portal branch: 2 above, 3 below.
        caudate: Segment 1.
    """

    middle: Plane
    right: Plane
    left: Plane
    right_level_mm: float
    left_level_mm: float
    caudate: Ellipsoid

    def segment(self, points: Points) -> UInt8Array:
        """Return the segment 1..8 of each point, whether or not it lies in the liver."""
        high = points[0] >= self.right_level_mm
        posterior, anterior = np.where(high, 7, 6).astype(np.uint8), np.where(high, 8, 5).astype(np.uint8)
        right_liver = np.where(self.right.height(points) < 0, posterior, anterior)
        lateral = np.where(points[0] >= self.left_level_mm, 2, 3).astype(np.uint8)
        left_liver = np.where(self.left.height(points) > 0, lateral, np.uint8(4))
        segment = np.where(self.middle.height(points) > 0, left_liver, right_liver)
        return np.where(self.caudate.depth(points) > 0, np.uint8(1), segment).astype(np.uint8)


@dataclass(frozen=True)
class Fissure:
    """A thin gap along a plane, inside a region; it holds fat."""

    plane: Plane
    half_width_mm: float
    region: Ellipsoid

    def depth(self, points: Points) -> FloatArray:
        """Return the distance to the nearest wall of the gap, positive inside; it narrows towards its end."""
        half_width = np.minimum(self.half_width_mm, 0.15 * self.region.depth(points))
        return half_width - np.abs(self.plane.height(points))

    def box(self, margin_mm: float) -> tuple[Vector, Vector]:
        """Return the box of the region."""
        return self.region.box(margin_mm)


@dataclass(frozen=True)
class Liver:
    """One patient's liver.

    Args:
        size_mm: Nominal box along z, y, x; the liver may stand out by a few millimeters.
        cavity: The abdominal cavity, an upright cylinder that bounds the liver.
        lobes: Right and left lobe.
        viscera: Big organs that press into the liver, with rounded rims.
        vena_cava: Behind the caudate lobe, outside of the liver.
        gallbladder: In its fossa between segments 4 and 5, outside of the liver.
        fissures: Of the round ligament and of the hilum.
        scheme: The Couinaud segments.
        waves: Phases of the bumps of the surface, one per axis.
    """

    size_mm: Vector
    cavity: Ellipsoid
    lobes: tuple[Ellipsoid, Ellipsoid]
    viscera: tuple[Ellipsoid, ...]
    vena_cava: Tube
    gallbladder: Ellipsoid
    fissures: tuple[Solid, ...]
    scheme: CouinaudScheme
    waves: Vector

    def depth(self, points: Points) -> FloatArray:
        """Return the approximate distance to the liver's surface in mm, positive inside."""
        body = smooth_maximum(self.lobes[0].depth(points), self.lobes[1].depth(points), 16.0)
        body = body + self._bumps(points)
        for organ in self.viscera:
            body = smooth_minimum(body, -organ.depth(points), 12.0)
        body = smooth_maximum(body, self.scheme.caudate.depth(points) - 2.0, 6.0)
        body = smooth_minimum(body, self.cavity.depth(points) - 2.0, 8.0)
        outside: tuple[Solid, ...] = (self.vena_cava, self.gallbladder, *self.fissures)
        for solid in outside:
            body = np.minimum(body, -solid.depth(points))
        return body

    def _bumps(self, points: Points) -> FloatArray:
        """Return the height of the bumps, a product of three waves of some 60 mm."""
        z, y, x = (np.sin(axis * (2 * math.pi / 60.0) + phase) for axis, phase in zip(points, self.waves, strict=True))
        return 2.5 * z * y * x


@dataclass(frozen=True)
class LiverSurvey:
    """What a coarse look at a liver shows: its volume, the corners of its box in mm and the segments' shares."""

    volume_ml: float
    low: Vector
    high: Vector
    shares: tuple[float, ...]


def survey(liver: Liver) -> LiverSurvey:
    """Sample a liver on a lattice of about 100,000 points; the corners are rounded outward by one step."""
    steps = [1.3 * size / count for size, count in zip(liver.size_mm, (40, 48, 52), strict=True)]
    axes = [np.arange(-0.15 * size, 1.15 * size, step) for size, step in zip(liver.size_mm, steps, strict=True)]
    points = (axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :])
    inside = liver.depth(points) > 0
    counts = np.bincount(liver.scheme.segment(points)[inside], minlength=9)[1:]
    spans = [axis[inside.any(axis=others)] for axis, others in zip(axes, ((1, 2), (0, 2), (0, 1)), strict=True)]
    low = [span[0] - step for span, step in zip(spans, steps, strict=True)]
    high = [span[-1] + step for span, step in zip(spans, steps, strict=True)]
    volume_ml = float(counts.sum()) * math.prod(steps) / 1000.0
    shares = tuple((counts / counts.sum()).tolist())
    return LiverSurvey(volume_ml, as_vector(np.array(low)), as_vector(np.array(high)), shares)


def draw_liver(rng: np.random.Generator) -> tuple[Liver, LiverSurvey]:
    """Draw a patient's liver of 850 to 2150 ml in which every segment has its plausible share.

    Raises:
        RuntimeError: If no draw is plausible, which no seed has shown.
    """
    for _ in range(ATTEMPTS):
        state = int(rng.integers(2**32))
        target_ml = float(np.clip(rng.normal(1500.0, 320.0), *VOLUME_RANGE_ML))
        nominal = survey(_build_liver(state, 1.0))
        liver = _build_liver(state, (target_ml / nominal.volume_ml) ** (1 / 3))
        found = survey(liver)
        plausible = all(share >= least for share, least in zip(found.shares, SMALLEST_SHARES, strict=True))
        if plausible and VOLUME_RANGE_ML[0] <= found.volume_ml <= VOLUME_RANGE_ML[1]:
            return liver, found
    raise RuntimeError(f"none of {ATTEMPTS} livers had segments of at least {SMALLEST_SHARES} of its volume")


def _build_liver(state: int, scale: float) -> Liver:
    """Build the liver whose proportions a random state fixes; `scale` enlarges it and changes nothing else."""
    rng = np.random.default_rng(state)
    size = scale * np.array(MEAN_SIZE_MM) * np.clip(rng.normal(1.0, 0.08, 3), 0.84, 1.16)

    def place(center: Vector, radii: Vector, spread: float = 0.0, power: float = 2.0) -> Ellipsoid:
        """Place an ellipsoid by its proportions; center and radii vary by `spread` (of the box, relative)."""
        offset, stretch = rng.normal(0.0, spread / 3, 3), np.clip(rng.normal(1.0, spread, 3), 0.7, 1.3)
        return Ellipsoid(as_vector((center + offset) * size), as_vector(np.array(radii) * stretch * size), power)

    scheme = _draw_scheme(rng, size, place((0.67, 0.49, 0.55), (0.19, 0.11, 0.115), 0.08))
    hilum = place((0.50, 0.42, 0.55), (0.06, 0.05, 0.12), 0.08)
    umbilical = place((0.44, 0.21, 0.52), (0.22, 0.17, 0.4), 0.05)
    return Liver(
        size_mm=as_vector(size),
        cavity=place((0.0, 0.543, 0.625), (math.inf, 0.515, 0.65), 0.0, 2.4),
        lobes=(
            place((0.50, 0.54, 0.285), (0.51, 0.41, 0.285), 0.07),
            place((0.64, 0.28, 0.54), (0.30, 0.275, 0.41), 0.12),
        ),
        viscera=(
            place((-0.09, 0.775, 0.96), (0.75, 1.10, 0.77), 0.08),
            place((0.0, 0.98, 0.68), (math.inf, 0.355, 0.21), 0.04),
        ),
        vena_cava=Tube(
            as_vector(np.array([-0.4, 0.62, 0.52]) * size),
            as_vector(np.array([1.0, 0.54, 0.51]) * size),
            float(rng.uniform(9.0, 12.0)),
            float(rng.uniform(11.0, 14.0)),
        ),
        gallbladder=place((0.27, 0.33, 0.39), (0.16, 0.085, 0.065), 0.10),
        fissures=(Fissure(scheme.left, float(rng.uniform(0.5, 2.5)), umbilical), hilum),
        scheme=scheme,
        waves=as_vector(rng.uniform(0.0, 2 * math.pi, 3)),
    )


def _draw_scheme(rng: np.random.Generator, size: FloatArray, caudate: Ellipsoid) -> CouinaudScheme:
    """Draw planes and levels around their measured means, within two standard deviations."""

    def vary(mean: float, deviation: float) -> float:
        """Draw around a mean."""
        return mean + deviation * float(np.clip(rng.normal(), -2.0, 2.0))

    def plane(azimuth_deg: float, tilt_deg: float, through: Vector) -> Plane:
        """Return the plane of these angles through a point, given in shares of the size."""
        azimuth, tilt = math.radians(azimuth_deg), math.radians(tilt_deg)
        normal = (math.sin(tilt), -math.sin(azimuth) * math.cos(tilt), math.cos(azimuth) * math.cos(tilt))
        return Plane(normal, float(np.dot(normal, through * size)))

    return CouinaudScheme(
        middle=plane(vary(50.0, 6.0), vary(0.0, 3.0), (0.6, 0.45, vary(0.48, 0.015))),
        right=plane(vary(91.0, 5.0), vary(0.0, 3.0), (0.6, vary(0.59, 0.02), 0.25)),
        left=plane(vary(11.0, 8.0), vary(-10.0, 4.0), (0.6, 0.25, vary(0.525, 0.02))),
        right_level_mm=vary(0.52, 0.04) * float(size[0]),
        left_level_mm=vary(0.65, 0.04) * float(size[0]),
        caudate=caudate,
    )
