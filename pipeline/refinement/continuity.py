"""Neighbor-slice continuity on masks packed to bits: overlaps are counted 64 pixels at a time (eq. 4).

A mask of H x W pixels is a row of `ceil(H W / 8)` bytes, most significant bit first, padded with zero bytes to whole
64-bit words. Areas and overlaps are counted with `np.bitwise_count`, some rows at a time, so that what lies between
mask and count stays in the core's cache.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import BoolArray, Float64Array, Int32Array, UInt8Array

WordArray = NDArray[np.uint64]

_WORD_BITS = 64
_WINDOW_BYTES = 1 << 19
"""Packed masks that are counted at once."""


def mask_bytes(pixels: int) -> int:
    """Return the bytes of a packed mask, `ceil(pixels / 8)`."""
    return -(-pixels // 8)


def black_masks(count: int, pixels: int) -> WordArray:
    """Return empty packed masks, shape (count, ceil(pixels / 64))."""
    return np.zeros((count, -(-pixels // _WORD_BITS)), dtype=np.uint64)


def pack_masks(masks: BoolArray) -> WordArray:
    """Pack masks to bits: shape (n, H, W) to (n, ceil(H W / 64)) words, padded with zeros."""
    pixels = math.prod(masks.shape[1:])
    words = black_masks(len(masks), pixels)
    words.view(np.uint8)[:, : mask_bytes(pixels)] = np.packbits(masks.reshape(len(masks), pixels), axis=1)
    return words


def unpack_masks(packed: UInt8Array, shape: tuple[int, ...]) -> BoolArray:
    """Return packed masks, (n, at least ceil(H W / 8)) bytes, as bool of shape (n, H, W)."""
    bits = np.unpackbits(packed, axis=1, count=math.prod(shape))
    return bits.view(np.bool_).reshape(len(packed), *shape)


class ContinuityWindow:
    """Areas and best neighbor Dice of packed masks, counted a few rows at a time.

    Args:
        words: Packed masks of one volume, shape (n, w). They may be filled in as counting goes on.
        slice_index: Strictly ascending, shape (n,).
        radius: Slices on each side that may continue a mask. Distance is counted in `slice_index`, so gaps count.
    """

    def __init__(self, words: WordArray, slice_index: Int32Array, radius: int) -> None:
        self.words = words
        self.slice_index = slice_index
        self.radius = radius
        self.area = np.zeros(len(words), dtype=np.int64)
        self.best: Float64Array = np.zeros(len(words))

    def extend(self, slice_index: Int32Array) -> ContinuityWindow:
        """Return a window of these rows, which are counted, and room for more above them, still black.

        Raises:
            ValueError: If the slices do not ascend.
        """
        index = np.concatenate([self.slice_index, slice_index])
        check_ascending(index)
        window = ContinuityWindow(np.zeros((len(index), self.words.shape[1]), np.uint64), index, self.radius)
        for mine, theirs in ((window.words, self.words), (window.area, self.area), (window.best, self.best)):
            mine[: len(theirs)] = theirs
        return window

    def last(self, count: int) -> ContinuityWindow:
        """Return a copy of the last rows, to go on from."""
        start = len(self.words) - count
        window = ContinuityWindow(self.words[start:].copy(), self.slice_index[start:], self.radius)
        window.area, window.best = self.area[start:].copy(), self.best[start:].copy()
        return window

    def count(self, start: int, stop: int, words: slice = slice(None)) -> None:
        """Count the rows [start, stop), all rows before them being counted.

        Afterwards `best` is final for every row that has `radius` or more counted rows above it: rows ascend strictly
        in `slice_index`, so a slice within the radius is at most `radius` rows away.

        Args:
            start: First row.
            stop: One past the last row.
            words: Words of these rows outside of which they are black.
        """
        self.area[start:stop] = count_bits(self.words[start:stop, words])
        for distance in range(1, min(self.radius, stop - 1) + 1):
            first = max(start, distance)
            lower, upper = slice(first - distance, stop - distance), slice(first, stop)
            shared = count_bits(self.words[lower, words] & self.words[upper, words])
            dice = 2 * shared / np.maximum(self.area[lower] + self.area[upper], 1)
            dice[self.slice_index[upper] - self.slice_index[lower] > self.radius] = 0
            np.maximum(self.best[lower], dice, out=self.best[lower])
            np.maximum(self.best[upper], dice, out=self.best[upper])


def best_neighbor_dice(words: WordArray, slice_index: Int32Array, radius: int = 1) -> Float64Array:
    """Return for each slice its best Dice with a slice at most `radius` slices away, `2 |a & b| / (|a| + |b|)`.

    Args:
        words: Packed masks of one volume, shape (n, w).
        slice_index: Strictly ascending, shape (n,).
        radius: At least 1.

    Returns:
        float64, shape (n,); 0 where there is no such slice, or both masks are empty.
    """
    window = ContinuityWindow(words, slice_index, radius)
    step = max(1, _WINDOW_BYTES // max(1, words.shape[1] * words.itemsize))
    for start in range(0, len(words), step):
        stop = min(start + step, len(words))
        some = np.flatnonzero(np.bitwise_or.reduce(words[start:stop], axis=0))
        window.count(start, stop, slice(some[0], some[-1] + 1) if len(some) else slice(0, 0))
    return window.best


def check_ascending(slice_index: Int32Array) -> None:
    """Check the order of rows.

    Raises:
        ValueError: If the rows are not in strictly ascending order of `slice_index`.
    """
    if np.any(np.diff(slice_index) <= 0):
        raise ValueError(f"slice_index must ascend strictly, got {slice_index.tolist()}")


def count_bits(words: WordArray) -> NDArray[np.uint32]:
    """Return the number of pixels of each packed mask, shape (n, w) to (n,)."""
    return np.add.reduce(np.bitwise_count(words), axis=1, dtype=np.uint32)
