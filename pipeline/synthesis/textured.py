"""Soft textured tumors, mostly darker than the liver, in the spirit of Hu et al. (CVPR 2023).

Their ellipsoids, edges and textures are kept in idea, cut at one slice. Contrasts reach from -85 HU to hardly visible,
because real tumors do: half of the dark ones are drawn evenly, half logarithmically down to -8 HU.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class TexturedTumor:
    """One tumor of this style: an ellipse with a wobbling soft edge.

    Args:
        center_px: Row and column.
        radii_px: Two half axes.
        angle: Of the first half axis, in radians.
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

    center_px: tuple[float, float]
    radii_px: tuple[float, float]
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
        """Return the slice with this tumor, and the tumor's mask.

        Args:
            hu: Slice in HU, shape (H, W).
            region: Pixels of the chosen segments, shape (H, W).
        """
        reach = REACH * max(self.radii_px) + 3 * self.edge_px
        window = tuple(
            slice(max(0, int(middle - reach)), min(size, int(middle + reach) + 2))
            for middle, size in zip(self.center_px, hu.shape, strict=True)
        )
        inside, before = region[window], hu[window]
        depth = self._depth(window)
        soft = inside / (1 + np.exp(np.clip(-depth * np.sqrt(np.prod(self.radii_px)) / self.edge_px, -30, 30)))
        vessels = np.clip(before - (self.liver_median_hu + VESSEL_MARGIN_HU), 0, None)
        change = self._contrast(depth) - (1 - self.vessel_retention) * vessels
        painted, mask = hu.copy(), np.zeros_like(region)
        painted[window] += (soft * change).astype(np.float32)
        mask[window] = inside & (depth >= 0)
        return painted, mask

    def _depth(self, window: tuple[slice, ...]) -> Float64Array:
        """Return how deep each pixel lies inside the edge, as a share of the radius: 1 at the center, < 0 outside."""
        rows, columns = np.ogrid[window]
        y, x = rows - self.center_px[0], columns - self.center_px[1]
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        along, across = (y * cosine + x * sine) / self.radii_px[0], (x * cosine - y * sine) / self.radii_px[1]
        direction = np.arctan2(across, along)
        edge = 1.0 + sum(
            amplitude * np.cos(harmonic * direction + phase)
            for harmonic, (amplitude, phase) in zip(WOBBLE_HARMONICS, self.wobble, strict=True)
        )
        depth: Float64Array = edge - np.hypot(along, across)
        return depth

    def _contrast(self, depth: Float64Array) -> Float64Array:
        """Return what the tumor adds at each pixel: its contrast, rim, core and texture."""
        from scipy.ndimage import gaussian_filter

        core_begins, rim_ends = 1 - self.core_radius, (1 - self.core_radius) / 2
        grain = gaussian_filter(np.random.default_rng(self.seed).standard_normal(depth.shape), self.texture_sigma_px)
        texture = grain * (self.texture_std_hu / max(float(grain.std()), 1e-6))
        contrast: Float64Array = (
            self.contrast_hu + texture + self.rim_hu * (depth < rim_ends) + self.core_hu * (depth > core_begins)
        )
        return contrast


def draw_textured_tumor(
    rng: np.random.Generator,
    region_px: Int64Array,
    liver_median_hu: float,
    spacing_mm: float,
    config: SynthesisConfig,
) -> TexturedTumor:
    """Draw a tumor whose center lies in a region.

    Args:
        rng: Generator.
        region_px: Rows and columns of the region's pixels, shape (n, 2), n >= 1.
        liver_median_hu: Median liver HU of the volume.
        spacing_mm: In-plane pixel spacing.
        config: Smallest and largest radius; radii are drawn evenly on a logarithmic scale.
    """
    row, column = region_px[rng.integers(len(region_px))] + rng.uniform(-0.5, 0.5, 2)
    radius_px = np.exp(rng.uniform(np.log(config.minimum_radius_mm), np.log(config.maximum_radius_mm))) / spacing_mm
    stretch = np.exp(rng.uniform(-0.3, 0.3))
    amplitudes = rng.uniform(0, 0.25) * rng.dirichlet(np.ones(len(WOBBLE_HARMONICS)))
    phases = rng.uniform(0, 2 * np.pi, len(WOBBLE_HARMONICS))
    contrast_hu = draw_contrast(rng)
    return TexturedTumor(
        center_px=(float(row), float(column)),
        radii_px=(float(radius_px * stretch), float(radius_px / stretch)),
        angle=rng.uniform(0, np.pi),
        wobble=tuple(zip(amplitudes.tolist(), phases.tolist(), strict=True)),
        edge_px=rng.uniform(0.3, 1.5) / spacing_mm,
        contrast_hu=contrast_hu,
        rim_hu=_sometimes(rng, 0.3) * rng.uniform(-0.4, 0.6) * abs(contrast_hu),
        core_hu=_sometimes(rng, 0.3) * rng.uniform(-0.6, 0.2) * abs(contrast_hu),
        core_radius=rng.uniform(0.4, 0.7),
        texture_std_hu=rng.uniform(0, 8),
        texture_sigma_px=float(rng.choice([2.0, 4.0, 8.0])) * rng.uniform(0.5, 1.0) / spacing_mm,
        vessel_retention=rng.uniform(0, 0.8),
        liver_median_hu=float(liver_median_hu),
        seed=int(rng.integers(2**32)),
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
