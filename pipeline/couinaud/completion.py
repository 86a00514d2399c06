"""Completing a Couinaud map, so that every liver voxel belongs to exactly one segment and no other voxel to any."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from pipeline.arrays import BoolArray, UInt8Array
from pipeline.errors import CaseError
from pipeline.geometry import liver_box


def complete_map(
    labels: UInt8Array, liver_mask: BoolArray, spacing_mm: tuple[float, float, float], maximum_unlabeled_fraction: float
) -> UInt8Array:
    """Give each unlabeled liver voxel the segment of the nearest labeled liver voxel, and clear the rest.

    Args:
        labels: 0 or segment 1..8, shape (z, y, x).
        liver_mask: Same shape, at least one voxel.
        spacing_mm: Voxel spacing along z, y, x; nearness is in millimeters.
        maximum_unlabeled_fraction: Largest share of the liver that may be filled, below 1.

    Returns:
        uint8 of the same shape: 1..8 on every liver voxel, 0 elsewhere. A complete map comes back unchanged.

    Raises:
        CaseError: COUINAUD_INCOMPLETE if more than the allowed share has no label.
    """
    box = liver_box(liver_mask)
    liver, cropped = liver_mask[box], np.where(liver_mask[box], labels[box], 0).astype(np.uint8)
    unlabeled = liver & (cropped == 0)
    fraction = np.count_nonzero(unlabeled) / np.count_nonzero(liver)
    if fraction > maximum_unlabeled_fraction:
        raise CaseError(
            "COUINAUD_INCOMPLETE",
            f"the Couinaud map leaves {fraction:.1%} of the liver without a segment, at most"
            f" {maximum_unlabeled_fraction:.1%} are allowed",
            "construct_couinaud",
        )
    if unlabeled.any():
        nearest = distance_transform_edt(cropped == 0, spacing_mm, return_distances=False, return_indices=True)
        cropped[unlabeled] = cropped[tuple(axis[unlabeled] for axis in nearest)]
    completed = np.zeros(labels.shape, np.uint8)
    completed[box] = cropped
    return completed
