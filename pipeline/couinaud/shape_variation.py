"""Varied livers for training: turned, stretched, bent, sliced thickly, cut by the field of view, or resected.

Nothing is mirrored: left and right are what is learned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pipeline.arrays import BoolArray, Float32Array, Float64Array, UInt8Array
from pipeline.couinaud.shape_frame import ShapeFrame, index_to_mm
from pipeline.volume import Geometry

IN_PLANE_MM = 3.0
"""In-plane spacing of varied livers."""
ANGLE_DEGREES = 10.0
"""Largest turn about each axis."""
STRETCH = 0.12
"""Largest share by which an axis grows or shrinks."""
BEND_MM, BEND_KNOTS = 4.0, 5
"""Standard deviation and knots per axis of the displacement that bends liver and segments."""
ROUGHNESS_MM, ROUGHNESS_KNOTS = 1.5, 14
"""The same for the displacement that roughens the surface alone."""
THIN_MM, THICK_MM = 3.0, 10.0
"""Range of the slice spacing; half of the livers are sliced thinly."""
CUT_PROBABILITY, CUT_SHARE = 0.15, 0.3
"""How often the field of view cuts a liver, and at most how much of its extent is lost."""
RESECTION_PROBABILITY = 0.05
"""How often segments are missing."""
RESECTIONS = ((2, 3), (2, 3, 4), (3,), (6, 7), (6,), (5, 6), (5, 6, 7, 8))
"""Segments that are resected together."""
LEAST_REMNANT = 0.1
"""Share of the labeled voxels that a resection leaves, at least; of a whole liver each leaves more than a fifth."""
FRAME_SHIFT, FRAME_STRETCH = 0.03, 0.04
"""Standard deviations of what moves and stretches a frame, as shares of its half extents."""


@dataclass(frozen=True)
class Variation:
    """What happens to one liver.

    Args:
        matrix: Turn and stretch in patient axes, shape (3, 3).
        bend_mm: Displacements of liver and segments at knots, x, y, z, float32 (3, k, k, k).
        roughness_mm: Further displacements of the liver's surface, of the same form.
        slice_mm: Slice spacing.
        cut: Axis z, y, x, which end (0 low, 1 high) and the share of the extent that is lost; None for a whole liver.
        resected: Segments that are missing.
    """

    matrix: Float64Array
    bend_mm: Float32Array
    roughness_mm: Float32Array
    slice_mm: float = THIN_MM
    cut: tuple[int, int, float] | None = None
    resected: tuple[int, ...] = ()


def draw_variation(rng: np.random.Generator) -> Variation:
    """Draw what happens to one liver."""
    turn = _turn(np.radians(rng.uniform(-ANGLE_DEGREES, ANGLE_DEGREES, 3)))
    stretch = np.exp(rng.uniform(-STRETCH, STRETCH, 3))
    slice_mm = THIN_MM if rng.random() < 0.5 else float(rng.uniform(THIN_MM, THICK_MM))
    variation = Variation(
        turn * stretch, _knots(rng, BEND_MM, BEND_KNOTS), _knots(rng, ROUGHNESS_MM, ROUGHNESS_KNOTS), slice_mm
    )
    if rng.random() < CUT_PROBABILITY:
        axis = int(rng.choice(3, p=(0.8, 0.1, 0.1)))
        variation = replace(variation, cut=(axis, int(rng.integers(2)), float(rng.uniform(0, CUT_SHARE))))
    if rng.random() < RESECTION_PROBABILITY:
        variation = replace(variation, resected=RESECTIONS[rng.integers(len(RESECTIONS))])
    return variation


def keep_remnant(variation: Variation, labels: UInt8Array) -> Variation:
    """Return a variation without its resection if that would leave less than `LEAST_REMNANT` of a label map.

    Args:
        variation: As it was drawn.
        labels: 0 or segment 1..8; perhaps of a part of a liver, such as a graft.
    """
    if not variation.resected:
        return variation
    left = np.count_nonzero(labels) - np.count_nonzero(np.isin(labels, variation.resected))
    return variation if left >= LEAST_REMNANT * np.count_nonzero(labels) else replace(variation, resected=())


def vary(labels: UInt8Array, geometry: Geometry, variation: Variation) -> tuple[BoolArray, UInt8Array, Geometry]:
    """Apply a variation to a label map.

    Args:
        labels: 0 or segment 1..8, shape `geometry.shape`.
        geometry: Where the voxels lie.
        variation: What happens.

    Returns:
        The varied liver, its segments (0 also on liver that the rough surface added) and their geometry, whose axes
        are the patient's.
    """
    remaining = np.pad(np.where(np.isin(labels, variation.resected), 0, labels).astype(np.uint8), 1)
    varied = _varied_geometry(geometry, variation)
    index = _source_index(geometry, varied, variation)
    segments = _nearest(remaining, index)
    index += _spread(_to_steps(variation.roughness_mm, geometry), varied.shape)
    liver = _nearest(remaining, index) > 0
    if variation.cut:
        kept = _kept(liver, *variation.cut)
        start = [side.start or 0 for side in reversed(kept)]
        origin = np.array(varied.origin_mm) + np.multiply(start, varied.spacing_mm[::-1])
        varied = replace(varied, shape=liver[kept].shape, origin_mm=tuple(origin.tolist()))
        liver, segments = liver[kept], segments[kept]
    return liver, segments * liver, varied


def vary_frame(frame: ShapeFrame, rng: np.random.Generator) -> ShapeFrame:
    """Return a frame moved and stretched a little, as another contour or field of view would."""
    half = np.array(frame.half_mm)
    center = frame.center_mm + FRAME_SHIFT * half * rng.standard_normal(3)
    half = half * np.exp(FRAME_STRETCH * rng.standard_normal(3))
    return ShapeFrame(tuple(center.tolist()), tuple(half.tolist()))


def _turn(radians: Float64Array) -> Float64Array:
    """Return the rotation about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(radians), np.sin(radians)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _knots(rng: np.random.Generator, deviation_mm: float, count: int) -> Float32Array:
    """Return random displacements at knots, float32 (3, count, count, count)."""
    return (deviation_mm * rng.standard_normal((3, count, count, count))).astype(np.float32)


