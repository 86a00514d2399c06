"""The network that names the segments of a liver from its shape: a small 3-D U-Net on a normalized grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.arrays import SEGMENT_COUNT, Float32Array
from pipeline.couinaud.shape_frame import ShapeFrame

CHANNELS = 7
"""Liver, three coordinates, and the three sizes of the frame."""
_SIZE_MM = 100.0
"""Half extents are given in these units, less one."""
_GROUPS = 8
"""Groups of the normalization layers; widths are multiples of it."""


class ShapeNetwork(nn.Module):
    """3-D U-Net whose first convolution halves the grid, so that it works at half of the input's resolution.

    Skips are added, not joined. Segments are cut by near-planar faces: scores on the coarse grid, interpolated
    linearly, place them within a voxel.

    Args:
        widths: Channels per level, finest first, multiples of 8; each further level halves the resolution.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem = nn.Conv3d(CHANNELS, widths[0], 4, stride=2, padding=1)
        self.encoders = nn.ModuleList(_Residual(width) for width in widths)
        finer, coarser = widths[:-1], widths[1:]
        self.reductions = nn.ModuleList(
            nn.Conv3d(high, low, 2, stride=2) for high, low in zip(finer, coarser, strict=True)
        )
        self.enlargements = nn.ModuleList(nn.Conv3d(low, high, 1) for high, low in zip(finer, coarser, strict=True))
        self.decoders = nn.ModuleList(_Residual(width) for width in finer)
        self.output = nn.Sequential(nn.GroupNorm(_GROUPS, widths[0]), nn.ReLU(), nn.Conv3d(widths[0], SEGMENT_COUNT, 1))

    def forward(self, liver: Tensor) -> Tensor:
        """Map (n, CHANNELS, s, s, s) to scores of segments 1..8, (n, 8, s / 2, s / 2, s / 2)."""
        features = self.encoders[0](self.stem(liver))
        skipped = []
        for reduction, encoder in zip(self.reductions, self.encoders[1:], strict=True):
            skipped.append(features)
            features = encoder(reduction(features))
        levels = zip(reversed(self.enlargements), reversed(self.decoders), reversed(skipped), strict=True)
        for enlargement, decoder, skip in levels:
            enlarged = F.interpolate(enlargement(features), scale_factor=2.0, mode="trilinear", align_corners=False)
            features = decoder(skip + enlarged)
        return cast(Tensor, self.output(features))


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
