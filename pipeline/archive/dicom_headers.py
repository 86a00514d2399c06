"""What the pipeline wants to know of one DICOM slice before it decodes a pixel.

Only the attributes named here are parsed. The patient id is among them for one reason, to notice two patients in one
series, and is kept as a hash; names, dates and texts are never read.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.archive.members import Member
from pipeline.errors import CaseError

if TYPE_CHECKING:
    import pydicom

Vector = tuple[float, ...]

MAXIMUM_SIDE = 4096
"""Largest number of rows or columns of a slice."""
_UNIT_TOLERANCE = 1e-3
_HEADER_KEYWORDS = [
    "Modality", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "RescaleIntercept",
]  # fmt: skip
_PIXEL_KEYWORDS = [*_HEADER_KEYWORDS, "HighBit", "PlanarConfiguration", "PixelData"]


def dicom_errors() -> tuple[type[Exception], ...]:
    """Return what pydicom and its decoders raise on broken files. Their texts quote attributes: never pass them on."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    own = (BytesLengthException, InvalidDicomError, struct.error)
    return (*own, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class SliceHeader:
    """One slice of a series.

    Args:
        member: The file.
        digest: SHA-256 of the file, for exact duplicates.
        series: Series instance UID.
        patient: Hash of the patient id.
        frame: Frame of reference UID; empty if there is none.
        matrix: Rows and columns.
        pixel_spacing_mm: Distance between rows, between columns.
        orientation: Direction cosines along a row, then along a column (LPS).
        position_mm: Center of the first pixel as x, y, z (LPS).
        rescale: Slope and intercept from stored values to HU; None if there are none, as in masks.
    """

    member: Member = field(repr=False)
    digest: bytes
    series: str
    patient: bytes
    frame: str
    matrix: tuple[int, int]
    pixel_spacing_mm: Vector
    orientation: Vector
    position_mm: Vector
    rescale: Vector | None


def parse(data: bytes, what: str, *, pixels: bool = False) -> pydicom.Dataset:
    """Parse one DICOM file, only the attributes that this module names.

    Raises:
        CaseError: `DICOM_UNREADABLE`.
    """
    import pydicom

    keywords = _PIXEL_KEYWORDS if pixels else _HEADER_KEYWORDS
    try:
        with warnings.catch_warnings():  # pydicom's warnings quote values
            warnings.simplefilter("ignore")
            return pydicom.dcmread(io.BytesIO(data), stop_before_pixels=not pixels, specific_tags=list(keywords))
    except dicom_errors():
        raise CaseError("DICOM_UNREADABLE", f"{what}: a file of {len(data)} bytes is not readable as DICOM") from None


def read_header(member: Member, data: bytes, what: str) -> SliceHeader:
    """Check one file and return its header.

    Raises:
        CaseError: `DICOM_UNREADABLE`, `NOT_CT`, `NOT_GRAYSCALE`, `MULTIFRAME`, `MATRIX_SIZE`, `PIXEL_SPACING_INVALID`,
            `ORIENTATION_INVALID`, `POSITION_MISSING` or `RESCALE_INVALID`.
    """
    dataset = parse(data, what)
    _require_plain_ct(dataset, what)
    return SliceHeader(
        member=member,
        digest=hashlib.sha256(data).digest(),
        series=_text(dataset, "SeriesInstanceUID"),
        patient=hashlib.sha256(_text(dataset, "PatientID").encode()).digest(),
        frame=_text(dataset, "FrameOfReferenceUID"),
        matrix=_matrix(dataset, what),
        pixel_spacing_mm=_pixel_spacing(dataset, what),
        orientation=_orientation(dataset, what),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3, "POSITION_MISSING", what),
        rescale=_rescale(dataset, what),
    )


def _require_plain_ct(dataset: pydicom.Dataset, what: str) -> None:
    """Check that a file is one gray CT slice, not a secondary capture, an enhanced object or another modality."""
    modality, photometric = _text(dataset, "Modality"), _text(dataset, "PhotometricInterpretation")
    if modality != "CT":
        raise CaseError("NOT_CT", f"{what}: a file has another modality, expected CT")
    samples, frames = _integer(dataset, "SamplesPerPixel", 1), _integer(dataset, "NumberOfFrames", 1)
    if photometric != "MONOCHROME2" or samples != 1:
        message = f"{what}: a file has {samples} samples per pixel and is not plain gray, expected MONOCHROME2 with 1"
        raise CaseError("NOT_GRAYSCALE", message)
    if frames != 1:
        raise CaseError("MULTIFRAME", f"{what}: a file has {frames} frames, expected one slice per file")


def _matrix(dataset: pydicom.Dataset, what: str) -> tuple[int, int]:
    """Return rows and columns."""
    rows, columns = _integer(dataset, "Rows", 0), _integer(dataset, "Columns", 0)
    if not (1 <= rows <= MAXIMUM_SIDE and 1 <= columns <= MAXIMUM_SIDE):
        raise CaseError("MATRIX_SIZE", f"{what}: a slice has {rows} x {columns} pixels, allowed 1..{MAXIMUM_SIDE}")
    return rows, columns


def _pixel_spacing(dataset: pydicom.Dataset, what: str) -> Vector:
    """Return the spacing of rows and columns."""
    spacing = _numbers(dataset, "PixelSpacing", 2, "PIXEL_SPACING_INVALID", what)
    if min(spacing) <= 0:
        raise CaseError("PIXEL_SPACING_INVALID", f"{what}: a slice has pixel spacing {spacing}, expected above 0")
    return spacing


def _orientation(dataset: pydicom.Dataset, what: str) -> Vector:
    """Return the direction cosines of rows and columns."""
    cosines = _numbers(dataset, "ImageOrientationPatient", 6, "ORIENTATION_INVALID", what)
    axes = np.array(cosines).reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), rtol=0, atol=_UNIT_TOLERANCE):
        raise CaseError("ORIENTATION_INVALID", f"{what}: direction cosines {cosines} are not two perpendicular units")
    return cosines


def _rescale(dataset: pydicom.Dataset, what: str) -> Vector | None:
    """Return slope and intercept, or None if the file has neither."""
    if "RescaleSlope" not in dataset and "RescaleIntercept" not in dataset:
        return None
    slope = _numbers(dataset, "RescaleSlope", 1, "RESCALE_INVALID", what)
    return slope + _numbers(dataset, "RescaleIntercept", 1, "RESCALE_INVALID", what)


def _numbers(dataset: pydicom.Dataset, keyword: str, count: int, code: str, what: str) -> Vector:
    """Return a numeric attribute as `count` finite floats."""
    value = _value(dataset, keyword)
    items: Sequence[Any] = [value] if count == 1 else value if isinstance(value, Sequence) else []
    try:
        numbers = tuple(float(item) for item in items)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise CaseError(code, f"{what}: {keyword} holds {len(numbers)} usable numbers, expected {count}")
    return numbers


def _integer(dataset: pydicom.Dataset, keyword: str, default: int) -> int:
    """Return a whole number, the default if the attribute is absent or empty, and -1 if it is no number."""
    value = _value(dataset, keyword)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1


def _text(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return an attribute as text; empty if it is absent."""
    value = _value(dataset, keyword)
    return "" if value is None else str(value)


def _value(dataset: pydicom.Dataset, keyword: str) -> Any:
    """Return an attribute, or None where it is absent or its bytes do not decode. pydicom decodes on access."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dataset.get(keyword)
    except dicom_errors():
        return None
