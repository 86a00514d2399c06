"""What the pipeline wants to know of one DICOM slice before it decodes a pixel.

Only the attributes named here are parsed. The patient id is among them for one reason, to notice two patients in one
series and one patient in two splits, and is kept as a hash; the acquisition's time for another, to tell two phases
apart, and leaves this package as an order. Names, dates and texts are never read. A frame of an enhanced object is a
slice like any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.archive.dicom.attributes import Vector, integer_of, numbers_of, quiet, text_of, value_of
from pipeline.archive.members import Member
from pipeline.errors import CaseError

if TYPE_CHECKING:
    import pydicom

MAXIMUM_SIDE = 4096
"""Largest number of rows or columns of a slice."""
_UNIT_TOLERANCE = 1e-3
HEADER_KEYWORDS = [
    "Modality", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "RescaleIntercept",
    "SOPClassUID", "SOPInstanceUID", "AcquisitionNumber", "TemporalPositionIdentifier", "AcquisitionTime",
    "ContentTime", "LossyImageCompression", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
PIXEL_KEYWORDS = [
    *HEADER_KEYWORDS, "HighBit", "PlanarConfiguration", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
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


@dataclass(frozen=True)
class SliceHeader:
    """One slice of a series.

    Args:
        member: The file.
        digest: SHA-256 of the file, for exact duplicates.
        series: Series instance UID.
        patient: Hash of the patient id; empty if there is none.
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
    with quiet():
        _require_gray_ct(dataset, what)
        frames = _frames(dataset, what)
        slices = [_read_frame(member, frame, digest, index, what) for index, frame in enumerate(frames)]
        return [replace(item, lossy=True) for item in slices] if _is_lossy(dataset) else slices


def _read_frame(member: Member, dataset: pydicom.Dataset, digest: bytes, index: int, what: str) -> SliceHeader:
    """Return the header of one slice."""
    return SliceHeader(
        member=member,
        digest=digest + index.to_bytes(4, "big"),
        series=text_of(dataset, "SeriesInstanceUID"),
        patient=_hash_patient(dataset),
        frame=text_of(dataset, "FrameOfReferenceUID"),
        matrix=_matrix(dataset, what),
        pixel_spacing_mm=_pixel_spacing(dataset, what),
        orientation=_orientation(dataset, what),
        position_mm=numbers_of(dataset, "ImagePositionPatient", 3, "POSITION_MISSING", what),
        rescale=_rescale(dataset, what),
        index=index,
        acquisition=text_of(dataset, "AcquisitionNumber"),
        temporal=text_of(dataset, "TemporalPositionIdentifier"),
        time=text_of(dataset, "AcquisitionTime") or text_of(dataset, "ContentTime"),
    )


def _hash_patient(dataset: pydicom.Dataset) -> bytes:
    """Return the hash of the patient id, which is nowhere written; empty if there is none."""
    patient = text_of(dataset, "PatientID").strip(" \0")
    return hashlib.sha256(patient.encode("utf-8", "surrogateescape")).digest() if patient else b""


def _is_lossy(dataset: pydicom.Dataset) -> bool:
    """Tell whether a file says that its pixels are not those of the scanner, or its transfer syntax does."""
    syntax = dataset.file_meta.get("TransferSyntaxUID", "")
    return text_of(dataset, "LossyImageCompression") == "01" or syntax in _LOSSY_SYNTAXES


def _frames(dataset: pydicom.Dataset, what: str) -> list[pydicom.Dataset]:
    """Return one dataset per frame, each with what all frames share and what is its own."""
    count = integer_of(dataset, "NumberOfFrames", 1)
    if text_of(dataset, "SOPClassUID") not in _ENHANCED:
        if count != 1:
            raise CaseError("MULTIFRAME", f"{what}: a file has {count} frames, expected one slice per file")
        return [dataset]
    own = value_of(dataset, "PerFrameFunctionalGroupsSequence") or []
    if len(own) != count:
        raise CaseError("MULTIFRAME", f"{what}: a file has {count} frames and describes {len(own)}, expected as many")
    shared = value_of(dataset, "SharedFunctionalGroupsSequence") or []
    return [_merge(dataset, [*shared[:1], frame]) for frame in own]


def _merge(dataset: pydicom.Dataset, groups: Sequence[pydicom.Dataset]) -> pydicom.Dataset:
    """Return a frame's attributes as those of a slice of its own."""
    import pydicom

    frame = pydicom.Dataset()
    for keyword in HEADER_KEYWORDS[:-2]:
        if keyword in dataset:
            setattr(frame, keyword, value_of(dataset, keyword))
    for macro in (value_of(group, name) for group in groups for name in _FRAME_MACROS):
        for element in macro[0] if macro else ():
            keyword = _FRAME_KEYWORDS.get(element.keyword, element.keyword)
            if keyword in HEADER_KEYWORDS:
                setattr(frame, keyword, element.value)
    return frame


def _require_gray_ct(dataset: pydicom.Dataset, what: str) -> None:
    """Check that a file is gray CT, not a secondary capture or another modality."""
    modality, photometric = text_of(dataset, "Modality"), text_of(dataset, "PhotometricInterpretation")
    if modality != "CT":
        raise CaseError("NOT_CT", f"{what}: a file has another modality, expected CT")
    samples = integer_of(dataset, "SamplesPerPixel", 1)
    if photometric != "MONOCHROME2" or samples != 1:
        message = f"{what}: a file has {samples} samples per pixel and is not plain gray, expected MONOCHROME2 with 1"
        raise CaseError("NOT_GRAYSCALE", message)


def _matrix(dataset: pydicom.Dataset, what: str) -> tuple[int, int]:
    """Return rows and columns."""
    rows, columns = integer_of(dataset, "Rows", 0), integer_of(dataset, "Columns", 0)
    if not (1 <= rows <= MAXIMUM_SIDE and 1 <= columns <= MAXIMUM_SIDE):
        raise CaseError("MATRIX_SIZE", f"{what}: a slice has {rows} x {columns} pixels, allowed 1..{MAXIMUM_SIDE}")
    return rows, columns


def _pixel_spacing(dataset: pydicom.Dataset, what: str) -> Vector:
    """Return the spacing of rows and columns."""
    spacing = numbers_of(dataset, "PixelSpacing", 2, "PIXEL_SPACING_INVALID", what)
    if min(spacing) <= 0:
        raise CaseError("PIXEL_SPACING_INVALID", f"{what}: a slice has pixel spacing {spacing}, expected above 0")
    return spacing


def _orientation(dataset: pydicom.Dataset, what: str) -> Vector:
    """Return the direction cosines of rows and columns."""
    cosines = numbers_of(dataset, "ImageOrientationPatient", 6, "ORIENTATION_INVALID", what)
    axes = np.array(cosines).reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), rtol=0, atol=_UNIT_TOLERANCE):
        raise CaseError("ORIENTATION_INVALID", f"{what}: direction cosines {cosines} are not two perpendicular units")
    return cosines


def _rescale(dataset: pydicom.Dataset, what: str) -> Vector | None:
    """Return slope and intercept, or None if the file has neither."""
    if "RescaleSlope" not in dataset and "RescaleIntercept" not in dataset:
        return None
    slope = numbers_of(dataset, "RescaleSlope", 1, "RESCALE_INVALID", what)
    return slope + numbers_of(dataset, "RescaleIntercept", 1, "RESCALE_INVALID", what)
