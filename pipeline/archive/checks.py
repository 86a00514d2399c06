"""Checks that every layout shares: HU that can be HU, masks that are masks, and grids that agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from errno import errorcode
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.steady_file import try_again
from pipeline.arrays import BoolArray, Int16Array, UInt8Array
from pipeline.errors import CaseError, RefusedInputError
from pipeline.geometry import liver_box
from pipeline.volume import Geometry

GRID_TOLERANCE = 1e-3
"""Largest difference of two grids that count as one: millimeters of spacing and origin, and direction cosines."""
SPACING_RANGE_MM = (0.01, 100.0)
"""Voxel spacings outside are units or headers gone wrong."""
LIVER_MEDIAN_HU = (-100, 350)
"""A liver whose median is outside is not the one that the mask was drawn on."""
_HU_LIMITS = np.iinfo(np.int16)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn a file system's error into a `CaseError`.

    Args:
        what: The input in words, such as `the image`.

    Raises:
        CaseError: `FILE_UNREADABLE` with the error's symbol, such as `ENOENT`; the error's own text names a path.
    """
    try:
        yield
    except OSError as error:
        raise CaseError("FILE_UNREADABLE", f"{what} cannot be read ({_symbol(error)})") from None


@contextmanager
def listing(what: str) -> Iterator[None]:
    """Turn a file system's error into a refusal, as `reading` does for one case.

    Args:
        what: The setting and its folder, such as `source.masks 'masks'`.

    Raises:
        RefusedInputError: With the error's symbol.
    """
    try:
        yield
    except OSError as error:
        raise RefusedInputError(f"{what} cannot be listed ({_symbol(error)})") from None


def require_folder(path: str, setting: str) -> Path:
    """Return a configured folder as an absolute path: workers have other working directories.

    Raises:
        RefusedInputError: If it is not there, or cannot be looked at.
    """
    folder = Path(path).expanduser().absolute()
    with listing(f"{setting} {path!r}"):
        there = bool(path) and try_again(folder.is_dir)
    if not there:
        raise RefusedInputError(f"{setting}: expected a folder, got {path!r}")
    return folder


def to_hu(values: NDArray[Any]) -> Int16Array:
    """Round to whole Hounsfield units.

    Args:
        values: HU of any real dtype and shape, finite, at least one.

    Raises:
        CaseError: `HU_RANGE` if a value leaves int16, whose limits are quoted.
    """
    low, high = (float(np.rint(bound)) for bound in (values.min(), values.max()))
    if not (low >= _HU_LIMITS.min and high <= _HU_LIMITS.max):
        raise CaseError("HU_RANGE", f"HU run from {low:g} to {high:g}, allowed {_HU_LIMITS.min}..{_HU_LIMITS.max}")
    rounded = values if np.issubdtype(values.dtype, np.integer) else np.rint(values)
    return rounded.astype(np.int16)


def require_contrast(hu: Int16Array) -> None:
    """Check that an image is not one gray.

    Raises:
        CaseError: `HU_RANGE` if all voxels are equal.
    """
    if hu.min() == hu.max():
        raise CaseError(
            "HU_RANGE", f"all {hu.size} voxels of the image are {hu.flat[0]} HU, expected at least two values"
        )


def require_liver_hu(hu: Int16Array, liver: UInt8Array | BoolArray) -> None:
    """Check that the liver is as gray as a liver.

    Args:
        hu: Hounsfield units.
        liver: Not zero in the liver; shape of `hu`. An empty mask is left to `pipeline.slicing.check_liver`.

    Raises:
        CaseError: `LIVER_HU`.
    """
    if not liver.any():
        return
    box = liver_box(liver)
    low, high = LIVER_MEDIAN_HU
    if not low <= (median := float(np.median(hu[box][liver[box] > 0]))) <= high:
        raise CaseError("LIVER_HU", f"the liver's median is {median:g} HU, expected {low}..{high}")


def require_spacing(geometry: Geometry, what: str) -> None:
    """Check that voxel spacings are those of a patient in millimeters.

    Raises:
        CaseError: `SPACING_RANGE` otherwise; not a number counts as outside.
    """
    low, high = SPACING_RANGE_MM
    if not all(low <= value <= high for value in geometry.spacing_mm):
        raise CaseError("SPACING_RANGE", f"{what} has spacing {_show(geometry.spacing_mm)} mm, allowed {low}..{high}")


