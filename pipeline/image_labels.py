"""Image-level labels: propagation from the volume, and their refinement by anatomy (ILR, eq. 2)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import SEGMENT_COUNT, BoolArray


def encode_segments(segments: Iterable[int]) -> BoolArray:
    """Return segments 1..8 as `bool[8]`; no segment means healthy.

    Args:
        segments: Segment numbers.

    Raises:
        ValueError: If a number is not in 1..8.

    Example:
        >>> encode_segments([4, 5]).nonzero()[0].tolist()
        [3, 4]
    """
    label = np.zeros(SEGMENT_COUNT, dtype=bool)
    for segment in segments:
        if not 1 <= segment <= SEGMENT_COUNT:
            raise ValueError(f"segment {segment} is not one of 1..{SEGMENT_COUNT}")
        label[segment - 1] = True
    return label


def find_segments_present(segment_area_mm2: NDArray[np.float32], minimum_area_mm2: float) -> BoolArray:
    """Tell which segments are on each slice: S_k of the paper.

    A few stray pixels of a segment must not keep a wrong label alive, hence the minimum area.

    Args:
        segment_area_mm2: Area of each segment on each slice, shape (n, 8).
        minimum_area_mm2: A segment counts from this area on; one of area 0 never counts.

    Returns:
        bool, shape (n, 8).
    """
    present: BoolArray = (segment_area_mm2 > 0) & (segment_area_mm2 >= minimum_area_mm2)
    return present


def refine_image_labels(image_label: BoolArray, segments_present: BoolArray) -> BoolArray:
    """Refine slice labels by anatomy, eq. 2: keep a named segment only where it is on the slice, `y & s`.

    Args:
        image_label: Labels propagated from the volume, shape (n, 8).
        segments_present: Segments on each slice, shape (n, 8).

    Returns:
        bool, shape (n, 8). A row without any segment is a healthy slice.

    Raises:
        ValueError: If the shapes differ.
    """
    if image_label.shape != segments_present.shape:
        raise ValueError(f"labels {image_label.shape} and segments present {segments_present.shape} differ in shape")
    return image_label & segments_present


def find_tumor_segments(couinaud_map: NDArray[np.uint8], tumor_mask: BoolArray) -> BoolArray:
    """Return the true label of each slice: the segments that hold at least one tumor pixel on it.

    Args:
        couinaud_map: 0 outside the liver, segments 1..8, shape (n, H, W).
        tumor_mask: Reference tumor, same shape. Tumor outside of the liver names nothing.

    Returns:
        bool, shape (n, 8).
    """
    tumor = np.where(tumor_mask, couinaud_map, 0)
    return np.stack([(tumor == segment).any(axis=(1, 2)) for segment in range(1, SEGMENT_COUNT + 1)], axis=1)


def select_named_pixels(couinaud_map: NDArray[np.uint8], label: BoolArray) -> BoolArray:
    """Return the pixels that lie in the segments that a label names.

    Args:
        couinaud_map: 0 outside the liver, segments 1..8, shape (n, H, W).
        label: Shape (n, 8).

    Returns:
        bool, shape (n, H, W).
    """
    table = np.concatenate([np.zeros((len(label), 1), dtype=bool), label], axis=1)
    return table[np.arange(len(label))[:, None, None], couinaud_map]
