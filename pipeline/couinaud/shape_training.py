"""Training the shape network: samples, loss and epochs. Free of files; a state can be taken along and gone on from."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.arrays import SEGMENT_COUNT, UInt8Array
from pipeline.config import CouinaudShapeConfig
from pipeline.couinaud.shape_frame import fit_frame, index_to_mm, sample_liver
from pipeline.couinaud.shape_network import ShapeNetwork, make_input
from pipeline.couinaud.shape_variation import draw_variation, keep_remnant, vary, vary_frame
from pipeline.couinaud.shape_vote import interpolate
from pipeline.volume import Geometry

WARM_UP_STEPS = 30
"""Steps over which the learning rate rises to its peak."""
POINTS = 8192
"""Voxels per liver and step that the loss looks at."""
GRADIENT_NORM = 1.0
"""Gradients are scaled down to this norm."""


@dataclass(frozen=True)
class LabeledShape:
    """A liver with its segments.

    Args:
        volume_id: Its id.
        labels: 0 or segment 1..8, uint8, shape `geometry.shape`.
        geometry: Where the voxels lie.
    """

    volume_id: str
    labels: UInt8Array
    geometry: Geometry


def make_sample(shape: LabeledShape, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Vary a liver, bring it into its frame and draw voxels to learn from.

    Args:
        shape: A liver, at least partly labeled.
        side: Samples per axis of the frame's grid.
        rng: Generator of this liver in this epoch.

    Returns:
        Network input, float32 (CHANNELS, side, side, side); places of labeled voxels in the frame, x, y, z in about
        [-1, 1], float32 (POINTS, 3); and their segments 1..8 less one, int64 (POINTS,).
    """
    variation = keep_remnant(draw_variation(rng), shape.labels)
    liver, labels, geometry = vary(shape.labels, shape.geometry, variation)
    frame = vary_frame(fit_frame(liver, geometry), rng)
    index = np.argwhere(labels > 0)
    index = index[rng.integers(len(index), size=POINTS)]
    points = index[:, ::-1] @ index_to_mm(geometry).T + geometry.origin_mm
    place = torch.from_numpy((points - frame.center_mm) / frame.half_mm).float()
    truth = torch.from_numpy(labels[tuple(index.T)]).long() - 1
    return make_input(sample_liver(liver, geometry, frame, side), frame), place, truth


def segment_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return cross entropy plus soft Dice loss, the latter over all points of the batch.

    Args:
        logits: (n, 8).
        truth: Classes 0..7, int64 (n,).
    """
    probability = logits.softmax(dim=1)
    hit = F.one_hot(truth, SEGMENT_COUNT).to(probability.dtype)
    overlap = (probability * hit).sum(dim=0)
    dice = (2 * overlap + 1) / (probability.sum(dim=0) + hit.sum(dim=0) + 1)
    return F.cross_entropy(logits, truth) + 1 - dice.mean()


class ShapeTraining:
    """One network in training, with the moving average of its weights, which is what is kept.

    Args:
        config: Widths, epochs and the rest.
        seed: Seed of the weights and of every variation.
    """

    def __init__(self, config: CouinaudShapeConfig, seed: int) -> None:
        self._config = config
        self._seed = seed
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = ShapeNetwork(config.widths)
        self.average = copy.deepcopy(self.network)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        self.epochs_done = 0
        self._steps = 0

    def run_epoch(self, shapes: Sequence[LabeledShape]) -> dict[str, float]:
        """See every shape once, varied anew, and return the epoch's number and mean loss."""
        config, epoch = self._config, self.epochs_done
        order = np.random.default_rng((self._seed, epoch)).permutation(len(shapes))
        batches = [order[first : first + config.batch_size] for first in range(0, len(order), config.batch_size)]
        losses = []
        for number, batch in enumerate(batches):
            generators = [np.random.default_rng((self._seed, epoch, int(index))) for index in batch]
            drawn = [make_sample(shapes[index], config.side, rng) for index, rng in zip(batch, generators, strict=True)]
            rate = self._rate((epoch + number / len(batches)) / config.epochs)
            liver, place, truth = (torch.stack(part) for part in zip(*drawn, strict=True))
            losses.append(self._step(liver, place, truth, rate))
        self.epochs_done += 1
        return {"epoch": epoch, "loss": round(float(np.mean(losses)), 5), "learning_rate": rate}

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs: tensors and numbers."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "epochs_done": self.epochs_done,
            "steps": self._steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.epochs_done, self._steps = state["epochs_done"], state["steps"]

    def _rate(self, progress: float) -> float:
        """Return the learning rate at a share of the training: a short rise, then half a cosine down to 0."""
        rise = min(1.0, (self._steps + 1) / WARM_UP_STEPS)
        return self._config.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * progress))

    def _step(self, liver: Tensor, place: Tensor, truth: Tensor, rate: float) -> float:
        """Take one step of gradient descent and return its loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        logits = interpolate(self.network(liver), place).movedim(1, -1)
        loss = segment_loss(logits.flatten(0, 1), truth.flatten())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        self._steps += 1
        decay = min(self._config.average_decay, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
        return loss.item()
