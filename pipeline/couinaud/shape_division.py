"""Straight cuts through a vote: the planes and levels that agree best with what the networks say voxel by voxel."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from pipeline.arrays import BoolArray, UInt8Array
from pipeline.couinaud.division import Division, divide, fit_division
from pipeline.couinaud.shape_frame import ShapeFrame, sample_liver, to_index
from pipeline.couinaud.shape_labeling import label_voxels
from pipeline.couinaud.shape_vote import Vote
from pipeline.geometry import liver_box
from pipeline.volume import Geometry


def fit_cuts(vote: Vote, liver_mask: BoolArray, geometry: Geometry) -> Division:
    """Fit Couinaud's cuts to a vote, each voxel of the frame's grid weighing as much as the vote is sure of it.

    Args:
        vote: Of this liver.
        liver_mask: Shape `geometry.shape`, at least one voxel.
        geometry: Where the voxels lie.

    Returns:
        The cuts; None for one that the vote gives no evidence of.
    """
    finer = F.interpolate(torch.from_numpy(vote.scores)[None], scale_factor=2.0, mode="trilinear", align_corners=False)
    probability, segment = finer[0].softmax(dim=0).max(dim=0)
    side = segment.shape[0]
    liver = sample_liver(liver_mask, geometry, vote.frame, side) >= 0.5
    labels = ((segment.numpy() + 1) * liver).astype(np.uint8)
    return fit_division(labels, frame_geometry(vote.frame, side), probability.numpy())


def name_segments(vote: Vote, liver_mask: BoolArray, geometry: Geometry) -> UInt8Array:
    """Divide a liver by the cuts that fit its vote best; the caudate lobe is the vote's own.

    Args:
        vote: Of this liver.
        liver_mask: Shape `geometry.shape`, at least one voxel.
        geometry: Where the voxels lie.

    Returns:
        uint8: 1..8 on the liver, 0 elsewhere; what the vote says voxel by voxel if it lacks one of the five cuts.
    """
    cuts = fit_cuts(vote, liver_mask, geometry)
    if None in (cuts.mid, cuts.right, cuts.left, cuts.right_level_mm, cuts.left_level_mm):
        return label_voxels(vote.scores, vote.frame, liver_mask, geometry)
    return divide(liver_mask, geometry, cuts, find_caudate(vote, liver_mask, geometry))


def find_caudate(vote: Vote, liver_mask: BoolArray, geometry: Geometry) -> BoolArray:
    """Return the voxels where segment 1 has the largest interpolated score, near samples where it has.

    Args:
        vote: Of this liver.
        liver_mask: Shape `geometry.shape`.
        geometry: Where the voxels lie.
    """
    caudate = np.zeros(geometry.shape, bool)
    samples = vote.scores.argmax(axis=0) == 0
    if not samples.any():
        return caudate
    box = _image_box(vote.frame, samples, geometry)
    inside = np.zeros(geometry.shape, bool)
    inside[box] = liver_mask[box]
    if inside.any():
        caudate[box] = label_voxels(vote.scores, vote.frame, inside, geometry)[box] == 1
    return caudate


def _image_box(frame: ShapeFrame, samples: BoolArray, geometry: Geometry) -> tuple[slice, slice, slice]:
    """Return the box of an image that holds some samples of a frame's grid, and those next to them."""
    side = samples.shape[0]
    edges = [(part.start - 1, part.stop + 1) for part in reversed(liver_box(samples))]
    corners = np.stack(np.meshgrid(*(np.array(pair) * 2 / side - 1 for pair in edges)), axis=-1)
    index = to_index(corners * frame.half_mm + frame.center_mm, geometry).reshape(3, -1)
    low, high = np.floor(index.min(axis=1)), np.ceil(index.max(axis=1)) + 1
    z, y, x = (slice(max(0, int(start)), max(0, int(stop))) for start, stop in zip(low, high, strict=True))
    return z, y, x


def frame_geometry(frame: ShapeFrame, side: int) -> Geometry:
    """Return a grid of a frame as an image in patient axes."""
    half = np.array(frame.half_mm)
    x, y, z = (2 * half / side).tolist()
    origin = np.array(frame.center_mm) - half * (1 - 1 / side)
    return Geometry((side, side, side), (z, y, x), tuple(origin.tolist()))
