"""What nnU-Net's trainer may be given in place of its own: AdamW's schedule, averaged weights, shared augmentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

WARM_UP_SHARE = 0.05
"""Share of all steps over which the learning rate of AdamW rises to its peak."""
WEIGHT_DECAY = 1e-2
"""Decoupled weight decay of AdamW."""


class WarmUpCosine:
    """A learning rate per step: a linear rise to the peak, then half a cosine down to 0.

    Args:
        optimizer: Whose rate is set.
        peak: Highest rate.
        epochs: Epochs of the whole training.
        steps_per_epoch: Steps of one epoch.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, peak: float, epochs: int, steps_per_epoch: int) -> None:
        self._optimizer = optimizer
        self._peak = peak
        self._steps_per_epoch = steps_per_epoch
        self._total = epochs * steps_per_epoch
        self.step(0)

    def step(self, epoch: int) -> None:
        """Set the rate of an epoch's first step; nnU-Net calls it when the epoch begins, whatever came before."""
        self._done = epoch * self._steps_per_epoch
        self._set_rate()

    def advance(self) -> None:
        """Set the rate of the next step."""
        self._done += 1
        self._set_rate()

    def rate(self, done: int) -> float:
        """Return the rate of the step that follows `done` steps."""
        rise = max(1, round(WARM_UP_SHARE * self._total))
        if done < rise:
            return self._peak * (done + 1) / rise
        progress = min(1.0, (done - rise) / max(1, self._total - rise))
        return self._peak * 0.5 * (1 + math.cos(math.pi * progress))

    def _set_rate(self) -> None:
        """Hand the rate to the optimizer."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate(self._done)


def average_weights(network: torch.nn.Module, decay: float) -> AveragedModel:
    """Return a moving average of a network's weights, to be updated after every step.

    After t updates the decay is min(decay, (1 + t) / (10 + t)), so that the first weights are soon forgotten.

    Args:
        network: The network in training; it is copied.
        decay: Decay per step in the long run, in (0, 1).
    """

    @torch.no_grad()
    def update(average: Sequence[Tensor], now: Sequence[Tensor], count: Tensor | int) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(list(average), list(now), share)

    return AveragedModel(network, multi_avg_fn=update)


def settle_augmentation(transforms: Any, channels: int) -> None:
    """Let augmentation depend on the generators alone, and change all channels alike: they are slices of one CT.

    Each channel is changed as often as before: what nnU-Net decides per channel is decided per patch. Its blur would
    choose between two ways of computing the same by the clock.

    Args:
        transforms: nnU-Net's training transforms; changed in place.
        channels: Channels of the input; one channel is left to nnU-Net.
    """
    for transform in transforms.transforms:
        inner: Any = getattr(transform, "transform", None)
        if hasattr(inner, "benchmark"):
            inner.benchmark = False
        if channels > 1 and hasattr(inner, "synchronize_channels"):
            inner.synchronize_channels = True
            transform.apply_probability *= inner.p_per_channel
            inner.p_per_channel = 1
