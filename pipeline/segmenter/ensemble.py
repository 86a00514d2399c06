"""The segmenter and CouinaudNet together: the mean of their probabilities without dark tissue, smoothed along z.

The two networks fail in different ways. CouinaudNet has seen synthetic tumors of all kinds but no real one: it misses
little and finds too much. The segmenter has seen the real tumors that the pseudo masks hold, and misses other kinds.
"""

from __future__ import annotations

import numpy as np

from pipeline.arrays import BoolArray, Float32Array
from pipeline.config import GridConfig, SegmenterConfig
from pipeline.holes import fill_holes
from pipeline.intensity import gray_to_hu
from pipeline.labeled_slices import stack_neighbors
from pipeline.prediction import TumorSpotter
from pipeline.segmenter.dataset import NetworkInput, Rows
from pipeline.segmenter.prediction import smooth_across_slices


def spot_whole_liver(spotter: TumorSpotter, rows: Rows) -> Float32Array:
    """Return CouinaudNet's tumor probability in the whole liver.

    Args:
        spotter: The trained CouinaudNet.
        rows: The liver slices of one volume, as `read_liver_slices` gives them.

    Returns:
        float32, shape (n, H, W); zero outside the liver.
    """
    index, context = rows["slice_index"], spotter.context_slices
    image, couinaud_map = (stack_neighbors(rows[name], index, index, context) for name in ("image", "couinaud_map"))
    levels = spotter.predict(image, couinaud_map > 0, rows["liver_median_hu"], rows["couinaud_map"] > 0)
    return (levels / 255).astype(np.float32)


def find_dark(rows: Rows, grid: GridConfig, config: SegmenterConfig) -> BoolArray:
    """Return what is darker than the liver's median by more than the settings allow for a tumor, shape (n, H, W)."""
    hu = gray_to_hu(rows["image"], grid.window_low_hu, grid.window_high_hu)
    dark: BoolArray = hu - rows["liver_median_hu"][:, None, None] < config.minimum_relative_hu
    return dark


def combine_probabilities(
    segmented: Float32Array,
    spotted: Float32Array | None,
    dark: BoolArray,
    slices: NetworkInput,
    config: SegmenterConfig,
) -> Float32Array:
    """Return the tumor probability that is thresholded.

    Args:
        segmented: The segmenter's, shape (n, H, W).
        spotted: CouinaudNet's, same shape; None without one.
        dark: Where there is no tumor, same shape.
        slices: The volume.
        config: `couinaudnet_share` of the mean, `smoothing_mm`, and whether to `fill_holes`.

    Returns:
        float32, shape (n, H, W); at least the threshold in what is filled.
    """
    share = np.float32(config.couinaudnet_share)
    mean = segmented if spotted is None else (1 - share) * segmented + share * spotted
    probability = smooth_across_slices(np.where(dark, np.float32(0), mean), slices, config.smoothing_mm)
    if not config.fill_holes:
        return probability
    filled = fill_holes(probability >= config.threshold, slices.liver_mask)
    return np.where(filled, np.maximum(probability, np.float32(config.threshold)), probability)
