"""How many pixels of a slice reach each level: the kernel of the one-pass sweep statistics.

A probability is zero outside the segments that the label names, so most pixels of a slice count nothing. Pixels are
taken in words of eight, and words without any probability are dropped before a pixel is counted. Where there is a
reference mask, the key `o_k + 256 g_k` gives the pixels of the slice and those inside the mask in one histogram.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Int32Array, UInt8Array
from pipeline.refinement.levels import LEVELS

__all__ = ["LEVELS", "LevelCounts", "count_statistics"]

_WORD = 8
_Words = NDArray[np.uint64]


@dataclass(frozen=True)
class LevelCounts:
    """Pixels of each slice by the levels t = 0..256 that they reach; no pixel reaches 256.

    Args:
        above: `|o_k >= t|`, shape (n, 257).
        shared: `|min(o_k, o_k+j) >= t|` with the slice j = 1..radius further, shape (n, radius, 257); 0 without one.
        inside: `|o_k >= t and g_k|` with the reference mask g_k, shape (n, 257); 0 without a reference.
    """

    above: Int32Array
    shared: Int32Array
    inside: Int32Array


def count_statistics(
    probability: UInt8Array,
    slice_index: Int32Array,
    reference: UInt8Array | None,
    radius: int,
    beyond: Sequence[tuple[UInt8Array, Int32Array]] = (),
) -> LevelCounts:
    """Count the pixels of slices at all levels in one pass.

    Args:
        probability: Stored levels of o_k, shape (n, H, W). Rows of one volume in strictly ascending `slice_index`.
        slice_index: Shape (n,).
        reference: g_k packed to bits, shape (n, ceil(H W / 8)), most significant bit first; None without a reference.
        radius: How many slices further a neighbor may be, at least 1.
        beyond: Probabilities and slice indices of slices after these, which are neighbors but not counted themselves.

    Returns:
        Counts of the n slices.

    Raises:
        ValueError: If the slices are not in order, or shapes differ.
    """
    parts = [(probability, slice_index), *beyond]
    _check(parts, reference)
    words_of = {k: words for levels, index in parts for k, words in zip(index.tolist(), _to_words(levels), strict=True)}
    masks = [None] * len(slice_index) if reference is None else reference
    histogram = np.zeros((len(slice_index), 2 + radius, LEVELS), dtype=np.int32)
    whole = np.zeros((len(slice_index), 2 + radius), dtype=np.int32)
    pixels = math.prod(probability.shape[1:])
    for row, (k, mask) in enumerate(zip(slice_index.tolist(), masks, strict=True)):
        neighbors = [words_of.get(k + distance) for distance in range(1, radius + 1)]
        _count_slice(words_of[k], neighbors, mask, histogram[row])
        inside = 0 if mask is None else int(np.bitwise_count(mask).sum())
        whole[row] = [pixels, inside, *(0 if neighbor is None else pixels for neighbor in neighbors)]
    counts = _accumulate(histogram, whole)
    return LevelCounts(above=counts[:, 0], shared=counts[:, 2:], inside=counts[:, 1])


def _count_slice(
    words: _Words, neighbors: Sequence[_Words | None], mask: UInt8Array | None, histogram: Int32Array
) -> None:
    """Fill the histograms of o_k, of o_k inside the mask, and of the smaller of o_k and each neighbor.

    Shape (2 + radius, 256); level 0 is not counted.
    """
    (some,) = (words != 0).nonzero()
    if not some.size:
        return
    levels = words.take(some).view(np.uint8)
    if mask is None:
        histogram[0] = np.bincount(levels, minlength=LEVELS)
    else:
        key = np.unpackbits(mask.take(some)).astype(np.uint16)  # a byte of the mask is a word of pixels
        key <<= 8
        key += levels
        histogram[:2] = np.bincount(key, minlength=2 * LEVELS).reshape(2, LEVELS)
        histogram[0] += histogram[1]
    for row, neighbor in enumerate(neighbors, start=2):
        if neighbor is not None:
            both = np.minimum(levels, neighbor.take(some).view(np.uint8))
            histogram[row] = np.bincount(both, minlength=LEVELS)


def _accumulate(histogram: Int32Array, whole: Int32Array) -> Int32Array:
    """Return how many pixels reach each level from how many have it: (n, m, 256) to (n, m, 257).

    Args:
        histogram: Pixels of each level.
        whole: Pixels of the slice, which all reach level 0, shape (n, m).
    """
    counts = np.zeros((*whole.shape, LEVELS + 1), dtype=np.int32)
    np.cumsum(histogram[:, :, :0:-1], axis=2, out=counts[:, :, LEVELS - 1 : 0 : -1])
    counts[:, :, 0] = whole
    return counts


def _to_words(pixels: UInt8Array) -> _Words:
    """View slices as words of eight pixels, padded with zeros: shape (n, H, W) to (n, ceil(H W / 8))."""
    flat = pixels.reshape(len(pixels), math.prod(pixels.shape[1:]))
    padding = -flat.shape[1] % _WORD
    whole = np.pad(flat, ((0, 0), (0, padding))) if padding else np.ascontiguousarray(flat)
    return whole.view(np.uint64)


def _check(parts: Sequence[tuple[UInt8Array, Int32Array]], reference: UInt8Array | None) -> None:
    """Raise `ValueError` unless slices are in order and shapes agree."""
    shape = parts[0][0].shape
    for probability, slice_index in parts:
        if len(probability) != len(slice_index):
            raise ValueError(f"{len(probability)} probability slices but {len(slice_index)} slice indices")
        if probability.shape[1:] != shape[1:]:
            raise ValueError(f"slices of {shape[1:]} and beyond them of {probability.shape[1:]}")
    order = np.concatenate([slice_index for _, slice_index in parts])
    if np.any(np.diff(order) <= 0):
        raise ValueError(f"slice_index must ascend strictly, got {order.tolist()}")
    packed = (shape[0], -(-math.prod(shape[1:]) // _WORD))
    if reference is not None and reference.shape != packed:
        raise ValueError(f"probabilities {shape} need packed references {packed}, got {reference.shape}")
