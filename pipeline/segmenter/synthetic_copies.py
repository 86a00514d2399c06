"""Copies of volumes with three-dimensional synthetic tumors in healthy tissue, after Hu et al. (CVPR 2023)."""

from __future__ import annotations

from zlib import crc32

import numpy as np

from pipeline.arrays import BoolArray, Int32Array, UInt8Array
from pipeline.config import GridConfig, SynthesisConfig
from pipeline.intensity import gray_to_hu, window_to_gray
from pipeline.segmenter.cases import TrainingCase
from pipeline.slabs import fill_gaps
from pipeline.synthesis.textured import draw_textured_tumor

MAXIMUM_TUMORS = 10
"""At most this many tumors in one copy; Hu et al. paint up to 10 small or 3 large ones."""


def copy_generator(seed: int, case: TrainingCase) -> np.random.Generator:
    """Return the generator of one copy: the same whichever worker asks, and whenever."""
    return np.random.default_rng([seed, crc32(case.volume.volume_id.encode()), case.copy])


def paint_tumors(
    image: UInt8Array,
    healthy: BoolArray,
    centers: BoolArray,
    slice_index: Int32Array,
    case: TrainingCase,
    rng: np.random.Generator,
    grid: GridConfig,
    synthesis: SynthesisConfig,
) -> tuple[UInt8Array, BoolArray]:
    """Paint 1 to `MAXIMUM_TUMORS` tumors into healthy tissue, each going on along z as far as it reaches.

    Args:
        image: Gray values of the liver slices, shape (n, H, W); not changed.
        healthy: Where they may be, shape (n, H, W).
        centers: Where their centers may be, same shape; without a pixel there will be no tumor.
        slice_index: Ascending z indices, shape (n,).
        case: The copy; names spacing and median of its volume.
        rng: Generator of the copy.
        grid: The run's grid and window.
        synthesis: Sizes of the tumors.

    Returns:
        Gray values, which differ only in `healthy`, and the mask of the tumors.
    """
    tissue = fill_gaps(healthy, slice_index)
    hu = fill_gaps(gray_to_hu(image, grid.window_low_hu, grid.window_high_hu), slice_index)
    tumor_mask = np.zeros_like(tissue)
    spacing_mm = (case.volume.spacing_mm[0], grid.spacing_mm)
    median = case.volume.liver_median_hu
    candidates, count = np.flatnonzero(fill_gaps(centers, slice_index)), int(rng.integers(1, MAXIMUM_TUMORS + 1))
    places = rng.choice(candidates, count if len(candidates) else 0)
    for center in np.stack(np.unravel_index(places, tissue.shape), axis=1):
        tumor = draw_textured_tumor(rng, center[None], median, spacing_mm, synthesis)
        hu, painted = tumor.paint(hu, tissue)
        tumor_mask |= painted
    rows = slice_index - slice_index[0]
    return window_to_gray(hu[rows], grid.window_low_hu, grid.window_high_hu), tumor_mask[rows]
