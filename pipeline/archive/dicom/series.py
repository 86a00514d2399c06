"""From the files of one DICOM series to a volume: headers first, then geometry, and only then pixels.

GDCM and SimpleITK invent the pixels of a short file, so pixels are decoded by pydicom, which refuses short data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.checks import require_contrast, require_spacing, to_hu
from pipeline.archive.dicom.attributes import dicom_errors, parse, quiet
from pipeline.archive.dicom.geometry import Series, arrange, slice_normal
from pipeline.archive.dicom.headers import HEADER_KEYWORDS, PIXEL_KEYWORDS, SliceHeader, read_headers
from pipeline.archive.dicom.plain import PlainFile, parse_quickly
from pipeline.archive.dicom.repair import mend
from pipeline.archive.members import Member
from pipeline.arrays import BoolArray, Int16Array
from pipeline.errors import CaseError
from pipeline.volume import Geometry, view_in_lps

if TYPE_CHECKING:
    import pydicom


def _ignore(data: bytes) -> None:
    """Record nothing."""


def read_series(members: Sequence[Member], what: str, record: Callable[[bytes], object]) -> Series:
    """Read the headers of a series and check that its slices make a volume.

    Args:
        members: The files, in a fixed order.
        what: The series in words, for messages: `the image`, `the liver mask`.
        record: Receives the bytes of every file in order.

    Raises:
        CaseError: As `parse`, `read_headers` and `arrange`.
    """
    headers: list[SliceHeader] = []
    for member in members:
        data = member.read()
        record(data)
        headers += read_headers(member, parse_quickly(data, what, HEADER_KEYWORDS), hashlib.sha256(data).digest(), what)
    return arrange(headers, what)


def decode_hu(series: Series, what: str, record: Callable[[bytes], object] = _ignore) -> tuple[Int16Array, Geometry]:
    """Decode the slices to HU, each with its own slope and intercept.

    Args:
        series: As `arrange` gave it.
        what: The series in words.
        record: Receives the bytes of the files in the order of the slices.

    Returns:
        Array in LPS order and its geometry.

    Raises:
        CaseError: `RESCALE_MISSING`, `HU_RANGE`, `PIXELDATA_SHORT`, `PIXELDATA_UNREADABLE` or `SPACING_RANGE`.
    """
    hu = np.empty(series.shape, np.int16)
    for index, (header, stored) in enumerate(_decode_slices(series, what, record)):
        if header.rescale is None:
            raise CaseError("RESCALE_MISSING", f"{what}: a slice has no rescale slope and intercept, expected both")
        slope, intercept = header.rescale
        rescale_to_hu(stored, slope, intercept, out=hu[index])
    require_contrast(hu)
    return to_volume(hu, series, what)


def decode_mask(series: Series, what: str) -> tuple[BoolArray, Geometry]:
    """Decode the slices of a mask: 0 and one other value, commonly 255, over the whole series.

    Raises:
        CaseError: `MASK_VALUES`, `PIXELDATA_SHORT`, `PIXELDATA_UNREADABLE` or `SPACING_RANGE`.
    """
    mask = np.empty(series.shape, np.uint8)
    marks: set[int] = set()
    for index, (_, stored) in enumerate(_decode_slices(series, what)):
        mask[index] = stored != 0
        if mask[index].any():
            marked = stored[stored != 0]
            marks |= {int(marked.min()), int(marked.max())}
    if len(marks) > 1:
        sides = f"values from {min(marks)} to {max(marks)}, expected 0 and one other value"
        raise CaseError("MASK_VALUES", f"{what} holds {sides}")
    array, geometry = to_volume(mask, series, what)
    return array.astype(bool), geometry


def rescale_to_hu(stored: NDArray[Any], slope: float, intercept: float, out: Int16Array | None = None) -> Int16Array:
    """Return stored values as HU.

    Whole slopes and intercepts, which are the rule, need no floating-point copy: int16 arithmetic wraps, so that a
    result which fits is right whatever happens on the way.

    Args:
        stored: Integers of any shape, at least one.
        slope: HU per stored value.
        intercept: HU of stored value 0.
        out: Array of the same shape to write to; a new one if None.

    Raises:
        CaseError: `HU_RANGE` if a value leaves int16.
    """
    hu: Int16Array = np.empty(stored.shape, np.int16) if out is None else out
    if not (slope.is_integer() and intercept.is_integer() and stored.dtype.kind in "iu"):
        hu[...] = to_hu(stored.astype(np.float64) * slope + intercept)
        return hu
    to_hu(np.array([stored.min(), stored.max()], np.float64) * slope + intercept)
    np.copyto(hu, stored, casting="unsafe")
    if slope != 1:
        hu *= _wrap(slope)
    hu += _wrap(intercept)
    return hu


def _wrap(value: float) -> np.int16:
    """Return a whole number modulo 2^16."""
    return np.int16((int(value) + 2**15) % 2**16 - 2**15)


def _decode_slices(
    series: Series, what: str, record: Callable[[bytes], object] = _ignore
) -> Iterator[tuple[SliceHeader, NDArray[Any]]]:
    """Give header and stored values (rows, columns) of each slice in order, one file in memory at a time."""
    name: str | None = None
    for header in series.slices:
        if header.member.name != name:
            data = header.member.read()
            record(data)
            dataset = parse_quickly(data, what, PIXEL_KEYWORDS)
            name = header.member.name
            if isinstance(dataset, PlainFile) and not dataset.has_plain_pixels:
                dataset = parse(data, what, PIXEL_KEYWORDS)
        yield header, _decode(dataset, header, what)


def _decode(dataset: pydicom.Dataset | PlainFile, header: SliceHeader, what: str) -> NDArray[Any]:
    """Return the stored values of one slice."""
    from pydicom.pixels import pixel_array

    try:
        if isinstance(dataset, PlainFile):
            stored = dataset.pixels()
        else:
            _require_pixel_bytes(dataset, header, what)
            with quiet():
                stored = pixel_array(dataset, index=header.index)
    except dicom_errors():
        raise CaseError("PIXELDATA_UNREADABLE", f"{what}: the pixels of a slice cannot be decoded") from None
    if stored.shape != header.matrix:
        raise CaseError("PIXELDATA_UNREADABLE", f"{what}: pixels of {stored.shape}, the header {header.matrix}")
    return stored


def _require_pixel_bytes(dataset: pydicom.Dataset, header: SliceHeader, what: str) -> None:
    """Check that the transfer syntax is one we decode, and that pixels which are not compressed are all there."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed:
        try:
            available = get_decoder(syntax).is_available
        except NotImplementedError:
            available = False
        if not available:
            raise CaseError("TRANSFER_SYNTAX_UNSUPPORTED", f"{what}: a slice has transfer syntax {syntax}")
        return
    rows, columns = header.matrix
    expected = (header.index + 1) * rows * columns * dataset.BitsAllocated // 8
    if (found := len(dataset.PixelData)) < expected:
        raise CaseError(
            "PIXELDATA_SHORT", f"{what}: a slice has {found} bytes of pixels, its header asks for {expected}"
        )


def to_volume(array: NDArray[Any], series: Series, what: str) -> tuple[NDArray[Any], Geometry]:
    """Return decoded slices as an LPS volume."""
    first = series.slices[0]
    row, column = np.array(first.orientation).reshape(2, 3)
    array, origin_mm = mend(array, series) if series.repairs else (array, first.position_mm)
    between_rows, between_columns = first.pixel_spacing_mm
    direction = np.stack([row, column, slice_normal(first.orientation)], axis=1).ravel().tolist()
    volume, geometry = view_in_lps(array, (between_columns, between_rows, series.step_mm), origin_mm, direction)
    require_spacing(geometry, what)
    return np.ascontiguousarray(volume), geometry
