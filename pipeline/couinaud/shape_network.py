"""The network that divides a liver by its shape: a small 3-D U-Net on the grid of the liver's frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.arrays import Float32Array
from pipeline.couinaud.shape_cuts import CUTS, FIRST_GUESS, score_cuts
from pipeline.couinaud.shape_frame import ShapeFrame

CHANNELS = 7
"""Liver, three coordinates, and the three sizes of the frame."""
_SIZE_MM = 100.0
"""Half extents are given in these units, less one."""
_SUMMARY = 16
"""Channels of the coarsest level from which the cuts are read."""
_GROUPS = 8
"""Groups of the normalization layers; widths are multiples of it."""


class ShapeNetwork(nn.Module):
    """3-D U-Net that gives the caudate lobe as a picture and Couinaud's cuts as numbers, read off its coarsest level.

    The first convolution halves the grid, so that the network works at half of the input's resolution. Skips are
    added, not joined.

    Args:
        widths: Channels per level, finest first, multiples of 8; each level halves the resolution.
        side: Side of the input's grid, a multiple of 2 to the number of levels.
    """

    def __init__(self, widths: Sequence[int], side: int) -> None:
        super().__init__()
        finer, coarser = widths[:-1], widths[1:]
        self.stem = nn.Conv3d(CHANNELS, widths[0], 4, stride=2, padding=1)
        self.encoders = nn.ModuleList(_Residual(width) for width in widths)
        self.reductions = nn.ModuleList(
            nn.Conv3d(high, low, 2, stride=2) for high, low in zip(finer, coarser, strict=True)
        )
        self.enlargements = nn.ModuleList(nn.Conv3d(low, high, 1) for high, low in zip(finer, coarser, strict=True))
        self.decoders = nn.ModuleList(_Residual(width) for width in finer)
        self.caudate = nn.Sequential(nn.GroupNorm(_GROUPS, widths[0]), nn.ReLU(), nn.Conv3d(widths[0], 1, 1))
        self.summary = nn.Sequential(
            nn.GroupNorm(_GROUPS, widths[-1]), nn.ReLU(), nn.Conv3d(widths[-1], _SUMMARY, 1), nn.ReLU(), nn.Flatten()
        )
        self.cuts = nn.Linear(_SUMMARY * (side // 2 ** len(widths)) ** 3, CUTS)
        nn.init.zeros_(self.cuts.weight)
        with torch.no_grad():
            self.cuts.bias.copy_(torch.tensor(FIRST_GUESS))

    def forward(self, liver: Tensor) -> Tensor:
        """Map (n, CHANNELS, s, s, s) to log-probabilities of segments 1..8, (n, 8, s / 2, s / 2, s / 2)."""
        features = self.encoders[0](self.stem(liver))
        skipped = []
        for reduction, encoder in zip(self.reductions, self.encoders[1:], strict=True):
            skipped.append(features)
            features = encoder(reduction(features))
        cuts = self.cuts(self.summary(features))
        levels = zip(reversed(self.enlargements), reversed(self.decoders), reversed(skipped), strict=True)
        for enlargement, decoder, skip in levels:
            enlarged = F.interpolate(enlargement(features), scale_factor=2.0, mode="trilinear", align_corners=False)
            features = decoder(skip + enlarged)
        return score_cuts(cuts, self.caudate(features)[:, 0])


class _Residual(nn.Module):
    """Two normalized 3x3x3 convolutions beside an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(_GROUPS, width), nn.ReLU(), nn.Conv3d(width, width, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        return features + cast(Tensor, self.layers(features))


def make_input(liver: Float32Array, frame: ShapeFrame) -> Tensor:
    """Return what the network sees of one liver: float32, shape (CHANNELS, s, s, s).

    Args:
        liver: Share of liver on a grid of the frame, shape (s, s, s), in [0, 1].
        frame: Its frame.
    """
    side = liver.shape[0]
    ticks = (torch.arange(side) + 0.5) * (2 / side) - 1
    coordinates = torch.meshgrid(ticks, ticks, ticks, indexing="ij")
    sizes = [torch.full((side,) * 3, half / _SIZE_MM - 1) for half in frame.half_mm]
    return torch.stack([torch.from_numpy(liver), *coordinates, *sizes])
