"""Pixel labels refined lesion by lesion: continuity along z in millimeters, and agreement with the volume's label.

Beside the paper's neighbor-slice continuity index, which judges a slice by its best neighbor whatever their distance,
this looks at a volume in 3-D. It knows what the label says: each named segment holds a tumor, the others none.
"""

from __future__ import annotations

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray, Float32Array, UInt8Array
from pipeline.config import PixelLabelConfig
from pipeline.geometry import liver_box
from pipeline.holes import fill_holes
from pipeline.smoothing import smooth_inside

LESION_SIGMA_MM = 3.0
"""Gaussian under which a lesion's peak is measured: about the size from which tumors are reported."""
REQUIRED_SHARE = 0.5
"""Where a named segment's highest peak is low, its threshold is this share of it, so that something is found there,
unless that is below `MINIMUM_PROBABILITY`."""
MINIMUM_PROBABILITY = 0.02
"""What is never called a tumor, whatever the label says."""
_LEAST_WEIGHT, _REACH = 0.2, 3.0
"""Of the Gaussians; see `smooth_inside`."""
_TOUCHING = np.ones((3, 3, 3))
"""Voxels that share a corner belong to one lesion."""


def refine_lesions(
    probability: Float32Array,
    named_map: UInt8Array,
    relative_hu: Float32Array,
    spacing_mm: tuple[float, float, float],
    config: PixelLabelConfig,
) -> BoolArray:
    """Return the tumor mask of a volume.

    With o the probability where the tissue is not darker than `minimum_relative_hu`, else 0, R the named segments and
    G a Gaussian: a voxel of segment g is found if `(G_z * o) / max(G_z * R, 0.2) >= max(min(tau, P_g / 2), 0.02)`, with
    G_z along z only and P_g the highest value of `(G_xyz * o) / max(G_xyz * R, 0.2)` in g; a segment where nothing
    reaches 0.02 stays empty. Of the connected lesions stay those that reach `lesion_share` of P_g in some named segment
    g, with `fill_holes` together with what they enclose on a slice.

    Args:
        probability: o_k of consecutive slices, in [0, 1], shape (n, H, W).
        named_map: Number of the segment on each pixel that the slice's label names, else 0; same shape.
        relative_hu: HU minus the liver's median, same shape.
        spacing_mm: z, y, x.
        config: tau, `smoothing_mm`, `lesion_share`, `minimum_relative_hu` and `fill_holes`.

    Returns:
        Same shape; inside the named segments.
    """
    from scipy.ndimage import label

    region: BoolArray = named_map > 0
    refined = np.zeros_like(region)
    if not region.any():
        return refined
    box = liver_box(region)
    region, segment = region[box], named_map[box]
    tissue = np.where(relative_hu[box] >= config.minimum_relative_hu, probability[box], np.float32(0))
    along_z = (config.smoothing_mm / spacing_mm[0], 0.0, 0.0)
    in_space = tuple(LESION_SIGMA_MM / step for step in spacing_mm)
    axial, height = (smooth_inside(tissue, region, sigma, _LEAST_WEIGHT, _REACH) for sigma in (along_z, in_space))
    peak = np.zeros(SEGMENT_COUNT + 1, np.float32)
    np.maximum.at(peak, segment[region], height[region])
    threshold = np.maximum(np.minimum(config.threshold, REQUIRED_SHARE * peak), MINIMUM_PROBABILITY)
    found = region & (axial >= threshold[segment])
    lesions, count = label(found, _TOUCHING)
    reached = np.zeros((count + 1, SEGMENT_COUNT + 1), np.float32)
    np.maximum.at(reached, (lesions[found], segment[found]), height[found])
    kept: BoolArray = np.any((reached > 0) & (reached >= config.lesion_share * peak), axis=1)
    mask: BoolArray = np.take(kept, lesions)
    refined[box] = fill_holes(mask, region) if config.fill_holes else mask
    return refined
