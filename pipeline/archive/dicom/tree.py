"""What a worker does with an archive of DICOM files, in a throw-away process: look at a chunk of files, examine the
files of a series, read a volume. Arguments and results are JSON values; see `pipeline.archive.sandbox`.

Texts, names and dates of a file end here. Hashes, numbers and words of our own go on.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from pipeline.archive.dicom.attributes import is_dicom, parse, quiet, text_of
from pipeline.archive.dicom.geometry import Series, arrange
from pipeline.archive.dicom.headers import HEADER_KEYWORDS, SliceHeader, read_headers
from pipeline.archive.dicom.kinds import (
    IDENTIFIERS,
    KIND_KEYWORDS,
    SEGMENTATION,
    FileKind,
    file_kind,
    hash_text,
    is_image,
)
from pipeline.archive.dicom.plain import parse_quickly
from pipeline.archive.dicom.split import Part, split_series
from pipeline.archive.members import Member, is_junk
from pipeline.archive.sandbox_child import Result
from pipeline.archive.source_tree import FileState, SourceTree, is_zip_name
from pipeline.errors import CaseError

IMAGE = "the image"
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
            kind = _kind_of(stream, str(PurePosixPath(state.name).parent))
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


@quiet()
def examine_series(source: str, files: Sequence[Sequence[Any]], repairs: Sequence[str]) -> Result:
    """Judge the geometry of a series by its headers.

    Args:
        source: URI of the archive.
        files: Names, sizes and stamps of the CT candidates of one series.
        repairs: As `arrange`.

    Returns:
        `volumes`: one entry per volume with `name`, `slices` (file and frame of each, in order), `step_mm` and
        `patient` (hash of the patient id, in memory only); `dropped`: slices of another orientation.

    Raises:
        CaseError: As `read_headers` and `split_series`.
    """
    headers = read_series_headers(SourceTree(source), [FileState(*item).name for item in files])
    parts, dropped = split_series(headers, IMAGE, repairs)
    return {"volumes": [_describe_part(part) for part in parts], "dropped": dropped}, {}


@quiet()
def read_identifiers(source: str, files: Sequence[Sequence[Any]]) -> Result:
    """Read what the site knows a series by, sound or not, from the first of its files that tells.

    Args:
        source: URI of the archive.
        files: As `examine_series`.

    Returns:
        The `IDENTIFIERS`, all empty if no file can be read.
    """
    tree, found = SourceTree(source), dict.fromkeys(IDENTIFIERS, "")
    for state in (FileState(*item) for item in files):
        with suppress(CaseError), tree.open(state.name) as stream:
            dataset = parse(stream, IMAGE, IDENTIFIERS)
            found = {name: text_of(dataset, name) for name in IDENTIFIERS}
        if any(found.values()):
            break
    return found, {}


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


def _kind_of(stream: Any, folder: str) -> FileKind:
    """Tell what a file is that begins as DICOM does."""
    try:
        return file_kind(parse_quickly(stream, IMAGE, KIND_KEYWORDS), folder)
    except CaseError as error:
        return FileKind("", "", error.code, "unknown")


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
    patient = part.series.slices[0].patient.hex()
    return {"name": part.name, "slices": slices, "step_mm": part.series.step_mm, "patient": patient}


def arrange_slices(tree: SourceTree, slices: Sequence[Sequence[Any]], repairs: Sequence[str]) -> Series:
    """Read the headers of a volume's slices again and return them in order.

    Args:
        tree: The archive.
        slices: File and frame of each slice.
        repairs: As `arrange`.

    Raises:
        CaseError: As `arrange` and `read_series_headers`.
    """
    frames = {(name, index) for name, index in slices}
    headers = read_series_headers(tree, list(dict.fromkeys(name for name, _ in slices)))
    return arrange([item for item in headers if (item.member.name, item.index) in frames], IMAGE, repairs)


@quiet()
def read_series_headers(tree: SourceTree, names: Sequence[str]) -> list[SliceHeader]:
    """Read the headers of a series' files. Files that share an instance UID are compared whole."""
    headers: list[SliceHeader] = []
    uids: dict[str, list[str]] = {}
    for name in names:
        with tree.open(name) as stream:
            dataset = parse_quickly(stream, IMAGE, HEADER_KEYWORDS)
        if not text_of(dataset, "SeriesInstanceUID") and not is_image(dataset):
            raise CaseError("DICOM_UNREADABLE", f"{IMAGE}: a file ends before it says what it belongs to")
        member = Member(name, partial(tree.read, name))
        headers += read_headers(member, dataset, hash_text(name).encode(), IMAGE)
        uids.setdefault(text_of(dataset, "SOPInstanceUID"), []).append(name)
    for doubtful in (group for group in uids.values() if len(group) > 1):
        same: dict[bytes, str] = {}
        copies = {name for name in doubtful if same.setdefault(hashlib.sha256(tree.read(name)).digest(), name) != name}
        headers = [header for header in headers if header.member.name not in copies]
    return headers
