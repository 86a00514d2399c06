"""The liver of a DICOM SEG, laid on the slices of the CT that it was drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.dicom.attributes import dicom_errors, integer_of, numbers_of, parse, quiet, text_of, value_of
from pipeline.archive.dicom.geometry import STEP_TOLERANCE_MM, Series, slice_normal
from pipeline.arrays import UInt8Array
from pipeline.errors import CaseError

if TYPE_CHECKING:
    import pydicom

SEG_KEYWORDS = (
    "SOPClassUID", "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SegmentationType", "MaximumFractionalValue",
    "SegmentSequence", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelData",
)  # fmt: skip
_LIVER_CODES = {("10200004", "SCT"), ("T-62000", "SRT"), ("T-62000", "SNM3"), ("181268008", "SCT")}
_LIVER_NAMES = ("liver", "leber", "foie", "fegato", "lever", "higado", "hígado")
_CODE = "MASK_GEOMETRY_MISMATCH"
_ORIENTATION_TOLERANCE = 1e-4
_SPACING_TOLERANCE_MM = 1e-3


def decode_liver(data: bytes, series: Series, what: str) -> UInt8Array:
    """Return the liver segment as 0 and 1 on the slices of a CT.

    Args:
        data: A DICOM SEG: binary, fractional (half of the maximum is inside) or a label map.
        series: The CT's slices in order.
        what: The mask in words.

    Returns:
        uint8 of shape `series.shape`; slices without a frame are empty, as writers leave those out.

    Raises:
        CaseError: `DICOM_UNREADABLE`, `SEGMENTATION_INVALID`, `LIVER_MISSING` if not one segment is the liver,
            `MASK_SHAPE_MISMATCH` or `MASK_GEOMETRY_MISMATCH` if a frame is not on a slice of the CT.
    """
    dataset = parse(data, what, SEG_KEYWORDS)
    with quiet():
        return _decode(dataset, series, what)


def has_liver(dataset: pydicom.Dataset) -> bool:
    """Tell whether one of the segments is the liver, by code or by name. To be called within `quiet`."""
    return any(map(_is_liver, value_of(dataset, "SegmentSequence") or []))


def _decode(dataset: pydicom.Dataset, series: Series, what: str) -> UInt8Array:
    """Return the liver segment of a parsed file."""
    number = _liver_number(dataset, what)
    frames = _decode_frames(dataset, what)
    groups = value_of(dataset, "PerFrameFunctionalGroupsSequence") or []
    if len(groups) != len(frames):
        raise CaseError("SEGMENTATION_INVALID", f"{what} has {len(frames)} frames and describes {len(groups)}")
    if frames.shape[1:] != series.shape[1:]:
        sides = f"frames of {frames.shape[1:]} (rows, columns), the image {series.shape[1:]}"
        raise CaseError("MASK_SHAPE_MISMATCH", f"{what} has {sides}")
    mask = np.zeros(series.shape, np.uint8)
    shared = (value_of(dataset, "SharedFunctionalGroupsSequence") or [None])[0]
    for frame, group in zip(frames, groups, strict=True):
        inside = _inside(dataset, frame, group, shared, number)
        if inside is not None:
            mask[_slice_index([group, shared], series, what)] |= inside
    return mask


def _liver_number(dataset: pydicom.Dataset, what: str) -> int:
    """Return the number of the one segment that is the liver, by code or by name."""
    segments = value_of(dataset, "SegmentSequence") or []
    livers = [integer_of(item, "SegmentNumber", 0) for item in segments if _is_liver(item)]
    if len(livers) != 1:
        raise CaseError("LIVER_MISSING", f"{what} has {len(livers)} of {len(segments)} segments called liver, not one")
    return livers[0]


def _is_liver(segment: pydicom.Dataset) -> bool:
    """Tell whether a segment is the whole liver."""
    for code in value_of(segment, "SegmentedPropertyTypeCodeSequence") or []:
        if (text_of(code, "CodeValue"), text_of(code, "CodingSchemeDesignator")) in _LIVER_CODES:
            return True
    return text_of(segment, "SegmentLabel").strip().lower() in _LIVER_NAMES


def _decode_frames(dataset: pydicom.Dataset, what: str) -> NDArray[Any]:
    """Return the stored values of all frames, shape (frames, rows, columns)."""
    from pydicom.pixels import pixel_array

    try:
        stored: NDArray[Any] = pixel_array(dataset)
    except dicom_errors():
        raise CaseError("SEGMENTATION_INVALID", f"{what}: its frames cannot be decoded") from None
    return stored if stored.ndim == 3 else stored[None]


def _inside(
    dataset: pydicom.Dataset,
    frame: NDArray[Any],
    group: pydicom.Dataset,
    shared: pydicom.Dataset | None,
    number: int,
) -> UInt8Array | None:
    """Return where a frame is liver; None if it belongs to another segment."""
    kind = text_of(dataset, "SegmentationType")
    if kind == "LABELMAP":
        return (frame == number).astype(np.uint8)
    macro = _macro([group, shared], "SegmentIdentificationSequence")
    if macro is None or integer_of(macro, "ReferencedSegmentNumber", 0) != number:
        return None
    threshold = integer_of(dataset, "MaximumFractionalValue", 1) / 2 if kind == "FRACTIONAL" else 0.5
    return (frame >= threshold).astype(np.uint8)


def _slice_index(groups: list[pydicom.Dataset | None], series: Series, what: str) -> int:
    """Return the slice of the CT on which a frame lies."""
    orientation, plane, measures = (
        _macro(groups, name) for name in ("PlaneOrientationSequence", "PlanePositionSequence", "PixelMeasuresSequence")
    )
    if orientation is None or plane is None or measures is None:
        raise CaseError(_CODE, f"{what}: a frame does not say where it lies")
    first = series.slices[0]
    _require_near(
        numbers_of(orientation, "ImageOrientationPatient", 6, _CODE, what),
        first.orientation, _ORIENTATION_TOLERANCE, f"{what}: direction cosines",
    )  # fmt: skip
    _require_near(
        numbers_of(measures, "PixelSpacing", 2, _CODE, what),
        first.pixel_spacing_mm, _SPACING_TOLERANCE_MM, f"{what}: pixel spacing",
    )  # fmt: skip
    position = np.array(numbers_of(plane, "ImagePositionPatient", 3, _CODE, what))
    distances = np.linalg.norm(np.array([header.position_mm for header in series.slices]) - position, axis=1)
    index = int(distances.argmin())
    if distances[index] > STEP_TOLERANCE_MM:
        along = float((position - first.position_mm) @ slice_normal(first.orientation))
        message = f"a frame {along:.3f} mm along the slices' normal is {distances[index]:.3f} mm off the next slice"
        raise CaseError(_CODE, f"{what}: {message}, allowed {STEP_TOLERANCE_MM}")
    return index


def _require_near(ours: tuple[float, ...], theirs: tuple[float, ...], tolerance: float, name: str) -> None:
    """Check that a frame's numbers are those of the CT."""
    if not np.allclose(ours, theirs, rtol=0, atol=tolerance):
        raise CaseError(_CODE, f"{name} {ours}, the image {theirs}")


def _macro(groups: list[pydicom.Dataset | None], name: str) -> pydicom.Dataset | None:
    """Return a functional group's item from the first group that has it."""
    found = (value_of(group, name) for group in groups if group is not None)
    return next((items[0] for items in found if items), None)
