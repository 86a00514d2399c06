"""Synthetic tumors for healthy slices and their neighbors: drawing is random, painting is not.

`draw_tumors` returns parameters that say what to paint where; `apply_tumors` paints them. Everything is measured in
HU and pixels, and a tumor never leaves the Couinaud segments that were chosen for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray, Float32Array, UInt8Array
from pipeline.config import SynthesisConfig
from pipeline.synthesis.superpixel import SuperpixelTumor, draw_superpixel_tumor
from pipeline.synthesis.textured import TexturedTumor, draw_textured_tumor

SEGMENT_COUNT_PROBABILITY = {1: 0.6, 2: 0.25, SEGMENT_COUNT: 0.15}
"""How many segments are chosen, at most those that there are: volume labels may name several, or the whole liver."""


@dataclass(frozen=True)
class TumorParameters:
    """What is painted on one slice.

    Args:
        segments: Chosen Couinaud segments; empty only if the slice has no liver.
        tumors: Tumors inside the union of the chosen segments; empty on a slice that stays healthy.
    """

    segments: tuple[int, ...]
    tumors: tuple[SuperpixelTumor | TexturedTumor, ...]


def slice_generator(seed: int, epoch: int, volume_id: str, slice_index: int) -> np.random.Generator:
    """Return the generator of one slice in one epoch: the same whichever worker asks, and whenever."""
    return np.random.default_rng([seed, epoch, crc32(volume_id.encode()), slice_index])


def draw_tumors(
    rng: np.random.Generator,
    couinaud_map: UInt8Array,
    liver_median_hu: float,
    spacing_mm: tuple[float, float],
    config: SynthesisConfig,
) -> TumorParameters:
    """Draw segments of a slice, and tumors inside them that cross it.

    Args:
        rng: Generator of this slice.
        couinaud_map: The slice in the middle of its neighbors, shape (2 c + 1, H, W), c >= 0: 0 outside the liver,
            segments 1..8.
        liver_median_hu: Median liver HU of the volume.
        spacing_mm: Distance of slices, and in-plane pixel spacing.
        config: Style, sizes and the share of slices that stay healthy.

    Returns:
        Parameters. Segments under the minimum area get no tumor: where no segment is large enough the slice stays
        healthy, with any segment on it chosen.
    """
    middle, pixel_mm = len(couinaud_map) // 2, spacing_mm[1]
    area_px = np.bincount(couinaud_map[middle].ravel(), minlength=SEGMENT_COUNT + 1)
    area_px[0] = 0
    wide = np.flatnonzero(area_px * pixel_mm**2 >= max(config.minimum_segment_area_mm2, pixel_mm**2))
    healthy = rng.random() < config.healthy_fraction or len(wide) == 0
    candidates = wide if len(wide) else np.flatnonzero(area_px)
    wanted = rng.choice(list(SEGMENT_COUNT_PROBABILITY), p=list(SEGMENT_COUNT_PROBABILITY.values()))
    count = min(int(wanted), len(candidates))
    segments = tuple(int(segment) for segment in rng.choice(candidates, count, replace=False)) if count else ()
    if healthy:
        return TumorParameters(segments, ())
    if config.style == "superpixel":
        liver_share = float(area_px[list(segments)].sum() / area_px.sum())
        return TumorParameters(segments, (draw_superpixel_tumor(rng, liver_share, pixel_mm),))
    region = np.argwhere(np.isin(couinaud_map[middle], segments))
    region = np.insert(region, 0, middle, axis=1)
    number = int(rng.integers(1, config.maximum_tumors + 1))
    tumors = [draw_textured_tumor(rng, region, liver_median_hu, spacing_mm, config) for _ in range(number)]
    return TumorParameters(segments, tuple(tumor.cross_at_random() if middle else tumor for tumor in tumors))


def apply_tumors(
    hu: Float32Array, couinaud_map: UInt8Array, parameters: TumorParameters
) -> tuple[Float32Array, BoolArray, BoolArray]:
    """Paint tumors on healthy slices.

    Args:
        hu: Slices in HU, shape (n, H, W); they are not changed.
        couinaud_map: 0 outside the liver, segments 1..8, shape (n, H, W).
        parameters: As `draw_tumors` returned them for this map.

    Returns:
        The slices with tumors, equal to `hu` outside the chosen segments; the tumor mask; and the mask of the chosen
        segments, which contains it.
    """
    segment_mask: BoolArray = np.isin(couinaud_map, parameters.segments)
    tumor_mask: BoolArray = np.zeros_like(segment_mask)
    for tumor in parameters.tumors:
        hu, painted = tumor.paint(hu, segment_mask)
        tumor_mask |= painted
    return hu, tumor_mask, segment_mask
