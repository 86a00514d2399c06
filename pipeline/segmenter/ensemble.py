"""The segmenter and CouinaudNet together: the mean of their probabilities, smoothed along z, lesion by lesion.

The two networks fail in different ways. CouinaudNet has seen synthetic tumors of all kinds but no real one: it misses
little and finds too much. The segmenter has seen the real tumors that the pseudo masks hold, and misses other kinds.
In their mean a lesion is outlined where either sees it, and it counts as one if both see it at one place.
"""

from __future__ import annotations

import numpy as np

from pipeline.arrays import BoolArray, Float32Array, Int32Array
from pipeline.config import GridConfig, SegmenterConfig
from pipeline.holes import fill_holes
from pipeline.intensity import gray_to_hu
from pipeline.labeled_slices import stack_neighbors
from pipeline.prediction import TumorSpotter
from pipeline.segmenter.dataset import NetworkInput, Rows
from pipeline.segmenter.prediction import smooth_across_slices
from pipeline.slabs import fill_gaps

TOUCHING = np.ones((3, 3, 3))
"""Voxels that share a corner belong to one lesion."""
ABOVE_THRESHOLD = 1 + 1e-5
"""What is filled lies so far above the threshold. The weights of `pipeline.geometry.linear_weights` sum to 1 only up to
rounding, so that of a core at the threshold itself many voxels would fall short of it on the native grid."""


def spot_whole_liver(spotter: TumorSpotter, rows: Rows) -> Float32Array:
    """Return CouinaudNet's tumor probability in the whole liver.

    Args:
        spotter: The trained CouinaudNet.
        rows: The liver slices of one volume, as `read_liver_slices` gives them.

    Returns:
        float32, shape (n, H, W); zero outside the liver.
    """
    index, context = rows["slice_index"], spotter.context_slices
    probability = np.empty(rows["image"].shape, np.float32)
    for start in range(0, len(index), spotter.chunk_slices):  # what the networks see takes many times the volume
        part = slice(start, start + spotter.chunk_slices)
        image, liver = (stack_neighbors(rows[name], index, index[part], context) for name in ("image", "couinaud_map"))
        levels = spotter.predict(image, liver > 0, rows["liver_median_hu"][part], rows["couinaud_map"][part] > 0)
        probability[part] = levels / 255
    return probability


def subtract_fat(rows: Rows, grid: GridConfig, config: SegmenterConfig) -> Float32Array:
    """Return HU minus the mean below which a lesion is fat: `lesion_hu`, or less in a liver that is dark itself.

    Args:
        rows: The liver slices of one volume, as `read_liver_slices` gives them.
        grid: The run's window.
        config: `lesion_hu`, and `lesion_relative_hu`, which is added to the liver's median.

    Returns:
        float32, shape (n, H, W).
    """
    hu = gray_to_hu(rows["image"], grid.window_low_hu, grid.window_high_hu)
    fat_hu = np.minimum(config.lesion_hu, rows["liver_median_hu"] + config.lesion_relative_hu)
    return hu - fat_hu.astype(np.float32)[:, None, None]


def combine_probabilities(
    segmented: Float32Array,
    spotted: Float32Array | None,
    above_fat_hu: Float32Array,
    slices: NetworkInput,
    config: SegmenterConfig,
) -> Float32Array:
    """Return the tumor probability that is thresholded.

    With both smoothed along z, p their mean and q the lower of them: voxels with p >= `threshold` that share corners
    are a lesion, along with what it encloses on a slice. One stays if its highest p reaches `lesion_peak`, its highest
    q `lesion_agreement`, and its mean of `above_fat_hu` 0: the core of a tumor may be as dark as the partial volume of
    fat, but not the whole of it.

    Args:
        segmented: The segmenter's, shape (n, H, W).
        spotted: CouinaudNet's, same shape; None without one: then p and q are the segmenter's.
        above_fat_hu: As `subtract_fat` gives it, same shape.
        slices: The volume.
        config: `couinaudnet_share` of the mean, `smoothing_mm`, `fill_holes`, and what a lesion must reach.

    Returns:
        float32, shape (n, H, W): p, but in what is filled `ABOVE_THRESHOLD` times the threshold, at most 1, and in
        lesions that do not stay 0.
    """
    probability = lower = smooth_across_slices(segmented, slices, config.smoothing_mm)
    if spotted is not None:
        share = np.float32(config.couinaudnet_share)
        spotted = smooth_across_slices(spotted, slices, config.smoothing_mm)
        lower = np.minimum(probability, spotted)
        probability = (1 - share) * probability + share * spotted
    del segmented, spotted  # of a long volume half a gigabyte each
    found = probability >= config.threshold
    if config.fill_holes:
        filled = fill_holes(found, slices.liver_mask) & ~found
        probability = np.where(filled, np.float32(min(1.0, config.threshold * ABOVE_THRESHOLD)), probability)
        found |= filled
    dropped = found & ~select_lesions(found, probability, lower, above_fat_hu, slices.slice_index, config)
    return np.where(dropped, np.float32(0), probability)


def select_lesions(
    found: BoolArray,
    probability: Float32Array,
    lower: Float32Array,
    above_fat_hu: Float32Array,
    slice_index: Int32Array,
    config: SegmenterConfig,
) -> BoolArray:
    """Return the lesions that reach `lesion_peak` and `lesion_agreement` somewhere and are above fat on the mean.

    Args:
        found: All lesions, shape (n, H, W).
        probability: Tumor probability, same shape.
        lower: The lower of both networks', same shape.
        above_fat_hu: As `subtract_fat` gives it, same shape.
        slice_index: Ascending z indices, shape (n,), n >= 1; slices that are not next to each other share no lesion.
        config: `lesion_peak`, `lesion_agreement`.

    Returns:
        Same shape.
    """
    from scipy import ndimage

    lesions, count = ndimage.label(fill_gaps(found, slice_index), TOUCHING)
    lesions = lesions[slice_index - slice_index[0]]
    numbers = np.arange(1, count + 1)
    peak, agreement = (np.asarray(ndimage.maximum(p, lesions, numbers)) for p in (probability, lower))
    mean_above_fat = np.asarray(ndimage.mean(above_fat_hu, lesions, numbers))
    stays = (peak >= config.lesion_peak) & (agreement >= config.lesion_agreement) & (mean_above_fat >= 0)
    selected: BoolArray = np.append(False, stays)[lesions]
    return selected
