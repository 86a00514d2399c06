"""PLR at any threshold tau and scale c from counts of one pass over the probabilities, exactly and without a pixel.

Probabilities are stored as levels o_k of 0..255. Three counts of each slice k are kept for every level t:

    A_k[t] = |{o_k >= t}|,   I_kj[t] = |{min(o_k, o_k+j) >= t}|,   G_k[t] = |{o_k >= t} and g_k|

with j = 1..radius and the reference mask g_k, if there is one. They are all that PLR depends on:

- Eq. 3: `o / 255 >= tau` holds from level L = `threshold_level(tau)` on, so m_k = {o_k >= L} and |m_k| = A_k[L].
- Eq. 4: a pixel is in both m_k and m_k+j if the smaller of its levels reaches L: |m_k and m_k+j| = I_kj[L]. Hence
  Dice(m_k, m_k+j) = 2 I_kj[L] / (A_k[L] + A_k+j[L]), and with eq. 5 CI_k: the same integers, the same division.
- Eq. 6: `o / 255 * CI_k >= tau` does not fall with o, so the refined mask is r_k = {o_k >= l_k} from the level
  l_k = `effective_levels(CI_k, tau)` on: |r_k| = A_k[l_k], |r_k and g_k| = G_k[l_k], and the Dice follows.

How much two refined neighbors share is not among the counts where their levels differ. It is bounded from below:
r_k and r_k+1 = {o_k >= l_k, o_k+1 >= l_k+1} holds {min(o_k, o_k+1) >= max(l_k, l_k+1)}, all of it if the levels agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import Float64Array, Int32Array, Int64Array
from pipeline.refinement.levels import threshold_level


@dataclass(frozen=True)
class VolumeStatistics:
    """Counts of every slice of one volume; those of slices that ILR made healthy are 0.

    Args:
        volume_id: The volume.
        split: `train` or `validation`.
        slice_index: Strictly ascending, shape (n,).
        above: A_k, shape (n, 257).
        shared: I_kj, shape (n, radius, 257).
        inside: G_k, shape (n, 257).
        reference_area: |g_k|, shape (n,).
        has_reference: Whether the volume has a reference mask; `inside` and `reference_area` are 0 without.
    """

    volume_id: str
    split: str
    slice_index: Int32Array
    above: Int32Array
    shared: Int32Array
    inside: Int32Array
    reference_area: Int32Array
    has_reference: bool

    @property
    def radius(self) -> int:
        """The largest window that the counts allow."""
        return self.shared.shape[1]


def best_dice(statistics: VolumeStatistics, threshold: float, radius: int) -> Float64Array:
    """Return the best Dice of each pseudo mask with those at most `radius` slices away, shape (n,); see eq. 4."""
    level, best = threshold_level(threshold), np.zeros(len(statistics.slice_index))
    for distance in range(1, radius + 1):
        left, right = find_pairs(statistics.slice_index, distance)
        raise_dice(best, statistics.above[:, level], statistics.shared[left, distance - 1, level], left, right)
    return best


def find_pairs(slice_index: Int32Array | Int64Array, distance: int) -> tuple[Int64Array, Int64Array]:
    """Return the rows of all slices k and k + distance that are both there, each shape (pairs,)."""
    if len(slice_index) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    right = np.minimum(np.searchsorted(slice_index, slice_index + distance), len(slice_index) - 1)
    left = np.flatnonzero(slice_index[right] == slice_index + distance)
    return left, right[left]


def raise_dice(
    best: Float64Array, area: Int32Array | Int64Array, shared: Int32Array, left: Int64Array, right: Int64Array
) -> None:
    """Raise the best Dice of the slices of each pair to that of the pair, where it is larger, in place.

    Args:
        best: Shape (n,).
        area: |m_k|, shape (n,).
        shared: |m_left and m_right|, shape (pairs,).
        left: Rows of the lower slices, each at most once, shape (pairs,).
        right: Rows of the upper slices, each at most once, shape (pairs,).
    """
    total = area[left] + area[right]
    dice = np.divide(2 * shared, total, out=np.zeros(len(total)), where=total > 0)
    best[left] = np.maximum(best[left], dice)
    best[right] = np.maximum(best[right], dice)


def check_point(threshold: float, scale: float) -> None:
    """Raise `ValueError` unless tau and c are positive: at 0 every pixel would pass eq. 6."""
    if not (threshold > 0 and scale > 0):
        raise ValueError(f"threshold and scale must be positive, got {threshold} and {scale}")


def check_radius(statistics: VolumeStatistics, radius: int) -> None:
    """Raise `ValueError` unless the counts reach as far as the window."""
    if not 1 <= radius <= statistics.radius:
        raise ValueError(f"{statistics.volume_id}: radius {radius}, but the statistics are of 1..{statistics.radius}")
