"""From scores on a frame's grid to labels at every liver voxel of an image."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.arrays import BoolArray, Float32Array, UInt8Array
from pipeline.couinaud.shape_frame import ShapeFrame, index_to_mm
from pipeline.couinaud.shape_vote import interpolate
from pipeline.geometry import liver_box
from pipeline.volume import Geometry

_CHUNK_VOXELS = 1 << 18
"""Voxels of the liver's box that are looked at at a time; at least one slice."""


def label_voxels(scores: Float32Array, frame: ShapeFrame, liver_mask: BoolArray, geometry: Geometry) -> UInt8Array:
    """Give every liver voxel the segment of the largest score, interpolated linearly.

    Args:
        scores: Scores of segments 1..8 on a grid of the frame, float32, shape (8, s, s, s).
        frame: Where the grid lies.
        liver_mask: Shape `geometry.shape`, at least one voxel.
        geometry: Where the voxels lie.

    Returns:
        uint8: 1..8 on the liver, 0 elsewhere. Beside it never more than a chunk of voxels is held.
    """
    half = np.array(frame.half_mm)
    matrix = torch.from_numpy((index_to_mm(geometry) / half[:, None]).astype(np.float32))
    offset = torch.from_numpy(((np.array(geometry.origin_mm) - frame.center_mm) / half).astype(np.float32))
    grid = torch.from_numpy(scores)[None]
    labels = np.zeros(geometry.shape, np.uint8)
    box = liver_box(liver_mask)
    inside, target = liver_mask[box], labels[box]
    start = np.array([side.start for side in box])
    step = max(1, _CHUNK_VOXELS // inside[0].size)
    for first in range(0, len(inside), step):
        slab = inside[first : first + step]
        index = np.argwhere(slab) + start + [first, 0, 0]
        place = torch.from_numpy(index[:, ::-1].astype(np.float32)) @ matrix.T + offset
        target[first : first + step][slab] = _name_largest(interpolate(grid, place[None])[0].numpy())
    return labels


def _name_largest(scores: Float32Array) -> UInt8Array:
    """Return 1 + the row of the largest score of each column, of the first such row; float32 (8, n) to uint8 (n,).

    Row after row, which is several times as fast as an arg-max across rows.
    """
    largest = scores[0].copy()
    segment = np.ones(scores.shape[1], np.uint8)
    for row, score in enumerate(scores[1:], start=2):
        np.copyto(segment, np.uint8(row), where=score > largest)
        np.maximum(largest, score, out=largest)
    return segment
