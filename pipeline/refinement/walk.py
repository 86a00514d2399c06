"""PLR as one walk up a volume: a slice is thresholded, packed, counted and refined while it is in the core's cache.

Slices come in any number at a time, feet to head, and are worked off in windows of about a megabyte. One pass over a
window, the only one that reads memory, takes the largest probability of each pixel. It bounds where any of the masks
can have pixels: m_k where it reaches tau, the refined mask where it reaches tau / c, for CI_k never exceeds c. Only
there slices are thresholded, packed to bits and counted against those below them (see `continuity`), and refined
as soon as the slices that may continue them are known, `radius` slices later. Between two calls the walk keeps the
last `radius` slices and nothing else, so that a volume of any depth is refined in the memory of what one call brings.

Bytes moved per slice of H x W pixels: H W read from memory and H W / 4 written (two packed masks). What is in between,
maxima, booleans and counts, stays in buffers of the cache's size that are used again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray, Float64Array, Int32Array, Int64Array, UInt8Array
from pipeline.refinement.continuity import ContinuityWindow, WordArray, black_masks, mask_bytes
from pipeline.refinement.levels import LEVELS, effective_levels, threshold_level

_WINDOW_BYTES = 1 << 20
"""Probabilities of a window: half of a usual second-level cache."""
_BUFFER_BYTES = 1 << 18
"""Probabilities compared at once, through a buffer of as many results."""
_WORD_PIXELS = 64


@dataclass(frozen=True)
class PackedMasks:
    """Masks of some slices of one volume, packed to bits, before and after PLR.

    Args:
        slice_index: Ascending, shape (n,).
        pseudo_mask: m_k, shape (n, ceil(H W / 8)), most significant bit first.
        refined_mask: The mask after eq. 6, packed alike.
        continuity_index: CI_k, shape (n,), in [0, c].
    """

    slice_index: Int32Array
    pseudo_mask: UInt8Array
    refined_mask: UInt8Array
    continuity_index: Float64Array


class RefinementWalk:
    """Refines the slices of one volume as they come.

    Args:
        pixels: H W.
        threshold: tau in (0, 1].
        scale: c > 0.
        radius: Slices on each side that may continue a mask.
        enabled: False leaves every mask as it is.
        window_bytes: Probabilities of a window.

    Example:
        >>> walk = RefinementWalk(pixels=2, threshold=0.5, scale=5.0)
        >>> first = walk.push(np.full((2, 1, 2), 255, np.uint8), np.array([4, 5], np.int32))
        >>> first.slice_index.tolist(), walk.finish().slice_index.tolist()
        ([4], [5])
    """

    def __init__(
        self,
        pixels: int,
        threshold: float,
        scale: float,
        radius: int = 1,
        *,
        enabled: bool = True,
        window_bytes: int = _WINDOW_BYTES,
    ) -> None:
        self.pixels = pixels
        self.threshold = threshold
        self.scale = scale
        self.radius = radius
        self.enabled = enabled
        self._level = threshold_level(threshold)
        self._lowest = int(effective_levels(np.array([scale]), threshold)[0])  # CI_k is at most c
        self._bytes = mask_bytes(pixels)
        self._step = max(1, window_bytes // max(1, pixels))
        self._buffer = np.empty(max(pixels, _BUFFER_BYTES), dtype=np.uint8)
        self._window = ContinuityWindow(black_masks(0, pixels), np.zeros(0, np.int32), radius)
        self._pending: UInt8Array = np.zeros((0, pixels), dtype=np.uint8)
        self._reach = np.zeros((0, 2), dtype=np.int64)

    def push(self, probability: UInt8Array, slice_index: Int32Array) -> PackedMasks:
        """Take the next slices; give those, of this call and the ones before, whose window is complete.

        Args:
            probability: Stored levels of o_k, shape (n, H, W).
            slice_index: Strictly ascending, above all slices before, shape (n,).

        Raises:
            ValueError: If lengths differ, or the slices do not ascend.
        """
        if len(probability) != len(slice_index):
            raise ValueError(f"{len(probability)} probability slices but {len(slice_index)} slice indices")
        return self._advance(probability.reshape(len(probability), self.pixels), slice_index, self.radius)

    def finish(self) -> PackedMasks:
        """Give the slices that are left: nothing comes above them."""
        return self._advance(self._pending[:0], self._window.slice_index[:0], keep=0)

    def _advance(self, probability: UInt8Array, slice_index: Int32Array, keep: int) -> PackedMasks:
        """Count the new slices, and refine all but the last `keep`; those are pending from then on."""
        window = self._window.extend(slice_index)
        refined = np.zeros_like(window.words) if self.enabled else window.words
        count, pending, done = len(window.words), len(self._pending), 0
        reach = np.concatenate([self._reach, np.zeros((len(probability), 2), np.int64)])
        for start in range(pending, max(count, pending + 1), self._step):  # once even without new slices
            stop = min(start + self._step, count)
            new = probability[start - pending : stop - pending]
            top = self._find_largest(new)
            words = slice(*_find_words(top >= self._level))
            self._pack(new, np.full(len(new), self._level), window.words[start:stop], words)
            window.count(start, stop, words)
            reach[start:stop] = _find_words(top >= self._lowest)
            ready = max(stop - keep, done)
            if self.enabled and ready > done:
                levels = effective_levels(self.scale * window.best[done:ready], self.threshold)
                words = slice(reach[done:ready, 0].min(), reach[done:ready, 1].max())
                self._refine(probability, done, levels, refined, words)
            done = ready
        self._window, self._reach = window.last(count - done), reach[done:]
        self._pending = np.concatenate([self._pending, probability[-keep:]])[done - count :] if keep else new[:0]
        before, after = (masks.view(np.uint8)[:done, : self._bytes] for masks in (window.words, refined))
        return PackedMasks(window.slice_index[:done], before, after, self.scale * window.best[:done])

    def _refine(
        self, probability: UInt8Array, start: int, levels: Int64Array, refined: WordArray, words: slice
    ) -> None:
        """Refine rows from `start` on (eq. 6); the first ones perhaps came with an earlier call."""
        pending = len(self._pending)
        split = max(min(pending - start, len(levels)), 0)
        first, stop = start + split - pending, start + len(levels)
        self._pack(self._pending[start : start + split], levels[:split], refined[start : start + split], words)
        rest = probability[first : first + len(levels) - split]
        self._pack(rest, levels[split:], refined[start + split : stop], words)

    def _find_largest(self, probability: UInt8Array) -> UInt8Array:
        """Return the largest level of each pixel over some slices, shape (H W,)."""
        count = len(probability)
        size = min(count, len(self._buffer) // max(1, self.pixels))
        largest = self._buffer[: size * self.pixels].reshape(size, self.pixels)
        # From both ends: a core reads two streams of memory faster than one.
        np.maximum(probability[:size], probability[count - size :], out=largest)
        for start in range(size, count - size, max(1, size)):
            part = probability[start : min(start + size, count - size)]
            np.maximum(largest[: len(part)], part, out=largest[: len(part)])
        return np.maximum.reduce(largest, axis=0, initial=0)

    def _pack(self, probability: UInt8Array, levels: Int64Array, masks: WordArray, words: slice) -> None:
        """Write the packed masks `probability >= levels` of some slices, black outside the given words."""
        pixels = slice(_WORD_PIXELS * words.start, min(_WORD_PIXELS * words.stop, self.pixels))
        width = pixels.stop - pixels.start
        if width <= 0:
            return
        packed = masks.view(np.uint8)[:, pixels.start // 8 : pixels.start // 8 + mask_bytes(width)]
        least, step = np.minimum(levels, LEVELS - 1).astype(np.uint8)[:, None], len(self._buffer) // width
        for start in range(0, len(probability), step):
            rows = slice(start, min(start + step, len(probability)))
            reached = self._buffer[: (rows.stop - start) * width].reshape(-1, width).view(np.bool_)
            np.greater_equal(probability[rows, pixels], least[rows], out=reached)
            packed[rows] = np.packbits(reached, axis=1)
        deleted = levels == LEVELS
        if deleted.any():
            packed[deleted] = 0


def _find_words(reached: BoolArray) -> tuple[int, int]:
    """Return the first word with a pixel and one past the last; (0, 0) if there is none."""
    flags = reached.tobytes()
    first, last = flags.find(1), flags.rfind(1)
    return (0, 0) if first < 0 else (first // _WORD_PIXELS, last // _WORD_PIXELS + 1)
