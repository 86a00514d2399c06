"""What a worker does with an archive of DICOM files, in a throw-away process: look at a chunk of files, examine the
files of a series, read a volume. Arguments and results are JSON values; see `pipeline.archive.sandbox`.

Texts, names and dates of a file end here. Hashes, numbers and words of our own go on.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pipeline.archive.checks import paste_on_grid, require_same_grid, to_labels
from pipeline.archive.dicom_attributes import is_dicom, parse, text_of
from pipeline.archive.dicom_geometry import Series, arrange
from pipeline.archive.dicom_headers import HEADER_KEYWORDS, SliceHeader, read_headers
from pipeline.archive.dicom_kinds import IDENTIFIERS, KIND_KEYWORDS, SEGMENTATION, FileKind, file_kind, hash_text
from pipeline.archive.dicom_seg import decode_liver
from pipeline.archive.dicom_series import decode_hu, to_volume
from pipeline.archive.dicom_split import Part, split_series
from pipeline.archive.members import Member, is_junk
from pipeline.archive.nifti import read_nifti
from pipeline.archive.sandbox_child import Result
from pipeline.archive.source_tree import FileState, SourceTree, is_zip_name
from pipeline.arrays import Int16Array, UInt8Array
from pipeline.errors import CaseError
from pipeline.volume import Geometry

IMAGE, MASK = "the image", "the mask"
PADDING_HU = -1024
"""Air of a 12-bit scanner. Lower values mark pixels outside of the scanned circle."""
MAXIMUM_AIR_HU = -300
"""A CT in which no voxel is below has lost its intercept: there is gas in every abdomen, or air around it."""
LIVER_MEDIAN_HU = (-100, 350)
"""A liver whose median is outside is not the one that the mask was drawn on."""
_TUMOR = 2
_LOST = ("DICOM_UNREADABLE", "SERIES_MISSING")


def look_at_files(source: str, files: Sequence[Sequence[Any]], lost: Sequence[Sequence[Any]] = ()) -> Result:
    """Tell what each of some files is, and bring those of one series together.

    Args:
        source: URI of the archive.
        files: Names, sizes and stamps; a zip stands for its members.
        lost: Name, size, stamp and reason of files of the same folders that stop the reader; they are not opened.

    Returns:
        `parts`: one entry per series and reason, with the fields of `FileKind`, `count`, and `files` where they are
        CT candidates or segmentations; `skipped`: files of no series, by reason.
    """
    tree, skipped = SourceTree(source), Counter[str]()
    parts: dict[FileKind, list[FileState]] = {}
    unknown = [(FileState(*item[:3]), str(item[3])) for item in lost]
    for state in _expand(tree, [FileState(*item) for item in files], skipped):
        with tree.open(state.name) as stream:
            if not is_dicom(stream):
                skipped["NOT_DICOM"] += 1
                continue
            kind = _kind_of(stream)
        if kind.reason in _LOST:
            unknown.append((state, "DICOM_UNREADABLE"))
        else:
            parts.setdefault(kind, []).append(state)
    _share_out(unknown, parts, skipped)
    return {"parts": [_describe(kind, states) for kind, states in parts.items()], "skipped": skipped}, {}


def list_members(source: str, name: str) -> Result:
    """Return the `members` of a zip: names, sizes and CRCs.

    Raises:
        CaseError: As `SourceTree.members`.
    """
    members = SourceTree(source).members(name)
    return {"members": [[state.name, state.size, state.stamp] for state in members]}, {}


def examine_series(source: str, files: Sequence[Sequence[Any]], repairs: Sequence[str], identify: bool) -> Result:
    """Judge the geometry of a series by its headers.

    Args:
        source: URI of the archive.
        files: Names, sizes and stamps of the CT candidates of one series.
        repairs: As `arrange`.
        identify: Whether the site asked for the series' identifiers.

    Returns:
        `volumes`: one entry per volume with `name`, `slices` (file and frame of each, in order), `step_mm`;
        `dropped`: slices of another orientation; `identifiers`, if they are asked for.

    Raises:
        CaseError: As `read_headers` and `split_series`.
    """
    tree = SourceTree(source)
    states = [FileState(*item) for item in files]
    headers = _read_headers(tree, [state.name for state in states])
    parts, dropped = split_series(headers, IMAGE, repairs)
    values: dict[str, Any] = {"volumes": [_describe_part(part) for part in parts], "dropped": dropped}
    if identify:
        with tree.open(states[0].name) as stream:
            dataset = parse(stream, IMAGE, IDENTIFIERS)
        values["identifiers"] = {name: text_of(dataset, name) for name in IDENTIFIERS}
    return values, {}


def read_volume(source: str, slices: Sequence[Sequence[Any]], mask: str, repairs: Sequence[str]) -> Result:
    """Read CT and liver of one volume.

    Args:
        source: URI of the archive.
        slices: File and frame of each slice.
        mask: `file:PATH` or `tree:NAME` of a `.nii.gz` or a DICOM SEG, the latter below the archive's root.
        repairs: As `arrange`.

    Returns:
        `geometry`, `notes`, `sha256`; arrays `hu`, `labels` (1 liver, 2 tumor), both in LPS order.

    Raises:
        CaseError: As `arrange`, `decode_hu`, `read_nifti` and `decode_liver`; `HU_IMPLAUSIBLE`, `LIVER_HU`,
            `MASK_VALUES`, `MASK_SHAPE_MISMATCH` or `MASK_GEOMETRY_MISMATCH`.
    """
    tree, content = SourceTree(source), hashlib.sha256()
    frames = {(name, index) for name, index in slices}
    headers = _read_headers(tree, list(dict.fromkeys(name for name, _ in slices)))
    series = arrange([item for item in headers if (item.member.name, item.index) in frames], IMAGE, repairs)
    hu, geometry = decode_hu(series, IMAGE, content.update)
    notes = [*_series_notes(series), *_clip_padding(hu)]
    labels = _read_mask(tree, mask, series, geometry, content)
    _require_liver_hu(hu, labels)
    values = {"geometry": vars(geometry), "notes": notes, "sha256": content.hexdigest()}
    return values, {"hu": hu, "labels": labels}


def _expand(tree: SourceTree, states: Sequence[FileState], skipped: Counter[str]) -> Iterator[FileState]:
    """Give files, and the members of zips in their place."""
    for state in states:
        if not is_zip_name(state.name):
            yield state
            continue
        try:
            members = tree.members(state.name)
        except CaseError as error:
            skipped[error.code] += 1
            continue
        for member in members:
            if is_junk(PurePosixPath(member.name)) or not member.size:
                skipped["EMPTY_FILE" if not member.size else "SYSTEM_FILE"] += 1
            else:
                yield member


def _kind_of(stream: Any) -> FileKind:
    """Tell what a file is that begins as DICOM does."""
    try:
        return file_kind(parse(stream, IMAGE, KIND_KEYWORDS))
    except CaseError as error:
        return FileKind("", "", "", error.code, "unknown")


def _share_out(
    unknown: Sequence[tuple[FileState, str]], parts: dict[FileKind, list[FileState]], skipped: Counter[str]
) -> None:
    """Give files that do not tell their series to the only CT series of their folder, if there is one.

    There they are found to be unreadable, and the series is set aside: it would lack a slice.
    """
    for state, reason in unknown:
        folder = PurePosixPath(state.name).parent
        owners = [kind for kind, states in parts.items() if not kind.reason and _holds(states, folder)]
        if len(owners) == 1:
            parts[owners[0]].append(state)
        else:
            skipped[reason] += 1


def _holds(states: Sequence[FileState], folder: PurePosixPath) -> bool:
    """Tell whether one of the files lies in a folder."""
    return any(PurePosixPath(state.name).parent == folder for state in states)


def _describe(kind: FileKind, states: Sequence[FileState]) -> dict[str, Any]:
    """Return the files of one kind as JSON values."""
    wanted = kind.reason in ("", SEGMENTATION)
    files = [[state.name, state.size, state.stamp] for state in states] if wanted else []
    return {**vars(kind), "count": len(states), "files": files}


def _describe_part(part: Part) -> dict[str, Any]:
    """Return a volume's slices as JSON values."""
    slices = [[header.member.name, header.index] for header in part.series.slices]
    return {"name": part.name, "slices": slices, "step_mm": part.series.step_mm}


