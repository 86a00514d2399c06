"""Couinaud's cuts as a network gives them: three planes, two levels and a caudate lobe, turned into scores.

Annotations divide the liver by three planes and two axial levels and leave the caudate lobe aside, so that a network
need find only where these cuts lie. Each cut is a linear function on the liver's frame, positive on one side; its
steepness says how sure the network is. A segment's probability is the product of the sides that it lies on.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CUTS = 16
"""Numbers per liver: x, y, z and offset of the mid, right and left planes, then z and offset of the two levels."""
FIRST_GUESS = (
    *(4.0, -5.0, 0.0, 0.5),  # mid: to the left and front are 2, 3, 4
    *(0.0, -6.0, 0.0, 0.5),  # right: to the front are 5, 8
    *(6.0, -1.0, -1.0, -2.0),  # left: to the left are 2, 3
    *(6.0, -0.3),  # right level: above are 7, 8
    *(6.0, -1.8),  # left level: above is 2
)
"""The usual cuts in a liver's box, where training starts."""


def score_cuts(cuts: Tensor, caudate: Tensor) -> Tensor:
    """Return the logarithm of the probability of each segment on a grid of the frame.

    Args:
        cuts: float32 (n, CUTS).
        caudate: Logits of segment 1, float32 (n, s, s, s).

    Returns:
        float32 (n, 8, s, s, s); the probabilities of a cell sum to 1.
    """
    ticks = _ticks(caudate.shape[-1], cuts)
    z, y, x = torch.meshgrid(ticks, ticks, ticks, indexing="ij")
    one = torch.ones_like(z)
    planes = torch.einsum("npc,czyx->npzyx", cuts[:, :12].reshape(-1, 3, 4), torch.stack([x, y, z, one]))
    levels = torch.einsum("npc,czyx->npzyx", cuts[:, 12:].reshape(-1, 2, 2), torch.stack([z, one]))
    heights = torch.cat([planes, levels], dim=1)
    left_liver, anterior, lateral, right_high, left_high = F.logsigmoid(heights).unbind(dim=1)
    right_liver, posterior, medial, right_low, left_low = F.logsigmoid(-heights).unbind(dim=1)
    segments_2_to_8 = [
        left_liver + lateral + left_high,
        left_liver + lateral + left_low,
        left_liver + medial,
        right_liver + anterior + right_low,
        right_liver + posterior + right_low,
        right_liver + posterior + right_high,
        right_liver + anterior + right_high,
    ]
    elsewhere = F.logsigmoid(-caudate)
    return torch.stack([F.logsigmoid(caudate), *(elsewhere + segment for segment in segments_2_to_8)], dim=1)


def _ticks(side: int, like: Tensor) -> Tensor:
    """Return the coordinates of cell centers along an axis of a frame."""
    return (torch.arange(side, device=like.device) + 0.5) * (2 / side) - 1
