"""What the pipeline wants to know of one DICOM slice before it decodes a pixel.

Only the attributes named here are parsed. The patient id is among them for one reason, to notice two patients in one
series, and is kept as a hash; the acquisition's time for another, to tell two phases apart, and leaves this package as
an order. Names, dates and texts are never read. A frame of an enhanced object is a slice like any other.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any

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
    "SOPClassUID", "SOPInstanceUID", "AcquisitionNumber", "TemporalPositionIdentifier", "AcquisitionTime",
    "ContentTime", "LossyImageCompression", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
_PIXEL_KEYWORDS = [
    *_HEADER_KEYWORDS, "HighBit", "PlanarConfiguration", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "PixelData",
]  # fmt: skip
_FRAME_MACROS = (
    "PixelMeasuresSequence", "PlaneOrientationSequence", "PlanePositionSequence", "PixelValueTransformationSequence",
    "FrameContentSequence",
)  # fmt: skip
_FRAME_KEYWORDS = {
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "TemporalPositionIndex": "TemporalPositionIdentifier",
    "FrameAcquisitionDateTime": "AcquisitionTime",
}
"""What enhanced objects call differently."""
_ENHANCED = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
"""Enhanced CT, and legacy CT converted to it."""
_LOSSY_SYNTAXES = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81")
"""JPEG baseline, JPEG extended, JPEG-LS near-lossless. JPEG 2000 may or may not lose; the attribute says so."""
_PREFIX_OFFSET, _PREFIX = 128, b"DICM"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")


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
        index: Frame of the file.
        acquisition: Acquisition number, or empty.
        temporal: Temporal position, or empty.
        time: Acquisition or content time, or empty; only its order may be used.
        lossy: Whether the pixels went through a lossy compression.
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
    index: int = 0
    acquisition: str = ""
    temporal: str = ""
    time: str = field(default="", repr=False)
    lossy: bool = False


def is_dicom(stream: IO[bytes]) -> bool:
    """Tell whether a file begins as DICOM does, with its prefix or, as old files do, with the first element."""
    stream.seek(0)
    head = stream.read(_PREFIX_OFFSET + len(_PREFIX))
    stream.seek(0)
    return head[_PREFIX_OFFSET:] == _PREFIX or head[:2] in _FIRST_GROUPS


def parse(
    source: bytes | IO[bytes], what: str, *, pixels: bool = False, keywords: Sequence[str] = _HEADER_KEYWORDS
) -> pydicom.Dataset:
    """Parse one DICOM file, only the attributes that this module names, or those of `keywords`.

    Args:
        source: The file.
        what: The series in words.
        pixels: Also read the pixels, not decoded.
        keywords: What to read without pixels.

    Raises:
        CaseError: `DICOM_UNREADABLE`.
    """
    import pydicom

    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    tags = _PIXEL_KEYWORDS if pixels else keywords
    try:
        with warnings.catch_warnings():  # pydicom's warnings quote values
            warnings.simplefilter("ignore")
            if is_dicom(stream):
                dataset = pydicom.dcmread(stream, stop_before_pixels=not pixels, specific_tags=list(tags), force=True)
                _complete_meta(dataset)
                return dataset
    except dicom_errors():
        pass
    raise CaseError("DICOM_UNREADABLE", f"{what}: a file of {_size(stream)} bytes is not readable as DICOM") from None


def read_headers(member: Member, dataset: pydicom.Dataset, digest: bytes, what: str) -> list[SliceHeader]:
    """Check one file and return the header of each of its frames; commonly it has one.

    Args:
        member: The file.
        dataset: What `parse` gave.
        digest: What is equal for exact copies of the file, such as its hash.
        what: The series in words.

    Raises:
        CaseError: `NOT_CT`, `NOT_GRAYSCALE`, `MULTIFRAME`, `MATRIX_SIZE`, `PIXEL_SPACING_INVALID`,
            `ORIENTATION_INVALID`, `POSITION_MISSING` or `RESCALE_INVALID`.
    """
    _require_gray_ct(dataset, what)
    frames = _frames(dataset, what)
    slices = [_read_frame(member, frame, digest, index, what) for index, frame in enumerate(frames)]
    return [replace(item, lossy=True) for item in slices] if _is_lossy(dataset) else slices


def _read_frame(member: Member, dataset: pydicom.Dataset, digest: bytes, index: int, what: str) -> SliceHeader:
    """Return the header of one slice."""
    return SliceHeader(
        member=member,
        digest=digest + index.to_bytes(4, "big"),
        series=_text(dataset, "SeriesInstanceUID"),
        patient=hashlib.sha256(_text(dataset, "PatientID").encode()).digest(),
        frame=_text(dataset, "FrameOfReferenceUID"),
        matrix=_matrix(dataset, what),
        pixel_spacing_mm=_pixel_spacing(dataset, what),
        orientation=_orientation(dataset, what),
        position_mm=_numbers(dataset, "ImagePositionPatient", 3, "POSITION_MISSING", what),
        rescale=_rescale(dataset, what),
        index=index,
        acquisition=_text(dataset, "AcquisitionNumber"),
        temporal=_text(dataset, "TemporalPositionIdentifier"),
        time=_text(dataset, "AcquisitionTime") or _text(dataset, "ContentTime"),
    )


def _complete_meta(dataset: pydicom.Dataset) -> None:
    """Name the transfer syntax of a file without meta information: its pixels are plain, and pydicom saw the rest."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not dataset.file_meta and not dataset.preamble and dataset.original_encoding[1]:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _size(stream: IO[bytes]) -> int:
    """Return the length of a file."""
    return stream.seek(0, io.SEEK_END)