def _read_headers(tree: SourceTree, names: Sequence[str]) -> list[SliceHeader]:
    """Read the headers of a series' files. Files that share an instance UID are compared whole."""
    headers: list[SliceHeader] = []
    uids: dict[str, list[str]] = {}
    for name in names:
        with tree.open(name) as stream:
            dataset = parse(stream, IMAGE, HEADER_KEYWORDS)
        if not text_of(dataset, "SeriesInstanceUID"):
            raise CaseError("DICOM_UNREADABLE", f"{IMAGE}: a file ends before it says what it belongs to")
        member = Member(name, partial(tree.read, name))
        headers += read_headers(member, dataset, hash_text(name).encode(), IMAGE)
        uids.setdefault(text_of(dataset, "SOPInstanceUID"), []).append(name)
    for doubtful in (group for group in uids.values() if len(group) > 1):
        same: dict[bytes, str] = {}
        copies = {name for name in doubtful if same.setdefault(hashlib.sha256(tree.read(name)).digest(), name) != name}
        headers = [header for header in headers if header.member.name not in copies]
    return headers


def _series_notes(series: Series) -> list[str]:
    """Say what was done to a series that the caller may want to know."""
    notes = [f"REPAIRED_{code}" for code in series.repairs]
    return notes + (["LOSSY_COMPRESSION"] if any(header.lossy for header in series.slices) else [])


