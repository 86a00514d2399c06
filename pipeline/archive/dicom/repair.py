"""Mending decoded slices whose positions are no box: a tilted gantry, and steps of different length.

Only where a site asks for it: a repair interpolates. Gray values are interpolated linearly; masks take the nearest
voxel. What comes from outside of the slices is air.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.dicom.attributes import Vector
from pipeline.archive.dicom.geometry import Series, slice_normal
from pipeline.arrays import Float64Array

AIR_HU = -1024


def mend(array: NDArray[Any], series: Series) -> tuple[NDArray[Any], Vector]:
    """Lay slices on a box with the series' step.

    Args:
        array: Decoded slices (slices, rows, columns): int16 HU, or uint8 for a mask.
        series: Their series; `repairs` says what is to be done.

    Returns:
        The box, of the same dtype and perhaps another shape, and the position of its first voxel (x, y, z).
    """
    offsets = np.array([header.position_mm for header in series.slices]) - series.slices[0].position_mm
    row, column = np.array(series.slices[0].orientation).reshape(2, 3)
    along = offsets @ slice_normal(series.slices[0].orientation)
    origin = np.array(series.slices[0].position_mm)
    fill = AIR_HU if array.dtype == np.int16 else 0
    if "GANTRY_TILT" in series.repairs:
        spacing = np.array(series.slices[0].pixel_spacing_mm)
        array, first = unshear(array, offsets @ np.stack([column, row], axis=1) / spacing, fill)
        origin += first[0] * spacing[0] * column + first[1] * spacing[1] * row
    if "SLICE_INCREMENT_INCONSISTENT" in series.repairs:
        array = respace(array, along, series.step_mm)
    return array, tuple(origin.tolist())


def unshear(array: NDArray[Any], drift: Float64Array, fill: int) -> tuple[NDArray[Any], tuple[int, int]]:
    """Shift each slice in its plane to where it belongs, on a canvas that holds all of them.

    Args:
        array: Slices (n, rows, columns).
        drift: Rows and columns by which each slice lies off the first, shape (n, 2).
        fill: Value outside of a slice.

    Returns:
        The shifted slices, and row and column of the canvas's first pixel, counted from the first slice's.
    """
    from scipy.ndimage import shift

    low = np.floor(drift.min(axis=0)).astype(int)
    high = np.ceil(drift.max(axis=0)).astype(int)
    shape = (len(array), *(np.array(array.shape[1:]) + high - low))
    canvas = np.full(shape, fill, array.dtype)
    rows, columns = array.shape[1:]
    for index, plane in enumerate(array):
        canvas[index, :rows, :columns] = plane
        order = 1 if array.dtype == np.int16 else 0
        shifted = shift(canvas[index].astype(np.float32), drift[index] - low, order=order, cval=fill)
        canvas[index] = np.rint(shifted)
    return canvas, (int(low[0]), int(low[1]))


def respace(array: NDArray[Any], along_mm: Float64Array, step_mm: float) -> NDArray[Any]:
    """Interpolate slices to equal steps.

    Args:
        array: Slices (n, rows, columns).
        along_mm: Position of each slice along the normal, ascending from 0, shape (n,).
        step_mm: The step.

    Returns:
        As many slices as there are whole steps from the first to the last slice.
    """
    wanted = np.arange(round(along_mm[-1] / step_mm) + 1) * step_mm
    where = np.interp(wanted, along_mm, np.arange(len(along_mm)))
    low = np.minimum(where.astype(int), len(array) - 2)
    weight = where - low
    if array.dtype != np.int16:
        return array[low + np.rint(weight).astype(int)]
    result = np.empty((len(wanted), *array.shape[1:]), np.int16)
    for index, (k, part) in enumerate(zip(low, weight, strict=True)):
        result[index] = np.rint((1 - part) * array[k] + part * array[k + 1])
    return result