def _spread(knots: Float32Array, shape: tuple[int, int, int]) -> Float32Array:
    """Interpolate displacements at knots linearly to a whole image, float32 (3, *shape)."""
    import torch
    import torch.nn.functional as F

    values = torch.from_numpy(knots)[None]
    return F.interpolate(values, size=shape, mode="trilinear", align_corners=True)[0].numpy()


def _to_steps(displacement_mm: Float32Array, geometry: Geometry) -> Float32Array:
    """Turn x, y, z displacements in millimeters into x, y, z index steps."""
    inverse = np.linalg.inv(index_to_mm(geometry))
    return np.tensordot(inverse, displacement_mm, axes=1).astype(np.float32)


def _source_index(geometry: Geometry, varied: Geometry, variation: Variation) -> Float32Array:
    """Return where in the original each voxel of the varied image comes from, x, y, z indices, (3, *varied.shape)."""
    to_steps = np.linalg.inv(variation.matrix @ index_to_mm(geometry))
    start = (np.array(geometry.shape[::-1]) - 1) / 2 + to_steps @ (varied.origin_mm - _center(geometry))
    index = _spread(_to_steps(variation.bend_mm, geometry), varied.shape) + start.reshape(3, 1, 1, 1)
    for axis, (size, spacing) in enumerate(zip(varied.shape[::-1], varied.spacing_mm[::-1], strict=True)):
        ramp = np.arange(size) * spacing * to_steps[:, axis, None]
        index += np.expand_dims(ramp, tuple(1 + other for other in range(3) if other != 2 - axis))
    return index.astype(np.float32)


def _center(geometry: Geometry) -> Float64Array:
    """Return the physical middle of an image."""
    middle = (np.array(geometry.shape[::-1]) - 1) / 2
    return index_to_mm(geometry) @ middle + geometry.origin_mm


def _varied_geometry(geometry: Geometry, variation: Variation) -> Geometry:
    """Return an image in patient axes that holds the turned and stretched original."""
    extent = np.abs(variation.matrix @ index_to_mm(geometry)) @ np.array(geometry.shape[::-1])
    spacing = np.array([IN_PLANE_MM, IN_PLANE_MM, variation.slice_mm])
    size = [math.ceil(length / step) + 2 for length, step in zip(extent, spacing, strict=True)]
    origin = _center(geometry) - spacing * (np.array(size) - 1) / 2
    return Geometry((size[2], size[1], size[0]), (variation.slice_mm, IN_PLANE_MM, IN_PLANE_MM), tuple(origin.tolist()))


def _nearest(padded: UInt8Array, index: Float32Array) -> UInt8Array:
    """Return the label of the nearest voxel.

    Args:
        padded: Labels with a rim of one voxel of zeros.
        index: x, y, z indices before padding, shape (3, ...); outside the image they find the rim.
    """
    x, y, z = (np.clip(np.rint(index[axis]), -1, padded.shape[2 - axis] - 2).astype(np.intp) + 1 for axis in range(3))
    return padded.reshape(-1)[(z * padded.shape[1] + y) * padded.shape[2] + x]


def _kept(liver: BoolArray, axis: int, end: int, share: float) -> tuple[slice, ...]:
    """Return the part of an image that is left when the field of view ends inside the liver."""
    there = np.flatnonzero(liver.any(axis=tuple(other for other in range(3) if other != axis)))
    lost = int(share * (there[-1] - there[0]))
    kept = [slice(None)] * 3
    kept[axis] = slice(int(there[0]) + lost, None) if end == 0 else slice(None, int(there[-1]) + 1 - lost)
    return tuple(kept)