def _clip_padding(hu: Int16Array) -> list[str]:
    """Raise values below air to air, and check that there is air.

    Raises:
        CaseError: `HU_IMPLAUSIBLE`.
    """
    low = int(hu.min())
    if low > MAXIMUM_AIR_HU:
        message = f"{IMAGE} has no voxel below {low} HU, expected air below {MAXIMUM_AIR_HU}"
        raise CaseError("HU_IMPLAUSIBLE", message)
    if low >= PADDING_HU:
        return []
    np.maximum(hu, PADDING_HU, out=hu)
    return ["PADDING_CLIPPED"]


def _read_mask(tree: SourceTree, mask: str, series: Series, geometry: Geometry, content: Any) -> UInt8Array:
    """Read the liver on the grid of the CT: 1 liver, 2 tumor."""
    place, _, name = mask.partition(":")
    if name.endswith(".nii.gz"):
        return _read_nifti_mask(Path(tree.uri, name) if place == "tree" else Path(name), geometry, content)
    data = tree.read(name) if place == "tree" else Path(name).read_bytes()
    content.update(data)
    labels, _ = to_volume(decode_liver(data, series, MASK), series, MASK)
    return np.asarray(labels, np.uint8)


def _read_nifti_mask(path: Path, image: Geometry, content: Any) -> UInt8Array:
    """Read a mask of 0 and 1 (2: tumor) or 0 and 255, on the grid of the CT or a crop of it."""
    values, geometry = read_nifti(path, MASK, content.update)
    if values.max() == np.iinfo(np.uint8).max:
        values = np.where(values == np.iinfo(np.uint8).max, 1, np.where(values == 0, 0, -1))
    labels = to_labels(values, _TUMOR, "MASK_VALUES", MASK)
    if geometry.shape != image.shape and (pasted := paste_on_grid(labels, geometry, image)) is not None:
        return pasted
    codes = {"shape_code": "MASK_SHAPE_MISMATCH", "grid_code": "MASK_GEOMETRY_MISMATCH"}
    require_same_grid(geometry, image, MASK, **codes)
    return labels


def _require_liver_hu(hu: Int16Array, labels: UInt8Array) -> None:
    """Check that the liver is as gray as a liver.

    Raises:
        CaseError: `LIVER_HU`. An empty mask is left to `pipeline.slicing.check_liver`.
    """
    inside = hu[labels > 0]
    low, high = LIVER_MEDIAN_HU
    if inside.size and not low <= (median := float(np.median(inside))) <= high:
        raise CaseError("LIVER_HU", f"the liver's median is {median:g} HU, expected {low}..{high}")
