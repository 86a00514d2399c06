"""A liver given by formulas, so that it can be drawn on any grid, and small label maps of it."""

from __future__ import annotations

import numpy as np

from pipeline.volume import Geometry, Volume

BOX_MM = np.array([[-110.0, -80.0, -85.0], [120.0, 85.0, 80.0]])
"""Physical box around the liver: low and high x, y, z (LPS)."""


def is_liver(points_mm):
    """Tell which points lie in the liver: a large right lobe and a flat left one, in front and to the left."""
    right = np.linalg.norm((points_mm - [-30, 5, -5]) / [70, 72, 75], axis=-1) < 1
    left = np.linalg.norm((points_mm - [45, -35, 25]) / [68, 35, 38], axis=-1) < 1
    return right | left


def segment_at(points_mm):
    """Return segments cut by upright planes and two levels, with a small caudate lobe."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    right = np.where(y < 15, np.where(z > 0, 8, 5), np.where(z > 0, 7, 6))
    left = np.where(x < 30, 4, np.where(z > 25, 2, 3))
    labels = np.where(0.64 * x - 0.77 * y > 0, left, right)
    return np.where(np.linalg.norm(points_mm - [10, 30, 20], axis=-1) < 22, 1, labels).astype(np.uint8)


def make_geometry(spacing_mm=(3.0, 2.5, 2.5), direction=None, low=BOX_MM[0], high=BOX_MM[1]):
    """Return an image whose voxels cover a physical box.

    Args:
        spacing_mm: Along the index axes z, y, x.
        direction: Columns are the x, y, z index axes in patient axes; any orthogonal matrix.
        low: Corner of the box, x, y, z.
        high: Opposite corner.
    """
    direction = np.eye(3) if direction is None else np.asarray(direction, float)
    step = np.array(spacing_mm[::-1])
    size = np.ceil(np.abs(direction.T) @ (np.array(high) - low) / step).astype(int) + 1
    origin = (np.array(low) + high) / 2 - direction @ (step * (size - 1) / 2)
    shape = tuple(int(count) for count in size[::-1])
    return Geometry(shape, tuple(spacing_mm), tuple(origin.tolist()), tuple(direction.ravel().tolist()))


def voxel_points(geometry):
    """Return the physical position of every voxel, (z, y, x, 3)."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in geometry.shape), indexing="ij"), axis=-1)[..., ::-1]
    step = np.array(geometry.direction).reshape(3, 3) * geometry.spacing_mm[::-1]
    return index @ step.T + geometry.origin_mm


def make_liver(geometry) -> Volume:
    """Return the liver on a grid, without gray values."""
    mask = is_liver(voxel_points(geometry))
    return Volume("liver", np.zeros(mask.shape, np.int16), mask, geometry, np.zeros(8, bool))


def make_labels(geometry):
    """Return the liver's segments on a grid."""
    points = voxel_points(geometry)
    return segment_at(points) * is_liver(points)


def reindex(array, geometry, order, flips):
    """Permute and flip the axes of an image; every voxel stays where it is in the patient.

    Args:
        array: Shape `geometry.shape`.
        geometry: Of the image.
        order: Which old axis (z, y, x) each new one is.
        flips: Whether each new axis is flipped.
    """
    steps = (np.array(geometry.direction).reshape(3, 3) * geometry.spacing_mm[::-1])[:, ::-1][:, list(order)]
    turned = np.transpose(array, order)
    origin = np.array(geometry.origin_mm)
    for axis, flipped in enumerate(flips):
        if flipped:
            turned = np.flip(turned, axis)
            origin = origin + steps[:, axis] * (turned.shape[axis] - 1)
            steps[:, axis] *= -1
    spacing = np.linalg.norm(steps, axis=0)
    direction = (steps / spacing)[:, ::-1]
    return turned, Geometry(turned.shape, tuple(spacing.tolist()), tuple(origin.tolist()), tuple(direction.ravel()))


def look_up(labels, geometry, points_mm):
    """Return the label of the voxel nearest to physical points, (n, 3); 0 outside."""
    step = np.array(geometry.direction).reshape(3, 3) * geometry.spacing_mm[::-1]
    index = np.rint(np.linalg.solve(step, (points_mm - geometry.origin_mm).T).T).astype(int)[:, ::-1]
    inside = ((index >= 0) & (index < geometry.shape)).all(axis=1)
    return np.where(inside, labels[tuple(np.where(inside[:, None], index, 0).T)], 0)
