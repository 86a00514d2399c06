"""Whether the slices of a DICOM series make a volume, judged by their headers alone.

GDCM and SimpleITK accept a missing, doubled or tilted slice without a word, so that nothing is left to them. The codes
are those of dicom2nifti where it has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from pipeline.archive.dicom.attributes import Vector
from pipeline.archive.dicom.headers import SliceHeader
from pipeline.arrays import Float64Array
from pipeline.errors import CaseError

MINIMUM_SLICES = 4
"""Shorter series are localizers."""
MAXIMUM_VOXELS = 2**31
"""Largest series that is decoded: 8,192 slices of 512 x 512."""
STEP_TOLERANCE_MM = 0.01
STEP_TOLERANCE_FRACTION = 0.01
"""Steps between slices may differ from their median by the larger of 0.01 mm and 1 %."""
MAXIMUM_GAP_STEPS = 3.0
"""A longer step, in median steps, is not repaired: too much would be invented."""
TILT_TOLERANCE_MM = 0.01
"""Positions may leave the line along the slices' normal by this much."""
_ORIENTATION_TOLERANCE = 1e-4
_SPACING_TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class Series:
    """The slices of one volume in space: checked, and ordered along their normal.

    Args:
        slices: Headers, one per slice.
        step_mm: Distance between slices: the mean, or the median where `repairs` makes it uniform.
        copies: Exact copies of a slice that were left out.
        repairs: What `pipeline.archive.dicom.repair` has to do to the decoded slices, by reason code.
    """

    slices: tuple[SliceHeader, ...]
    step_mm: float
    copies: int = 0
    repairs: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        return (len(self.slices), *self.slices[0].matrix)


def arrange(headers: Sequence[SliceHeader], what: str, repairs: Collection[str] = ()) -> Series:
    """Order slices along their normal. Exact copies of a file count once; instance numbers and names do not matter.

    Args:
        headers: Headers of one series.
        what: The series in words.
        repairs: Of `GANTRY_TILT` and `SLICE_INCREMENT_INCONSISTENT` those that are accepted and later mended.

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
    normal = slice_normal(slices[0].orientation)
    slices.sort(key=lambda header: float(np.dot(header.position_mm, normal)))
    positions = np.array([header.position_mm for header in slices])
    step_mm, needed = _check_positions(positions, normal, what, repairs)
    return Series(tuple(slices), step_mm, len(headers) - len(slices), needed)


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


def slice_normal(orientation: Vector) -> Float64Array:
    """Return the unit vector across the slices, row x column."""
    row, column = np.array(orientation).reshape(2, 3)
    normal: Float64Array = np.cross(row, column)
    return normal / np.linalg.norm(normal)


def _check_positions(
    positions: Float64Array, normal: Float64Array, what: str, repairs: Collection[str]
) -> tuple[float, tuple[str, ...]]:
    """Return the step along the normal, and which of the accepted repairs the positions need.

    Args:
        positions: Slice positions in order, shape (n, 3).
        normal: Unit vector, shape (3,).
        what: The series in words.
        repairs: Accepted repairs.

    Raises:
        CaseError: If the positions are not equally spaced points on a line along the normal.
    """
    along = positions @ normal
    steps = np.diff(along)
    if along[-1] - along[0] <= STEP_TOLERANCE_MM:
        raise CaseError("NOT_A_VOLUME", f"{what}: all {len(along)} slices lie at one position, expected one each")
    if steps.min() <= STEP_TOLERANCE_MM:
        message = f"{what}: {int((steps <= STEP_TOLERANCE_MM).sum())} of {len(along)} slices repeat a position"
        raise CaseError("DUPLICATE_POSITION", f"{message}, expected one slice each")
    needed = []
    for error in (_find_tilt(positions, normal, what), _find_gap(steps, what)):
        if error and error.code not in repairs:
            raise error
        if error:
            needed.append(error.code)
    typical = float(np.median(steps))
    if "SLICE_INCREMENT_INCONSISTENT" not in needed:
        return float(along[-1] - along[0]) / len(steps), tuple(needed)
    if steps.max() > MAXIMUM_GAP_STEPS * typical:
        message = f"a step of {steps.max():.3f} mm is too long to repair, allowed {MAXIMUM_GAP_STEPS} x {typical:.3f}"
        raise CaseError("SLICE_INCREMENT_INCONSISTENT", f"{what}: {message}")
    return typical, tuple(needed)


def _find_tilt(positions: Float64Array, normal: Float64Array, what: str) -> CaseError | None:
    """Return an error if positions leave the line along the normal."""
    offset = positions - positions[0]
    along = offset @ normal
    drift = float(np.linalg.norm(offset - np.outer(along, normal), axis=1).max())
    if drift <= TILT_TOLERANCE_MM:
        return None
    degrees = math.degrees(math.atan2(drift, along[-1]))
    sides = f"slices drift {drift:.3f} mm across their normal ({degrees:.1f} degrees), allowed {TILT_TOLERANCE_MM}"
    return CaseError("GANTRY_TILT", f"{what}: {sides}")


def _find_gap(steps: Float64Array, what: str) -> CaseError | None:
    """Return an error if steps differ."""
    typical = float(np.median(steps))
    tolerance = max(STEP_TOLERANCE_MM, STEP_TOLERANCE_FRACTION * typical)
    if np.abs(steps - typical).max() <= tolerance:
        return None
    sides = f"steps run from {steps.min():.3f} to {steps.max():.3f} mm, allowed {typical:.3f} +- {tolerance:.3f}"
    return CaseError("SLICE_INCREMENT_INCONSISTENT", f"{what}: {sides}")
