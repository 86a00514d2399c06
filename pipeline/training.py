"""Training CouinaudNet, free of Ray: the losses, the learning rate and one step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from pipeline.config import CouinaudNetConfig
from pipeline.models.shared_batch import sum_over_workers
from pipeline.training_batches import TrainingBatch

TUMOR_INPAINTING_WEIGHT = 5.0
"""Weight of tumor pixels in the inpainting loss, against 1 in the rest of the chosen segments."""
ADAM_BETAS = (0.9, 0.99)
"""As in the authors' published code."""


@dataclass(frozen=True)
class Losses:
    """The terms of one step, each a scalar tensor; `dice` is 0 where it has no weight."""

    inpainting: Tensor
    cross_entropy: Tensor
    dice: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimized."""
        return self.inpainting + self.cross_entropy + self.dice


def compute_losses(inpainted: Tensor, logits: Tensor, batch: TrainingBatch, config: CouinaudNetConfig) -> Losses:
    """Compare both outputs with the healthy slice and the synthetic tumors.

    The inpainted image is judged inside the chosen segments, where it alone can differ; the tumor probability in the
    whole liver as far as it is healthy tissue, so that the network learns that nothing is to be found outside the
    segments either.

    Args:
        inpainted: Image from which the tumors are removed, float32 (n, 1, h, w).
        logits: Tumor logits of the same shape.
        batch: What the networks saw and should have given.
        config: Weights of the terms.
    """
    weight = batch.segment_mask * (1 + (TUMOR_INPAINTING_WEIGHT - 1) * batch.tumor_mask)
    inpainting = weighted_mean((inpainted - batch.healthy_image).abs(), weight)
    entropy = F.binary_cross_entropy_with_logits(
        logits, batch.tumor_mask, reduction="none", pos_weight=logits.new_tensor(config.positive_weight)
    )
    dice = logits.new_zeros(())
    if config.dice_weight > 0:
        probability = torch.sigmoid(logits) * batch.judged_mask
        dice = config.dice_weight * (1 - soft_dice(probability, batch.tumor_mask * batch.judged_mask))
    return Losses(inpainting, weighted_mean(entropy, batch.judged_mask), dice)


def weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over the batch of all workers; 0 where all weights are 0."""
    total, weights = sum_over_workers(torch.stack([(values * weight).sum(), weight.sum()]))
    return total / weights.clamp(min=1.0)


def soft_dice(probability: Tensor, target: Tensor) -> Tensor:
    """Return the Dice of probabilities and a 0/1 target, pooled over the batch of all workers; 1 if both are empty."""
    overlap, size = sum_over_workers(torch.stack([(probability * target).sum(), probability.sum() + target.sum()]))
    return (2 * overlap + 1) / (size + 1)


def make_optimizer(model: nn.Module, config: CouinaudNetConfig) -> optim.Adam:
    """Return Adam over both networks."""
    return optim.Adam(model.parameters(), lr=config.learning_rate, betas=ADAM_BETAS)


def learning_rate(config: CouinaudNetConfig, progress: float) -> float:
    """Return the learning rate at a share of the training in [0, 1]; `cosine` ends at 0."""
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class StepResult:
    """What is recorded of a step, over the batch of all workers: losses, and pixel counts for an epoch's Dice."""

    inpainting: float
    cross_entropy: float
    dice_loss: float
    overlap_px: float
    size_px: float


def train_step(
    model: nn.Module, optimizer: optim.Optimizer, batch: TrainingBatch, config: CouinaudNetConfig, rate: float
) -> StepResult:
    """Take one step of gradient descent.

    Args:
        model: CouinaudNet, or the wrapper that averages its gradients over workers.
        optimizer: Its optimizer.
        batch: On the model's device.
        config: Precision and the weights of the losses.
        rate: Learning rate of this step.
    """
    model.train()
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(batch.image.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        inpainted, logits = model(batch.image, batch.segment_mask)
    losses = compute_losses(inpainted.float(), logits.float(), batch, config)
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    found = (logits.detach() >= 0) & (batch.judged_mask > 0)
    target = (batch.tumor_mask > 0) & (batch.judged_mask > 0)
    overlap, size = sum_over_workers(torch.stack([(found & target).sum(), found.sum() + target.sum()]))
    return StepResult(
        inpainting=float(losses.inpainting.detach()),
        cross_entropy=float(losses.cross_entropy.detach()),
        dice_loss=float(losses.dice.detach()),
        overlap_px=float(overlap),
        size_px=float(size),
    )


def summarize(steps: Sequence[StepResult]) -> dict[str, float]:
    """Return the means of an epoch's losses, and the Dice of its synthetic tumors at probability 0.5, pooled."""
    size = sum(step.size_px for step in steps)
    means = {
        name: sum(getattr(step, name) for step in steps) / max(1, len(steps))
        for name in ("inpainting", "cross_entropy", "dice_loss")
    }
    dice = 2 * sum(step.overlap_px for step in steps) / size if size else 0.0
    return {"loss": sum(means.values()), **means, "synthetic_dice": dice}
