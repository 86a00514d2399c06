"""One batch shared by several training workers: what a single worker with all of it would compute.

Averaging gradients, as PyTorch does, is not enough for that: batch normalization would know each worker's share alone,
and a quotient of sums over the batch, such as Dice, is not the mean of the shares' quotients. PyTorch's own
`SyncBatchNorm` needs GPUs.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, distributed, nn


def count_workers() -> int:
    """Return the workers of the process group; 1 without one."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


class _Sum(torch.autograd.Function):
    """The sum over all workers, whose gradient is the sum of the workers' gradients.

    PyTorch's own, in `torch.distributed.nn`, is deprecated in favor of a private one.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        """Return the sum of all workers' values."""
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        """Return the sum of all workers' gradients."""
        return _Sum.forward(ctx, gradient)


def sum_over_workers(value: Tensor) -> Tensor:
    """Return the sum of all workers' tensors of one shape; call it on all of them in the same order.

    If each worker goes backward from the same loss, made of such sums, and the workers' gradients are then averaged,
    they are those of that loss.
    """
    return value if count_workers() == 1 else cast(Tensor, _Sum.apply(value))  # type: ignore[no-untyped-call]


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalization by the mean and variance of all workers' shares, which have the same shape."""

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, features: Tensor) -> Tensor:
        """Normalize a share of shape (n, channels, h, w); as `BatchNorm2d` does with one worker, or in prediction."""
        workers = count_workers()
        if not self.training or workers == 1:
            return super().forward(features)
        precise = features.to(torch.promote_types(features.dtype, torch.float32))
        variance, mean = torch.var_mean(precise, dim=(0, 2, 3), correction=0)
        mean, square = sum_over_workers(torch.stack([mean, variance + mean**2])) / workers
        variance = (square - mean**2).clamp(min=0)
        self._follow(mean.detach(), variance.detach(), workers * features.numel() // len(mean))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (features * scale[:, None, None] + shift[:, None, None]).to(features.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the statistics for prediction towards those of a batch of `count` pixels."""
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
