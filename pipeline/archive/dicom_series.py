"""From the files of one DICOM series to a volume: headers first, then geometry, and only then pixels.

GDCM and SimpleITK accept a missing, doubled or tilted slice and invent the pixels of a short file without a word, so
the geometry is checked here and the pixels are decoded by pydicom, which refuses short data.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.checks import require_contrast, require_spacing, to_hu
from pipeline.archive.dicom_headers import SliceHeader, Vector, dicom_errors, parse, read_header
from pipeline.archive.members import Member
from pipeline.arrays import BoolArray, Float64Array, Int16Array
from pipeline.errors import CaseError
from pipeline.volume import Geometry, to_lps

if TYPE_CHECKING:
    import pydicom

MINIMUM_SLICES = 4
"""Shorter series are localizers."""
MAXIMUM_VOXELS = 2**31
"""Largest series that is decoded: 8,192 slices of 512 x 512."""
STEP_TOLERANCE_MM = 0.01
STEP_TOLERANCE_FRACTION = 0.01
"""Steps between slices may differ from their median by the larger of 0.01 mm and 1 %."""
TILT_TOLERANCE_MM = 0.01
"""Positions may leave the line along the slices' normal by this much."""
_ORIENTATION_TOLERANCE = 1e-4
_SPACING_TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class Series:
    """The slices of one volume in space: checked, and ordered along their normal.

    Args:
        slices: Headers, one per slice.
        step_mm: Mean distance between slices.
    """

    slices: tuple[SliceHeader, ...]
    step_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return (len(self.slices), *self.slices[0].matrix)


def read_series(members: Sequence[Member], what: str, record: Callable[[bytes], object]) -> Series:
    """Read the headers of a series and check that its slices make a volume.

    Args:
        members: The files, in a fixed order.
        what: The series in words, for messages: `the image`, `the liver mask`.
        record: Receives the bytes of every file in order.

    Raises:
        CaseError: As `read_header` and `arrange`.
    """
    headers = []
    for member in members:
        data = member.read()
        record(data)
        headers.append(read_header(member, data, what))
    return arrange(headers, what)


def arrange(headers: Sequence[SliceHeader], what: str) -> Series:
    """Order slices along their normal. Exact copies of a file count once; instance numbers and names do not matter.

    Raises:
        CaseError: `TOO_FEW_SLICES`, `SERIES_TOO_LARGE`, `MIXED_PATIENTS`, `MULTIPLE_SERIES`,
            `FRAME_OF_REFERENCE_INCONSISTENT`, `MATRIX_INCONSISTENT`, `PIXEL_SPACING_INCONSISTENT`,
            `IMAGE_ORIENTATION_INCONSISTENT`, `NOT_A_VOLUME`, `DUPLICATE_POSITION`, `GANTRY_TILT` or
            `SLICE_INCREMENT_INCONSISTENT`.
    """
    slices = list({header.digest: header for header in headers}.values())
    if len(slices) < MINIMUM_SLICES:
        raise CaseError("TOO_FEW_SLICES", f"{what} has {len(slices)} slices, expected at least {MINIMUM_SLICES}")
    _require_one_series(slices, what)
    rows, columns = slices[0].matrix
    if len(slices) * rows * columns > MAXIMUM_VOXELS:
        sides = f"{len(slices)} x {rows} x {columns} voxels, allowed are {MAXIMUM_VOXELS}"
        raise CaseError("SERIES_TOO_LARGE", f"{what} has {sides}")
    normal = _normal(slices[0].orientation)
    slices.sort(key=lambda header: float(np.dot(header.position_mm, normal)))
    positions = np.array([header.position_mm for header in slices])
    return Series(tuple(slices), _uniform_step(positions, normal, what))


def decode_hu(series: Series, what: str) -> tuple[Int16Array, Geometry]:
    """Decode the slices to HU, each with its own slope and intercept.

    Returns:
        Array in LPS order and its geometry.

    Raises:
        CaseError: `RESCALE_MISSING`, `HU_RANGE`, `PIXELDATA_SHORT`, `PIXELDATA_UNREADABLE` or `SPACING_RANGE`.
    """
    hu = np.empty(series.shape, np.int16)
    for index, (header, stored) in enumerate(_decode_slices(series, what)):
        if header.rescale is None:
            raise CaseError("RESCALE_MISSING", f"{what}: a slice has no rescale slope and intercept, expected both")
        slope, intercept = header.rescale
        hu[index] = to_hu(stored.astype(np.float64) * slope + intercept)
    require_contrast(hu)
    return _to_volume(hu, series, what)


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
    array, geometry = _to_volume(mask, series, what)
    return array.astype(bool), geometry


def _require_one_series(slices: Sequence[SliceHeader], what: str) -> None:
    """Check that all slices belong to one acquisition of one patient."""
    _require_one(slices, attrgetter("patient"), "MIXED_PATIENTS", f"{what}: patients")
    _require_one(slices, attrgetter("series"), "MULTIPLE_SERIES", f"{what}: series")
    _require_one(slices, attrgetter("frame"), "FRAME_OF_REFERENCE_INCONSISTENT", f"{what}: frames of reference")
    _require_one(slices, attrgetter("matrix"), "MATRIX_INCONSISTENT", f"{what}: matrix sizes", quote=True)
    spacing, orientation = attrgetter("pixel_spacing_mm"), attrgetter("orientation")
    _require_close(slices, spacing, _SPACING_TOLERANCE_MM, "PIXEL_SPACING_INCONSISTENT", f"{what}: pixel spacing")
    code = "IMAGE_ORIENTATION_INCONSISTENT"
    _require_close(slices, orientation, _ORIENTATION_TOLERANCE, code, f"{what}: direction cosines")


