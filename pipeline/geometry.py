"""Between a volume's own grid and the common grid of a run, in plane only; the axial grid stays as acquired.

Coordinates are in native voxels and count edges: voxel j covers [j, j + 1). `crop_start` is the voxel whose low edge is
the low edge of grid pixel 0, so with the ratio r = grid spacing / native spacing grid pixel i covers
[crop_start + i r, crop_start + (i + 1) r). Both directions are separable, so that one slice costs two products with
small matrices and nothing is ever shifted by half a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import BoolArray, Float32Array, Int32Array, Int64Array, UInt8Array
from pipeline.config import GridConfig
from pipeline.errors import CaseError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CUT_SHARE = 0.2
"""A liver is cut if its section at the image's border has more than this share of its largest parallel section."""
_EDGE_TOLERANCE = 1e-6
"""Native voxels by which a box may stick out of the grid through rounding of the spacing."""


def area_weights(
    start: int, native_size: int, native_spacing_mm: float, grid_size: int, grid_spacing_mm: float
) -> Float32Array:
    """Return the share of each native voxel in each grid pixel, along one axis.

    Args:
        start: Voxel whose low edge is the low edge of grid pixel 0; may be negative.
        native_size: Number of native voxels.
        native_spacing_mm: Native spacing.
        grid_size: Number of grid pixels.
        grid_spacing_mm: Grid spacing.

    Returns:
        float32, shape (grid_size, native_size): length of the overlap over the length of the grid pixel. A row sums to
        1 inside the image and to less where the pixel sticks out: what lies outside counts as zero.
    """
    ratio = grid_spacing_mm / native_spacing_mm
    edges = start + np.arange(grid_size + 1) * ratio
    voxels = np.arange(native_size)
    high = np.minimum(edges[1:, None], voxels + 1)
    low = np.maximum(edges[:-1, None], voxels)
    return (np.maximum(high - low, 0.0) / ratio).astype(np.float32)


def linear_weights(
    start: int, native_size: int, native_spacing_mm: float, grid_size: int, grid_spacing_mm: float
) -> Float32Array:
    """Return the weights of linear interpolation at native voxel centers, along one axis.

    Args:
        start: As in `area_weights`, and so are the others.
        native_size: Number of native voxels.
        native_spacing_mm: Native spacing.
        grid_size: Number of grid pixels.
        grid_spacing_mm: Grid spacing.

    Returns:
        float32, shape (native_size, grid_size). Centers within the outer half of a border pixel take its value,
        centers outside the grid have a row of zeros.
    """
    centers = (np.arange(native_size) + 0.5 - start) * (native_spacing_mm / grid_spacing_mm) - 0.5
    inside = (centers >= -0.5) & (centers < grid_size - 0.5)
    position = np.clip(centers, 0, grid_size - 1)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, grid_size - 1)
    weights = np.zeros((native_size, grid_size))
    voxels = np.arange(native_size)
    weights[voxels, lower] = 1 - (position - lower)
    weights[voxels, upper] += position - lower
    return (weights * inside[:, None]).astype(np.float32)


def nearest_pixels(
    start: int, native_size: int, native_spacing_mm: float, grid_size: int, grid_spacing_mm: float
) -> Int64Array:
    """Return the grid pixel that holds each native voxel's center, along one axis; arguments as in `linear_weights`.

    Returns:
        Shape (native_size,); centers outside the grid have its border pixel.
    """
    centers = (np.arange(native_size) + 0.5 - start) * (native_spacing_mm / grid_spacing_mm)
    return np.clip(np.floor(centers), 0, grid_size - 1).astype(np.int64)


def liver_box(liver_mask: BoolArray | UInt8Array) -> tuple[slice, slice, slice]:
    """Return the smallest z, y, x box that holds a mask with at least one voxel; any value but 0 is inside."""
    inside: BoolArray = liver_mask.view(np.bool_)
    z = _extent(np.any(inside, axis=(1, 2)))
    plane: BoolArray = np.any(inside[z], axis=0)
    return z, _extent(np.any(plane, axis=1)), _extent(np.any(plane, axis=0))


def _extent(marked: BoolArray) -> slice:
    """Return the range from the first to the last true element, of which there is one."""
    indices = np.flatnonzero(marked)
    return slice(int(indices[0]), int(indices[-1]) + 1)


def is_cut(liver_mask: BoolArray) -> bool:
    """Tell whether the image ends inside the liver: at any face the liver's section is a fair share of its largest."""
    for axis in range(3):
        border = max(np.count_nonzero(np.take(liver_mask, end, axis)) for end in (0, -1))
        others = tuple(other for other in range(3) if other != axis)
        if border and border > CUT_SHARE * np.count_nonzero(liver_mask, axis=others).max():
            return True
    return False


