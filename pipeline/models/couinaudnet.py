"""CouinaudNet: remove the tumor from one Couinaud segment, then spot the difference (Lyu et al., IEEE TMI 2022).

The paper gives the two networks and their inputs; layers, losses and the way in which they are joined are our reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from pipeline.arrays import BoolArray, Float32Array, UInt8Array
from pipeline.config import GridConfig
from pipeline.intensity import normalize
from pipeline.models.unet import UNet
from pipeline.smoothing import smooth_inside


class CouinaudNet(nn.Module):
    """An inpainting network and a difference spotting network, run one after the other.

    The inpainting network gives the change that makes the chosen segments healthy; outside them the image stays. The
    spotting network sees the image x, the healthy image h, their difference x - h and the segment mask.

    Args:
        inpainting_widths: Channels per level of the inpainting network.
        spotting_widths: Channels per level of the difference spotting network.
        segment_input: `hint` shows the inpainting network the image and the segment mask; `blank` shows the image
            with the segments set to zero, so that they are filled from their surroundings alone.
        context_slices: Neighbors c on each side that both networks see beside the slice.
    """

    def __init__(
        self,
        inpainting_widths: Sequence[int],
        spotting_widths: Sequence[int],
        segment_input: Literal["hint", "blank"] = "hint",
        context_slices: int = 0,
    ) -> None:
        super().__init__()
        self.segment_input = segment_input
        self.context_slices = context_slices
        neighbors = 2 * context_slices
        self.inpainting_network = UNet(neighbors + 2, 1, inpainting_widths)
        self.difference_spotting_network = UNet(neighbors + 4, 1, spotting_widths)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor, segment_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the healthy image and the tumor logits.

        Args:
            image: Normalized slices in the middle of their neighbors, (n, 2 c + 1, H, W).
            segment_mask: 1 in the chosen segments of the slice, else 0; (n, 1, H, W).

        Returns:
            The inpainted slice, equal to the slice outside the mask, and the logits of the tumor probability, both of
            shape (n, 1, H, W).
        """
        middle = slice(self.context_slices, self.context_slices + 1)
        visible = image * (1 - segment_mask) if self.segment_input == "blank" else image
        change = self.inpainting_network(_stack(visible, segment_mask))
        before = image[:, middle]
        inpainted = segment_mask * (visible[:, middle] + change) + (1 - segment_mask) * before
        logits: Tensor = self.difference_spotting_network(_stack(image, before - inpainted, inpainted, segment_mask))
        return inpainted, logits


def _stack(*channels: Tensor) -> Tensor:
    """Join channels in the memory layout in which convolutions are fastest."""
    return torch.cat(channels, dim=1).contiguous(memory_format=torch.channels_last)


def prepare_input(
    image: UInt8Array,
    liver_mask: BoolArray,
    liver_median_hu: Float32Array,
    grid: GridConfig,
    normalization: Literal["window", "liver_median"],
    smoothing_sigma_px: float = 0.0,
) -> Float32Array:
    """Turn stored slices into what the networks see: normalized and, if asked, smoothed.

    Args:
        image: Gray values, shape (n, ..., H, W).
        liver_mask: Same shape; the result is zero outside.
        liver_median_hu: Median liver HU of each slice's volume, shape (n,).
        grid: The window of the run.
        normalization: See `pipeline.intensity.normalize`.
        smoothing_sigma_px: Standard deviation of a Gaussian. Weights are renormalized inside the liver, so that its
            edge does not darken.

    Returns:
        float32, same shape.
    """
    values = normalize(image, liver_mask, liver_median_hu, grid, normalization)
    if smoothing_sigma_px == 0:
        return values
    sigma = (0.0,) * (image.ndim - 2) + (smoothing_sigma_px,) * 2
    return smooth_inside(values, liver_mask, sigma)