def _require_one(
    slices: Sequence[SliceHeader], key: Callable[[SliceHeader], Any], code: str, name: str, *, quote: bool = False
) -> None:
    """Check that a value is the same on all slices. UIDs and hashes are counted, numbers may be quoted."""
    found = {key(header) for header in slices}
    if len(found) > 1:
        sides = " and ".join(map(str, sorted(found)[:2])) if quote else f"{len(found)} different ones"
        raise CaseError(code, f"{name}: {sides} among {len(slices)} slices, expected one")


def _require_close(
    slices: Sequence[SliceHeader], key: Callable[[SliceHeader], Vector], tolerance: float, code: str, name: str
) -> None:
    """Check that a vector is the same on all slices."""
    values = np.array([key(header) for header in slices])
    difference = np.abs(values - values[0]).max(axis=1)
    if difference.max() > tolerance:
        other = values[int(difference.argmax())]
        raise CaseError(code, f"{name} {values[0].tolist()} and {other.tolist()}, expected one within {tolerance}")


def _normal(orientation: Vector) -> Float64Array:
    """Return the unit vector across the slices, row x column."""
    row, column = np.array(orientation).reshape(2, 3)
    normal: Float64Array = np.cross(row, column)
    return normal / np.linalg.norm(normal)


def _uniform_step(positions: Float64Array, normal: Float64Array, what: str) -> float:
    """Return the mean step along the normal.

    Args:
        positions: Slice positions in order, shape (n, 3).
        normal: Unit vector, shape (3,).
        what: The series in words.

    Raises:
        CaseError: If the positions are not equally spaced points on a line along the normal.
    """
    along = positions @ normal
    steps = np.diff(along)
    typical = float(np.median(steps))
    tolerance = max(STEP_TOLERANCE_MM, STEP_TOLERANCE_FRACTION * typical)
    if along[-1] - along[0] <= STEP_TOLERANCE_MM:
        raise CaseError("NOT_A_VOLUME", f"{what}: all {len(along)} slices lie at one position, expected one each")
    if steps.min() <= STEP_TOLERANCE_MM:
        message = f"{what}: {int((steps <= STEP_TOLERANCE_MM).sum())} of {len(along)} slices repeat a position"
        raise CaseError("DUPLICATE_POSITION", f"{message}, expected one slice each")
    offset = positions - positions[0]
    drift = float(np.linalg.norm(offset - np.outer(offset @ normal, normal), axis=1).max())
    if drift > TILT_TOLERANCE_MM:
        message = f"{what}: slices drift {drift:.3f} mm across their normal, allowed {TILT_TOLERANCE_MM}"
        raise CaseError("GANTRY_TILT", message)
    if np.abs(steps - typical).max() > tolerance:
        sides = f"steps run from {steps.min():.3f} to {steps.max():.3f} mm, allowed {typical:.3f} +- {tolerance:.3f}"
        raise CaseError("SLICE_INCREMENT_INCONSISTENT", f"{what}: {sides}")
    return float(along[-1] - along[0]) / len(steps)


def _decode_slices(series: Series, what: str) -> Iterator[tuple[SliceHeader, NDArray[Any]]]:
    """Give header and stored values (rows, columns) of each slice in order, one slice in memory at a time."""
    for header in series.slices:
        dataset = parse(header.member.read(), what, pixels=True)
        try:
            _require_pixel_bytes(dataset, header.matrix, what)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stored = dataset.pixel_array
        except dicom_errors():
            raise CaseError("PIXELDATA_UNREADABLE", f"{what}: the pixels of a slice cannot be decoded") from None
        if stored.shape != header.matrix:
            raise CaseError("PIXELDATA_UNREADABLE", f"{what}: pixels of {stored.shape}, the header {header.matrix}")
        yield header, stored


def _require_pixel_bytes(dataset: pydicom.Dataset, matrix: tuple[int, int], what: str) -> None:
    """Check that uncompressed pixel data is all there."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return
    expected, found = matrix[0] * matrix[1] * dataset.BitsAllocated // 8, len(dataset.PixelData)
    if found < expected:
        raise CaseError(
            "PIXELDATA_SHORT", f"{what}: a slice has {found} bytes of pixels, its header asks for {expected}"
        )


def _to_volume(array: NDArray[Any], series: Series, what: str) -> tuple[NDArray[Any], Geometry]:
    """Return decoded slices as an LPS volume."""
    import SimpleITK as sitk

    first = series.slices[0]
    row, column = np.array(first.orientation).reshape(2, 3)
    image = sitk.GetImageFromArray(array)
    between_rows, between_columns = first.pixel_spacing_mm
    image.SetSpacing((between_columns, between_rows, series.step_mm))
    image.SetOrigin(first.position_mm)
    image.SetDirection(np.stack([row, column, _normal(first.orientation)], axis=1).ravel().tolist())
    volume, geometry = to_lps(image)
    require_spacing(geometry, what)
    return volume, geometry