def _is_lossy(dataset: pydicom.Dataset) -> bool:
    """Tell whether a file says that its pixels are not those of the scanner, or its transfer syntax does."""
    syntax = dataset.file_meta.get("TransferSyntaxUID", "")
    return _text(dataset, "LossyImageCompression") == "01" or syntax in _LOSSY_SYNTAXES


def _frames(dataset: pydicom.Dataset, what: str) -> list[pydicom.Dataset]:
    """Return one dataset per frame, each with what all frames share and what is its own."""
    count = _integer(dataset, "NumberOfFrames", 1)
    if _text(dataset, "SOPClassUID") not in _ENHANCED:
        if count != 1:
            raise CaseError("MULTIFRAME", f"{what}: a file has {count} frames, expected one slice per file")
        return [dataset]
    own = _value(dataset, "PerFrameFunctionalGroupsSequence") or []
    if len(own) != count:
        raise CaseError("MULTIFRAME", f"{what}: a file has {count} frames and describes {len(own)}, expected as many")
    shared = _value(dataset, "SharedFunctionalGroupsSequence") or []
    return [_merge(dataset, [*shared[:1], frame]) for frame in own]


def _merge(dataset: pydicom.Dataset, groups: Sequence[pydicom.Dataset]) -> pydicom.Dataset:
    """Return a frame's attributes as those of a slice of its own."""
    import pydicom

    frame = pydicom.Dataset()
    for keyword in _HEADER_KEYWORDS[:-2]:
        if keyword in dataset:
            setattr(frame, keyword, _value(dataset, keyword))
    for macro in (_value(group, name) for group in groups for name in _FRAME_MACROS):
        for element in macro[0] if macro else ():
            keyword = _FRAME_KEYWORDS.get(element.keyword, element.keyword)
            if keyword in _HEADER_KEYWORDS:
                setattr(frame, keyword, element.value)
    return frame


def _require_gray_ct(dataset: pydicom.Dataset, what: str) -> None:
    """Check that a file is gray CT, not a secondary capture or another modality."""
    modality, photometric = _text(dataset, "Modality"), _text(dataset, "PhotometricInterpretation")
    if modality != "CT":
        raise CaseError("NOT_CT", f"{what}: a file has another modality, expected CT")
    samples = _integer(dataset, "SamplesPerPixel", 1)
    if photometric != "MONOCHROME2" or samples != 1:
        message = f"{what}: a file has {samples} samples per pixel and is not plain gray, expected MONOCHROME2 with 1"
        raise CaseError("NOT_GRAYSCALE", message)


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
