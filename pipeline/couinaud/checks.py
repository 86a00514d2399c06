"""The gate that every Couinaud map goes through: what must hold, and what is worth a flag."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray, Float64Array, UInt8Array
from pipeline.couinaud.result import CouinaudMap
from pipeline.errors import CaseError
from pipeline.geometry import liver_box

MEAN_FRACTIONS = (0.03, 0.13, 0.07, 0.15, 0.15, 0.10, 0.16, 0.23)
"""Mean share of the liver that segments 1..8 have in public annotations of the 20 scans of 3D-IRCADb-01."""
FRACTION_DEVIATIONS = (0.02, 0.04, 0.03, 0.06, 0.03, 0.03, 0.04, 0.05)
"""Standard deviations of the same."""
DEVIATIONS = 3.0
"""Shares that are further than this from the mean are flagged."""


def check_map(made: CouinaudMap, liver_mask: BoolArray) -> CouinaudMap:
    """Enforce that a map divides the liver, and flag segments of unusual size.

    Args:
        made: A constructor's map.
        liver_mask: The liver, at least one voxel.

    Returns:
        The map with `FRACTION_SEGMENT_n` among its flags for each segment that is absent, or whose share of the liver
        lies more than `DEVIATIONS` standard deviations from the mean of public annotations.

    Raises:
        ValueError: If a liver voxel has no segment 1..8, another voxel has one, or shape or dtype differ: an error of
            the constructor, not of the case.
    """
    labels = made.labels
    if labels.shape != liver_mask.shape or labels.dtype != np.uint8:
        sides = f"{labels.dtype} {labels.shape}, expected uint8 {liver_mask.shape}"
        raise ValueError(f"constructor {made.method} gave a map of {sides}")
    box = liver_box(liver_mask)
    inside, liver = labels[box], liver_mask[box]
    wrong = np.count_nonzero(labels) - np.count_nonzero(inside)
    wrong += np.count_nonzero((inside > 0) != liver) + np.count_nonzero(inside > SEGMENT_COUNT)
    if wrong:
        raise ValueError(f"constructor {made.method} gave {wrong} voxels a label that does not follow the liver")
    return replace(made, flags=tuple(sorted({*made.flags, *flag_fractions(measure_fractions(inside))})))


def require_named_segments(made: CouinaudMap, image_label: BoolArray) -> None:
    """Check that each segment that a volume's label names is in its map.

    Of a segment that is not, every slice would become healthy, and its tumors healthy tissue to train on.

    Args:
        made: The volume's map.
        image_label: The volume's label, shape (8,).

    Raises:
        CaseError: LABEL_NOT_IN_MAP.
    """
    named = (np.flatnonzero(image_label) + 1).tolist()
    if missing := [segment for segment in named if not (made.labels == segment).any()]:
        sides = f"segments {_list(named)}, the Couinaud map ({made.method}) has no segment {_list(missing)}"
        raise CaseError("LABEL_NOT_IN_MAP", f"the label names {sides}", "construct_couinaud")


def _list(segments: list[int]) -> str:
    """Return segments as text."""
    return ", ".join(map(str, segments))


def measure_fractions(labels: UInt8Array) -> Float64Array:
    """Return the share of the liver that segments 1..8 have, shape (8,); the map has at least one labeled voxel."""
    counts = np.bincount(labels[labels > 0], minlength=SEGMENT_COUNT + 1)[1:]
    fractions: Float64Array = counts / counts.sum()
    return fractions


def flag_fractions(fractions: Float64Array) -> list[str]:
    """Return the flags of segments whose share of the liver, shape (8,), is zero or unusual."""
    distance = np.abs(fractions - MEAN_FRACTIONS) / FRACTION_DEVIATIONS
    unusual = np.flatnonzero((fractions == 0) | (distance > DEVIATIONS))
    return [f"FRACTION_SEGMENT_{index + 1}" for index in unusual]
