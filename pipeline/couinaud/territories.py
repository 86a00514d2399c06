"""The constructor `territories`: every liver voxel belongs to the segment of the nearest named portal branch.

Branches are named by where they lie in the division of `planes`: the first point from the hilum on whose tree lies
mostly in one segment begins a branch of that segment; what comes before are trunks, which feed several. Distances are
those in millimeters to the branches' center lines (Euclidean distance transform). The caudate lobe is that of `planes`.
"""

from __future__ import annotations

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, Float64Array, Int64Array, UInt8Array
from pipeline.config import CouinaudConfig
from pipeline.couinaud.completion import complete_map
from pipeline.couinaud.division import voxel_indices
from pipeline.couinaud.liver_vessels import LiverVessels
from pipeline.couinaud.planes import cut_by_vessels
from pipeline.couinaud.portal_vein import root_portal
from pipeline.couinaud.result import CouinaudMap
from pipeline.couinaud.skeleton import RootedForest
from pipeline.volume import Volume

PURE = 0.9
"""A branch is named after a segment if this share of its tree lies there,"""
SMALLEST_BRANCH_MM = 15.0
"""and if its tree is at least so long."""
_ANY_SHARE = float(np.nextafter(1.0, 0.0))


def build_territory_map(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Divide a liver by the branches of its portal vein, and by planes where a segment has none.

    Args:
        volume: With vessel masks.
        config: As the constructor `shape` reads it.

    Raises:
        CaseError: As `build_shape_map` and `divide_by_branches`.
    """
    from pipeline.couinaud.shape import build_shape_map

    return divide_by_branches(volume, build_shape_map(volume, config))


def divide_by_branches(volume: Volume, shape: CouinaudMap) -> CouinaudMap:
    """Give each liver voxel the segment of the nearest portal branch.

    Args:
        volume: With vessel masks.
        shape: A map of the same liver; it also gives the caudate lobe.

    Returns:
        The map, flagged `SEGMENT_n_FROM_PLANES` for each of 2 to 8 that has no branch, and as `divide_by_vessels`.

    Raises:
        CaseError: As `divide_by_vessels`.
    """
    planes, flags, vessels = cut_by_vessels(volume, shape)
    seeds = seed_branches(volume, vessels, planes)
    missing = [segment for segment in range(2, SEGMENT_COUNT + 1) if not (seeds == segment).any()]
    flags += [f"SEGMENT_{segment}_FROM_PLANES" for segment in missing]
    labels = planes
    if seeds.any():
        labels = complete_map(seeds, volume.liver_mask, volume.geometry.spacing_mm, _ANY_SHARE)
        kept = np.isin(planes, [1, *missing])
        labels[kept] = planes[kept]
    return CouinaudMap(labels, "territories", tuple(sorted({*shape.flags, *flags})))


def seed_branches(volume: Volume, vessels: LiverVessels, planes: UInt8Array) -> UInt8Array:
    """Draw the center lines of the named branches into an empty map.

    Args:
        volume: The volume.
        vessels: Its vessels.
        planes: Its map by planes.

    Returns:
        0 or the segment of a branch, of the volume's shape; 0 outside of the liver.
    """
    voxels = tuple(voxel_indices(vessels.portal.points, volume.geometry).T)
    forest = root_portal(vessels.portal, vessels.hilum)
    seeds = np.zeros_like(planes)
    seeds[voxels] = name_branches(forest, np.where(vessels.portal_inside, planes[voxels], 0))
    seeds[~volume.liver_mask] = 0
    return seeds


def name_branches(forest: RootedForest, segments: UInt8Array) -> UInt8Array:
    """Name each point of a portal tree after the segment that its branch feeds.

    Args:
        forest: The portal vein.
        segments: Where each point lies: segment 2..8, or 0 or 1 for a point that does not count, shape (n,).

    Returns:
        0 on trunks, twigs of trunks and branches without a name, else the segment, shape (n,).
    """
    trees = _measure_trees(forest, segments)
    total, main = trees.sum(axis=1), np.argmax(trees, axis=1)
    pure = (total >= SMALLEST_BRANCH_MM) & (trees.max(axis=1) >= PURE * total)
    names = np.zeros(len(segments), np.uint8)
    for point in forest.order:
        parent = forest.parent[point]
        inherited = names[parent] if parent >= 0 else 0
        names[point] = inherited or (main[point] if pure[point] else 0)
    return names


def _measure_trees(forest: RootedForest, segments: UInt8Array | Int64Array) -> Float64Array:
    """Return the length of the tree at and beyond each point that lies in each segment 2..8, shape (n, 9)."""
    parent = forest.parent
    own = np.where(parent >= 0, forest.depth_mm - forest.depth_mm[parent], 0.0)
    lengths = np.zeros((len(parent), SEGMENT_COUNT + 1))
    lengths[np.arange(len(parent)), segments] = own
    lengths[:, :2] = 0.0
    for point in forest.order[::-1]:
        if parent[point] >= 0:
            lengths[parent[point]] += lengths[point]
    return lengths
