"""From labels and series to cases: which volume stands for a label, and what becomes of every other series.

A label that names a series means that series. Of a study's series the first is taken by this preference: it has a
liver mask; its phase is portal venous, then delayed, some contrast, unknown, arterial, native; the smallest step
between slices, but none below a millimeter is smaller than a millimeter; the most slices; the id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.archive.cases import CaseSource
from pipeline.archive.dicom.case import pack_json
from pipeline.archive.dicom.inventory import FoundSeries, Inventory
from pipeline.archive.dicom.matching import Match
from pipeline.archive.labels import VolumeLabel
from pipeline.archive.quarantine import Rejection
from pipeline.archive.site_key import SiteKey
from pipeline.errors import CaseError

PHASES = ("portal", "delayed", "contrast", "unknown", "arterial", "native")
"""Contrast phases, the preferred one first."""
THIN_MM = 1.0
"""Steps below count as this: a thinner volume shows no more of a tumor."""
NOT_LABELED, NOT_PREFERRED = "NOT_LABELED", "NOT_PREFERRED"
_NO_VOLUME = ("NON_AXIAL", "TOO_FEW_SLICES")
"""Reasons for which a study's series is no candidate, rather than a broken one."""
_STEP = "list"


@dataclass(frozen=True)
class Candidate:
    """One volume of an examined series, or a series that is none.

    Args:
        volume_id: Our id.
        series: Hash of the series' UID.
        phase: One of `PHASES`.
        slices: File and frame of each slice, in order.
        step_mm: Distance between slices.
        patient: Hash of the patient id; empty if there is none. Never for messages or files.
        mask: Where its liver mask lies, or empty.
        couinaud_map: Path of its Couinaud map, or empty.
        vessels: Path of its vessel mask, or empty.
        input_hash: Tells its changed files from unchanged ones.
        error: Why it is no volume.
    """

    volume_id: str
    series: str
    phase: str
    slices: Sequence[Sequence[Any]] = ()
    step_mm: float = 0.0
    patient: str = field(default="", repr=False)
    mask: str = ""
    couinaud_map: str = ""
    vessels: str = ""
    input_hash: str = ""
    error: CaseError | None = None

    @property
    def rank(self) -> tuple[Any, ...]:
        """Place in the order of preference; the least is preferred."""
        return (not self.mask, PHASES.index(self.phase), max(self.step_mm, THIN_MM), -len(self.slices), self.volume_id)


@dataclass
class Selection:
    """What becomes of the series of an archive, each in one of the three.

    Args:
        root: The archive's root.
        cases: Volumes to be read.
        rejections: Series that should have been volumes.
        skipped: Series that are not used, by reason.
        inputs: Hash of each case's files and label, by volume id.
        patients: Hash of each case's patient id, by volume id.
        unmatched: Labels that no CT series answers to, as most of a whole hospital's in a small archive.
    """

    # Every series, or volume of one, adds exactly one to `cases`, `rejections` or `skipped`.

    root: str = ""
    cases: list[CaseSource] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    inputs: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict, repr=False)
    unmatched: int = 0


def select(
    matches: Iterable[Match],
    candidates: dict[str, list[Candidate]],
    inventory: Inventory,
    key: SiteKey,
    masks_required: bool = True,
) -> Selection:
    """Decide what becomes of every series.

    Args:
        matches: Labels with their series.
        candidates: What the examination gave, by series.
        inventory: All series.
        key: Makes the ids of labels and series.
        masks_required: Whether a volume needs a liver mask. A mask that a table names must be there anyway.
    """
    result, used = Selection(root=inventory.root), set()
    for match in matches:
        used |= {found.series for found in match.series}
        _select_one(match, candidates, key, result, masks_required)
    for series, found in inventory.series.items():
        if series not in used:
            result.skipped[found.reason or NOT_LABELED] += 1
    result.skipped = +result.skipped
    result.rejections.sort(key=lambda item: item.volume_id)
    result.cases.sort(key=lambda item: item.volume_id)
    return result


def _select_one(
    match: Match, candidates: dict[str, list[Candidate]], key: SiteKey, result: Selection, masks_required: bool
) -> None:
    """Decide about the series of one label."""
    examined = [item for found in match.series for item in candidates.get(found.series, [])]
    good = sorted((item for item in examined if item.error is None), key=lambda item: item.rank)
    if match.label.key == "volume_id":
        good.sort(key=lambda item: item.volume_id != match.label.identifier)
    for found in match.series:
        if found.series not in candidates:
            _leave_out(match, found, key, result)
    for item in examined:
        if item.error:
            _set_aside(match, item, bool(good), result)
    if good:
        result.skipped[NOT_PREFERRED] += len(good) - 1
        _take(match, good[0], result, masks_required or bool(match.liver_mask(good[0].series)))
    elif not any(item.error for item in examined) and (match.label.key == "accession" or not match.series):
        result.unmatched += 1


def _leave_out(match: Match, found: FoundSeries, key: SiteKey, result: Selection) -> None:
    """Count a series without a slice of an axial CT, or reject it if the label names it."""
    if match.label.key == "accession":
        result.skipped[found.reason] += 1
        return
    message = f"the labeled series has no slice of an axial CT: {found.reasons[found.reason]} files are {found.reason}"
    error = CaseError(found.reason, message, _STEP)
    result.rejections.append(Rejection.from_error(key.volume_id(found.series), error))


def _set_aside(match: Match, item: Candidate, replaced: bool, result: Selection) -> None:
    """Reject a series that is no volume; one that a study can do without, such as a localizer, is only counted."""
    assert item.error is not None
    if replaced and match.label.key == "accession" and item.error.code in _NO_VOLUME:
        result.skipped[item.error.code] += 1
    else:
        result.rejections.append(Rejection.from_error(item.volume_id, item.error))


def _take(match: Match, item: Candidate, result: Selection, mask_required: bool) -> None:
    """Make a volume the case of its label, or reject it for want of label or mask."""
    error = match.label.error
    if error is None and mask_required and not item.mask:
        error = CaseError("LIVER_MISSING", "there is an image, but no mask of the liver", _STEP)
    if error:
        result.rejections.append(Rejection.from_error(item.volume_id, error))
        return
    label = match.label.label
    assert isinstance(label, VolumeLabel)
    files = (pack_json([result.root, item.slices]), item.mask, item.couinaud_map, item.vessels)
    result.cases.append(CaseSource(item.volume_id, "dicom", label.split, label.segments, *files))
    result.inputs[item.volume_id] = f"{item.input_hash} {label}"
    result.patients[item.volume_id] = item.patient