def find_crop_start(
    liver_mask: BoolArray, spacing_mm: tuple[float, float, float], grid: GridConfig
) -> tuple[int, int, int]:
    """Center the grid's window on the liver.

    Args:
        liver_mask: Shape (z, y, x), at least one voxel.
        spacing_mm: Native spacing along z, y, x.
        grid: The run's grid.

    Returns:
        First liver slice, and the native voxel along y and x where grid pixel (0, 0) starts; may be negative.

    Raises:
        CaseError: LIVER_EXCEEDS_GRID if the window cannot hold the liver.
    """
    box = liver_box(liver_mask)
    sizes_mm = [(side.stop - side.start) * spacing for side, spacing in zip(box[1:], spacing_mm[1:], strict=True)]
    starts = []
    for side, spacing, pixels in zip(box[1:], spacing_mm[1:], (grid.height, grid.width), strict=True):
        window = pixels * grid.spacing_mm / spacing
        if side.stop - side.start > window + _EDGE_TOLERANCE:
            raise CaseError(
                "LIVER_EXCEEDS_GRID",
                f"the liver measures {sizes_mm[0]:.1f} x {sizes_mm[1]:.1f} mm in plane, the grid only"
                f" {grid.height * grid.spacing_mm:.1f} x {grid.width * grid.spacing_mm:.1f} mm",
                "plan_slices",
            )
        centered = math.floor((side.start + side.stop - window) / 2 + 0.5)
        starts.append(min(max(centered, math.ceil(side.stop - window - _EDGE_TOLERANCE)), side.start))
    return box[0].start, starts[0], starts[1]


def to_grid(
    planes: NDArray[Any], spacing_mm: tuple[float, float, float], crop_start: tuple[int, int, int], grid: GridConfig
) -> Float32Array:
    """Average native planes over the area of each grid pixel.

    Args:
        planes: Shape (n, y, x), any real dtype or bool.
        spacing_mm: Native spacing along z, y, x.
        crop_start: Where the grid starts in these planes; for planes cut out of a volume, relative to the cut.
        grid: The run's grid.

    Returns:
        float32, shape (n, height, width); for a mask the covered share of each pixel, in [0, 1].
    """
    average = plan_average(planes.shape[1:], spacing_mm, crop_start, grid)
    result = np.zeros((len(planes), grid.height, grid.width), np.float32)
    for plane, target in zip(planes, result, strict=True):
        target[average.window] = average(plane)
    return result


@dataclass(frozen=True)
class AreaAverage:
    """Averages native planes of one size over the area of the grid pixels that they reach.

    Args:
        rows: Sparse weights of rows, shape (window rows, native rows).
        columns: Sparse weights of columns, shape (window columns, native columns).
        window: The grid's rows and columns that planes reach.
    """

    rows: csr_matrix
    columns: csr_matrix
    window: tuple[slice, slice]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.rows.shape[0], self.columns.shape[0]

    def __call__(self, plane: NDArray[Any]) -> Float32Array:
        """Return the means of a plane, float32 of the window's shape."""
        across = self.rows @ plane.astype(np.float32)
        averaged: Float32Array = (self.columns @ np.ascontiguousarray(across.T)).T
        return averaged


def plan_average(
    plane_shape: Sequence[int],
    spacing_mm: tuple[float, float, float],
    crop_start: tuple[int, int, int],
    grid: GridConfig,
) -> AreaAverage:
    """Return what averages planes of a shape.

    Args:
        plane_shape: Native rows and columns.
        spacing_mm: As in `to_grid`, and so are the others.
        crop_start: Where the grid starts in these planes.
        grid: The run's grid.
    """
    rows, height = _reached(area_weights(crop_start[1], plane_shape[0], spacing_mm[1], grid.height, grid.spacing_mm))
    columns, width = _reached(area_weights(crop_start[2], plane_shape[1], spacing_mm[2], grid.width, grid.spacing_mm))
    return AreaAverage(rows, columns, (height, width))


def _reached(weights: Float32Array) -> tuple[csr_matrix, slice]:
    """Return the rows of weights that are not all zero, as a sparse matrix, and which they are."""
    from scipy.sparse import csr_matrix

    used = np.flatnonzero(weights.any(axis=1))
    window = slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)
    return csr_matrix(weights[window]), window


def to_native(
    probability: Float32Array,
    slice_index: Int32Array,
    native_shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    crop_start: tuple[int, int, int],
    grid: GridConfig,
    threshold: float,
) -> BoolArray:
    """Bring probabilities back to the volume's own grid and threshold them there.

    Args:
        probability: Tumor probability on the grid, shape (n, height, width), in [0, 1].
        slice_index: Native slice of each plane, shape (n,).
        native_shape: Shape of the volume, z, y, x.
        spacing_mm: Native spacing along z, y, x.
        crop_start: As `find_crop_start` gave it.
        grid: The run's grid.
        threshold: Probability from which on a voxel is tumor.

    Returns:
        bool of `native_shape`; false on slices without a plane and outside the grid. Never holds a float volume.
    """
    rows = linear_weights(crop_start[1], native_shape[1], spacing_mm[1], grid.height, grid.spacing_mm)
    columns = linear_weights(crop_start[2], native_shape[2], spacing_mm[2], grid.width, grid.spacing_mm).T
    mask = np.zeros(native_shape, bool)
    for plane, index in zip(probability, slice_index, strict=True):
        mask[index] = rows @ plane @ columns >= threshold
    return mask
