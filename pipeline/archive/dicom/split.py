"""From the headers of one DICOM series to its volumes: commonly one, several where phases share a series.

Acquisition numbers or temporal positions split a series if each of them makes a volume and the volumes cover the same
stretch of the patient: scanners count acquisitions up along one volume, too. Any other series is taken as one volume.
Where its positions do not make one, parts are also told by the clock, and only then is it mended to equal steps: that
would make one volume of two phases whose slices lie between each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from operator import attrgetter

import numpy as np

from pipeline.archive.dicom.geometry import STEP_TOLERANCE_MM, Series, arrange, slice_normal
from pipeline.archive.dicom.headers import SliceHeader
from pipeline.errors import CaseError

MAJORITY = 0.9
"""Slices of other orientations are dropped if at least this part of a series agrees."""
OTHER_ORIENTATION = 1e-3
"""A slice with a direction cosine farther than this from the series' median has another orientation. Smaller
differences are noise or a reason to set the series aside, never slices to do without."""
MINIMUM_AXIAL_COSINE = 0.7
"""Slices whose normal is farther than 45 degrees from the patient's axis are not axial."""
MINIMUM_OVERLAP = 0.5
"""Parts of a series are volumes of their own if they share at least this part of the shorter one's extent."""
_UNEVEN = "SLICE_INCREMENT_INCONSISTENT"
_SPLITTABLE = ("DUPLICATE_POSITION", "NOT_A_VOLUME", _UNEVEN)


@dataclass(frozen=True)
class Part:
    """One volume of a series.

    Args:
        name: What tells it from the others, such as `acquisition 2`; empty if the series is one volume.
        series: Its slices in order.
    """

    name: str
    series: Series


def split_series(headers: Sequence[SliceHeader], what: str, repairs: Collection[str] = ()) -> tuple[list[Part], int]:
    """Return the volumes of a series and the number of slices that were dropped for their orientation.

    Args:
        headers: Headers of one series, in any order.
        what: The series in words.
        repairs: As `arrange`.

    Raises:
        CaseError: As `arrange`, or `NON_AXIAL`.
    """
    kept = _keep_majority(headers)
    require_axial(kept[0], what)
    return _find_parts(kept, what, repairs), len(headers) - len(kept)


def _find_parts(headers: Sequence[SliceHeader], what: str, repairs: Collection[str]) -> list[Part]:
    """Return the volumes of slices of one orientation."""
    unique = list({header.digest: header for header in headers}.values())
    numbered = [_group(unique, name) for name in ("acquisition", "temporal")]
    safe = set(repairs) - {_UNEVEN}
    try:
        whole = [Part("", arrange(headers, what, safe))]
        return _arrange_first(numbered, what, safe) or whole
    except CaseError as error:
        if error.code in _SPLITTABLE and (parts := _arrange_first([*numbered, _passes(unique)], what, repairs)):
            return parts
    return [Part("", arrange(headers, what, repairs))]


def require_axial(header: SliceHeader, what: str) -> None:
    """Check that a slice lies across the patient.

    Raises:
        CaseError: `NON_AXIAL`.
    """
    cosine = abs(float(slice_normal(header.orientation)[2]))
    if cosine < MINIMUM_AXIAL_COSINE:
        degrees = np.degrees(np.arccos(cosine))
        raise CaseError("NON_AXIAL", f"{what}: slices stand {degrees:.0f} degrees off the axial plane, allowed are 45")


def _keep_majority(headers: Sequence[SliceHeader]) -> list[SliceHeader]:
    """Drop slices of other orientations, such as a localizer's, if nearly all agree."""
    cosines = np.array([header.orientation for header in headers])
    agree = np.abs(cosines - np.median(cosines, axis=0)).max(axis=1) <= OTHER_ORIENTATION
    if agree.sum() < MAJORITY * len(headers):
        return list(headers)
    return [header for header, kept in zip(headers, agree, strict=True) if kept]


def _group(headers: Sequence[SliceHeader], name: str) -> dict[str, list[SliceHeader]]:
    """Group by a field of the headers, `acquisition` or `temporal`."""
    groups: dict[str, list[SliceHeader]] = {}
    for header in headers:
        groups.setdefault(f"{name} {getattr(header, name)}", []).append(header)
    return groups


def _passes(headers: Sequence[SliceHeader]) -> dict[str, list[SliceHeader]]:
    """Group by pass: the earliest slice at each position, then the second, ... if no pass begins before another ends.

    Returns:
        Nothing if positions have different numbers of slices, or the passes interleave.
    """
    normal = slice_normal(headers[0].orientation)
    ordered = sorted(headers, key=lambda header: float(np.dot(header.position_mm, normal)))
    along = np.array([np.dot(header.position_mm, normal) for header in ordered])
    starts = np.flatnonzero(np.diff(along, prepend=-np.inf) > STEP_TOLERANCE_MM)
    stacks = [
        sorted(ordered[start:stop], key=attrgetter("time"))
        for start, stop in zip(starts, [*starts[1:], len(ordered)], strict=True)
    ]
    if len({len(stack) for stack in stacks}) != 1:
        return {}
    passes = [list(slices) for slices in zip(*stacks, strict=True)]
    for before, after in pairwise(passes):
        if not max(item.time for item in before) < min(item.time for item in after):
            return {}
    return {f"pass {number}": slices for number, slices in enumerate(passes, start=1)}


def _arrange_first(
    groupings: Sequence[dict[str, list[SliceHeader]]], what: str, repairs: Collection[str]
) -> list[Part]:
    """Return the volumes of the first grouping that gives any; none if none does."""
    return next(filter(None, (_arrange_parts(groups, what, repairs) for groups in groupings)), [])


def _arrange_parts(groups: dict[str, list[SliceHeader]], what: str, repairs: Collection[str]) -> list[Part]:
    """Return the groups as volumes; none if one is not a volume, or if they do not cover each other."""
    if len(groups) < 2:
        return []
    try:
        parts = [Part(name, arrange(group, what, repairs)) for name, group in sorted(groups.items())]
    except CaseError:
        return []
    ranges = [_extent(part.series) for part in parts]
    return parts if all(_overlap(*pair) >= MINIMUM_OVERLAP for pair in combinations(ranges, 2)) else []


def _extent(series: Series) -> tuple[float, float]:
    """Return first and last position along the normal."""
    normal = slice_normal(series.slices[0].orientation)
    first, last = (float(np.dot(header.position_mm, normal)) for header in (series.slices[0], series.slices[-1]))
    return first, last


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the part of the shorter extent that the other shares."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return shared / min(a[1] - a[0], b[1] - b[0])
