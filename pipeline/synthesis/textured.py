"""Soft textured tumors, mostly darker than the liver, in the spirit of Hu et al. (CVPR 2023).

Their ellipsoids, edges and textures are kept in idea, on any number of neighboring slices. Contrasts reach from -85 HU
to hardly visible, because real tumors do: half of the dark ones are drawn evenly, half logarithmically down to -8 HU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray, Float32Array, Float64Array, Int64Array
from pipeline.config import SynthesisConfig

BRIGHT_PROBABILITY = 0.12
"""Chance that a tumor is brighter than the liver."""
VESSEL_MARGIN_HU = 15.0
"""What is brighter than the volume's median liver by more than this counts as vessel."""
WOBBLE_HARMONICS = (2, 3, 4, 5)
"""Angular frequencies of the edge."""
REACH = 1.6
"""Half side of the painted window in units of the larger radius."""
MAXIMUM_CUT = 0.9
"""How far from its center a slice may cut a tumor, as a share of the axial half axis."""


@dataclass(frozen=True)
class TexturedTumor:
    """One tumor of this style: an ellipsoid with a wobbling soft edge.

    Args:
        center_px: Slice, row and column.
        radii_px: Half axes, the axial one first.
        slice_px: Distance between slices in pixels; 0 makes the tumor equal on all slices.
        angle: Of the second half axis in plane, in radians.
        wobble: Amplitude (share of the radius) and phase for each of `WOBBLE_HARMONICS`.
        edge_px: Width of the soft edge.
        contrast_hu: Tumor minus liver.
        rim_hu: Further contrast of the outer rim.
        core_hu: Further contrast of the core.
        core_radius: Where the core ends, as a share of the radius; the rim begins halfway from there to the edge.
        texture_std_hu: Standard deviation of the texture.
        texture_sigma_px: Grain of the texture.
        vessel_retention: Share of the vessels' brightness that stays visible inside.
        liver_median_hu: Median liver HU of the volume, which tells vessels from parenchyma.
        seed: Of the texture.
    """

    center_px: tuple[float, float, float]
    radii_px: tuple[float, float, float]
    slice_px: float
    angle: float
    wobble: tuple[tuple[float, float], ...]
    edge_px: float
    contrast_hu: float
    rim_hu: float
    core_hu: float
    core_radius: float
    texture_std_hu: float
    texture_sigma_px: float
    vessel_retention: float
    liver_median_hu: float
    seed: int

    def paint(self, hu: Float32Array, region: BoolArray) -> tuple[Float32Array, BoolArray]:
        """Return the slices with this tumor, and the tumor's mask.

        Args:
            hu: Slices in HU, shape (n, H, W).
            region: Pixels of the chosen segments, shape (n, H, W).
        """
        window = self._window(hu.shape)
        inside, before = region[window], hu[window]
        painted, mask = hu.copy(), np.zeros_like(region)
        if not inside.any():
            return painted, mask
        depth = self._depth(window)
        soft = inside / (1 + np.exp(np.clip(-depth * np.sqrt(np.prod(self.radii_px[1:])) / self.edge_px, -30, 30)))
        vessels = np.clip(before - (self.liver_median_hu + VESSEL_MARGIN_HU), 0, None)
        change = self._contrast(depth) - (1 - self.vessel_retention) * vessels
        painted[window] += (soft * change).astype(np.float32)
        mask[window] = inside & (depth >= 0)
        return painted, mask

    def cross_at_random(self) -> TexturedTumor:
        """Return the tumor moved along z, by less than its half axis, so that its slice cuts it anywhere."""
        offset_px = self.radii_px[0] * np.random.default_rng([self.seed, 2]).uniform(-MAXIMUM_CUT, MAXIMUM_CUT)
        layer, row, column = self.center_px
        return replace(self, center_px=(layer + float(offset_px) / self.slice_px, row, column))

    def _window(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        """Return the part of the slices that the tumor can change."""
        in_plane, axial = (REACH * radius + 3 * self.edge_px for radius in (max(self.radii_px[1:]), self.radii_px[0]))
        slices = axial / self.slice_px if self.slice_px else shape[0]
        return tuple(
            slice(max(0, int(middle - reach)), max(0, min(size, int(middle + reach) + 2)))
            for middle, reach, size in zip(self.center_px, (slices, in_plane, in_plane), shape, strict=True)
        )

    def _depth(self, window: tuple[slice, ...]) -> Float64Array:
        """Return how deep each pixel lies inside the edge, as a share of the radius: 1 at the center, < 0 outside."""
        slices, rows, columns = np.ogrid[window]
        z, y, x = slices - self.center_px[0], rows - self.center_px[1], columns - self.center_px[2]
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        along, across = (y * cosine + x * sine) / self.radii_px[1], (x * cosine - y * sine) / self.radii_px[2]
        direction = np.arctan2(across, along)
        edge = 1.0 + sum(
            amplitude * np.cos(harmonic * direction + phase)
            for harmonic, (amplitude, phase) in zip(WOBBLE_HARMONICS, self.wobble, strict=True)
        )
        depth: Float64Array = edge - np.hypot(np.hypot(along, across), z * self.slice_px / self.radii_px[0])
        return depth

    def _contrast(self, depth: Float64Array) -> Float64Array:
        """Return what the tumor adds at each pixel: its contrast, rim, core and texture."""
        from scipy.ndimage import gaussian_filter

        core_begins, rim_ends = 1 - self.core_radius, (1 - self.core_radius) / 2
        sigma = self.texture_sigma_px
        sigmas = (sigma / self.slice_px if self.slice_px else 0.0, sigma, sigma)
        grain = gaussian_filter(np.random.default_rng(self.seed).standard_normal(depth.shape), sigmas)
        texture = grain * (self.texture_std_hu / max(float(grain.std()), 1e-6))
        contrast: Float64Array = (
            self.contrast_hu + texture + self.rim_hu * (depth < rim_ends) + self.core_hu * (depth > core_begins)
        )
        return contrast


def draw_textured_tumor(
    rng: np.random.Generator,
    region_px: Int64Array,
    liver_median_hu: float,
    spacing_mm: tuple[float, float],
    config: SynthesisConfig,
) -> TexturedTumor:
    """Draw a tumor whose center lies in a region.

    Args:
        rng: Generator.
        region_px: Slice, row and column of the region's pixels, shape (n, 3), n >= 1.
        liver_median_hu: Median liver HU of the volume.
        spacing_mm: Distance of slices, and in-plane pixel spacing. What lies along z is drawn from the tumor's own
            seed, so that a tumor looks the same in plane whatever that distance.
        config: Smallest and largest radius; radii are drawn evenly on a logarithmic scale.
    """
    slice_mm, pixel_mm = spacing_mm
    layer, *place = region_px[rng.integers(len(region_px))].tolist()
    row, column = np.array(place) + rng.uniform(-0.5, 0.5, 2)
    radius_px = np.exp(rng.uniform(np.log(config.minimum_radius_mm), np.log(config.maximum_radius_mm))) / pixel_mm
    stretch = np.exp(rng.uniform(-0.3, 0.3))
    amplitudes = rng.uniform(0, 0.25) * rng.dirichlet(np.ones(len(WOBBLE_HARMONICS)))
    phases = rng.uniform(0, 2 * np.pi, len(WOBBLE_HARMONICS))
    contrast_hu = draw_contrast(rng)
    in_plane: dict[str, Any] = {
        "angle": rng.uniform(0, np.pi),
        "wobble": tuple(zip(amplitudes.tolist(), phases.tolist(), strict=True)),
        "edge_px": rng.uniform(0.3, 1.5) / pixel_mm,
        "contrast_hu": contrast_hu,
        "rim_hu": _sometimes(rng, 0.3) * rng.uniform(-0.4, 0.6) * abs(contrast_hu),
        "core_hu": _sometimes(rng, 0.3) * rng.uniform(-0.6, 0.2) * abs(contrast_hu),
        "core_radius": rng.uniform(0.4, 0.7),
        "texture_std_hu": rng.uniform(0, 8),
        "texture_sigma_px": float(rng.choice([2.0, 4.0, 8.0])) * rng.uniform(0.5, 1.0) / pixel_mm,
        "vessel_retention": rng.uniform(0, 0.8),
    }
    seed = int(rng.integers(2**32))
    axial_px = float(radius_px * np.exp(np.random.default_rng([seed, 1]).uniform(-0.3, 0.3)))
    return TexturedTumor(
        center_px=(float(layer), float(row), float(column)),
        radii_px=(axial_px, float(radius_px * stretch), float(radius_px / stretch)),
        slice_px=slice_mm / pixel_mm,
        liver_median_hu=float(liver_median_hu),
        seed=seed,
        **in_plane,
    )


def draw_contrast(rng: np.random.Generator) -> float:
    """Draw a tumor's contrast to the liver in HU: 10..60 for the rare bright ones, else -8..-85."""
    if rng.random() < BRIGHT_PROBABILITY:
        return float(rng.uniform(10, 60))
    if rng.random() < 0.5:
        return float(-rng.uniform(12, 85))
    return float(-np.exp(rng.uniform(np.log(8), np.log(80))))


def _sometimes(rng: np.random.Generator, probability: float) -> bool:
    """Return True with a probability."""
    return bool(rng.random() < probability)
