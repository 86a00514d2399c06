"""What the shape networks say of a liver: scores of the segments on a grid of the liver's frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from pipeline.arrays import BoolArray, Float32Array, Float64Array
from pipeline.couinaud.shape_frame import ShapeFrame, fit_frame, sample_liver
from pipeline.couinaud.shape_network import ShapeNetwork, make_input
from pipeline.volume import Geometry


@dataclass(frozen=True)
class Vote:
    """Scores of one liver.

    Args:
        scores: Logarithm of the probability of segments 1..8 on a grid of the frame, float32 (8, s, s, s).
        frame: The liver's frame.
        confidence: Mean over the liver of the largest probability.
    """

    scores: Float32Array
    frame: ShapeFrame
    confidence: float

    def probabilities(self, points_mm: Float64Array) -> Float32Array:
        """Return the probabilities of segments 1..8 at physical points.

        Args:
            points_mm: Shape (n, 3) as x, y, z (LPS).

        Returns:
            float32, shape (n, 8), rows sum to 1. Points outside the frame take its border's.
        """
        place = torch.from_numpy((points_mm - self.frame.center_mm) / self.frame.half_mm).float()
        return interpolate(torch.from_numpy(self.scores)[None], place[None])[0].softmax(dim=0).T.numpy()


@dataclass(frozen=True)
class ShapeModel:
    """Networks that vote together.

    Args:
        networks: At least one, of equal widths.
        side: Side of the grid that they see.
    """

    networks: tuple[ShapeNetwork, ...]
    side: int

    def vote(self, liver_mask: BoolArray, geometry: Geometry) -> Vote:
        """Score the segments of a liver; the networks' probabilities are averaged geometrically.

        Args:
            liver_mask: Shape `geometry.shape`, at least one voxel.
            geometry: Where the voxels lie.
        """
        frame = fit_frame(liver_mask, geometry)
        liver = sample_liver(liver_mask, geometry, frame, self.side)
        seen = make_input(liver, frame)[None]
        with torch.inference_mode():
            total = sum((network(seen).log_softmax(dim=1) for network in self.networks), torch.zeros(()))
            scores = (total / len(self.networks)).log_softmax(dim=1)[0]
            share = F.avg_pool3d(torch.from_numpy(liver)[None], 2)[0]
            confidence = (scores.max(dim=0).values.exp() * share).sum() / share.sum()
        return Vote(scores.numpy(), frame, float(confidence))


def interpolate(scores: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Interpolate grids of scores linearly.

    Args:
        scores: float32 (n, 8, s, s, s), samples at the centers of equal cells of [-1, 1]^3.
        place: float32 (n, p, 3) as x, y, z in [-1, 1]; beyond the outer samples their values go on.

    Returns:
        float32 (n, 8, p).
    """
    return F.grid_sample(scores, place[:, None, None], padding_mode="border", align_corners=False)[:, :, 0, 0]