def to_labels(values: NDArray[Any], highest: int, code: str, what: str) -> UInt8Array:
    """Return a label image as uint8.

    Args:
        values: Any real dtype and shape.
        highest: Allowed are the whole numbers from 0 to this.
        code: Reason if there are others.
        what: The label image in words.

    Raises:
        CaseError: With `code`, quoting up to five of the other values.
    """
    if values.dtype.kind in "iu" and values.size and values.min() >= 0 and values.max() <= highest:
        return values.astype(np.uint8, copy=False)
    wrong = values[(values < 0) | (values > highest) | (values != np.rint(values))]
    if wrong.size:
        found = ", ".join(f"{value:g}" for value in np.unique(wrong)[:5])
        raise CaseError(code, f"{what} holds {found}, allowed are 0..{highest}")
    return values.astype(np.uint8)


def require_same_grid(
    geometry: Geometry, image: Geometry, what: str, *, shape_code: str, grid_code: str, step: str = "read"
) -> None:
    """Check that a label image lies on the voxels of the CT, both in LPS order.

    Args:
        geometry: Grid of the label image.
        image: Grid of the CT.
        what: The label image in words.
        shape_code: Reason if the shapes differ.
        grid_code: Reason if spacing, origin or direction differ by more than `GRID_TOLERANCE`.
        step: Step of the error.

    Raises:
        CaseError: With one of the codes, quoting both sides.
    """
    if geometry.shape != image.shape:
        sides = f"shape {geometry.shape}, the image {image.shape}"
        raise CaseError(shape_code, f"{what} has {sides} (z, y, x){_origins(geometry, image)}", step)
    for name in ("spacing_mm", "origin_mm", "direction"):
        ours, theirs = getattr(geometry, name), getattr(image, name)
        if not np.allclose(ours, theirs, rtol=0, atol=GRID_TOLERANCE):
            raise CaseError(grid_code, f"{what} has {name} {_show(ours)}, the image {_show(theirs)}", step)


def lay_on_grid(values: UInt8Array, geometry: Geometry, image: Geometry, what: str, code: str) -> UInt8Array:
    """Return a label image on the voxels of the CT, both in LPS order; a crop of the CT's grid will do.

    Args:
        values: Shape `geometry.shape`.
        geometry: Grid of the label image.
        image: Grid of the CT.
        what: The label image in words.
        code: Reason if it lies elsewhere.

    Raises:
        CaseError: With the code, quoting both sides.
    """
    if geometry.shape != image.shape and (pasted := paste_on_grid(values, geometry, image)) is not None:
        return pasted
    require_same_grid(geometry, image, what, shape_code=code, grid_code=code)
    return values


def paste_on_grid(values: UInt8Array, geometry: Geometry, image: Geometry) -> UInt8Array | None:
    """Lay a label image that is a crop of the CT's voxels onto the CT's grid, both in LPS order; nothing is resampled.

    Args:
        values: Shape `geometry.shape`.
        geometry: Grid of the label image.
        image: Grid of the CT.

    Returns:
        uint8 of shape `image.shape`, 0 around the crop. None if the label image is not a crop: another spacing or
        direction, an offset that is not a whole number of voxels, or voxels outside the CT.
    """
    for name in ("spacing_mm", "direction"):
        if not np.allclose(getattr(geometry, name), getattr(image, name), rtol=0, atol=GRID_TOLERANCE):
            return None
    offset_mm = np.subtract(geometry.origin_mm, image.origin_mm) @ np.reshape(image.direction, (3, 3))
    offset = offset_mm[::-1] / image.spacing_mm
    start = np.rint(offset).astype(int)
    stop = start + geometry.shape
    inside = np.all(start >= 0) and np.all(stop <= image.shape)
    if not inside or not np.allclose(offset_mm[::-1], start * image.spacing_mm, rtol=0, atol=GRID_TOLERANCE):
        return None
    whole = np.zeros(image.shape, dtype=np.uint8)
    whole[tuple(slice(low, high) for low, high in zip(start, stop, strict=True))] = values
    return whole


def _origins(geometry: Geometry, image: Geometry) -> str:
    """Say where two grids of different shape begin, if it is not the same place: it tells a crop from a mix-up."""
    if np.allclose(geometry.origin_mm, image.origin_mm, rtol=0, atol=GRID_TOLERANCE):
        return ""
    return f"; their origins are {_show(geometry.origin_mm)} and {_show(image.origin_mm)} mm"


def _symbol(error: OSError) -> str:
    """Return what names a file system's error without its path, such as `EIO`."""
    return errorcode.get(error.errno or 0, "no code")


def _show(values: tuple[float, ...]) -> str:
    """Write numbers short enough for a sentence, and long enough to show a difference of 1e-3."""
    return "(" + ", ".join(f"{round(value, 4) + 0.0:.10g}" for value in values) + ")"
