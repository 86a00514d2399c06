"""What the driver knows of an archive: its series by hash, their files packed, and every other file by its reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.archive.dicom.kinds import SEGMENTATION
from pipeline.archive.source_tree import FileState, pack_states, unpack_states


@dataclass
class FoundSeries:
    """One series as found so far.

    Args:
        series: Hash of its UID.
        accessions: Hashes of its accession numbers, commonly one.
        phase: Contrast phase by its texts.
        files: Packed lists of its CT candidates.
        count: Number of these.
        reasons: Its other files by reason.
        folder: Folder of one of its CT candidates.
    """

    series: str
    accessions: set[str] = field(default_factory=set)
    phase: str = "unknown"
    files: list[bytes] = field(default_factory=list)
    count: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    folder: str = ""

    @property
    def states(self) -> list[FileState]:
        """Its CT candidates, in the order of names."""
        return sorted((state for packed in self.files for state in unpack_states(packed)), key=lambda item: item.name)

    @property
    def reason(self) -> str:
        """Why it is no candidate: the reason of most of its files; empty if it is one."""
        return "" if self.count else min(self.reasons, key=lambda name: (-self.reasons[name], name))


@dataclass
class Inventory:
    """All series of an archive, and what is no series.

    Args:
        root: The archive's root, as every worker can open it.
        series: By hash.
        masks: The segmentation that was drawn on a series, by the series' hash.
        skipped: Files that are no slices of a CT candidate, by reason.
        files: Number of files: slices and skipped ones.
        dropped: Slices of candidates that were left out later, by reason.
    """

    root: str = ""
    series: dict[str, FoundSeries] = field(default_factory=dict)
    masks: dict[str, FileState] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    files: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def add_all(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in rows of `pipeline.stages.discover_series.ReadHeaders`, in any order."""
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in the files of one chunk that share series and reason."""
        self.files += row["count"]
        if row["reason"]:
            self.skipped[row["reason"]] += row["count"]
        if not row["series"]:
            return
        found = self.series.setdefault(row["series"], FoundSeries(row["series"]))
        found.accessions |= {row["accession"]} - {""}
        if row["reason"]:
            found.reasons[row["reason"]] += row["count"]
        else:
            found.count += row["count"]
            found.files.append(row["files"])
            found.folder = row["folder"].decode("utf-8", "surrogateescape")
            found.phase = min(found.phase, row["phase"])  # any word comes before "unknown"
        if row["reason"] == SEGMENTATION and row["references"]:
            states = unpack_states(row["files"])
            self.masks[row["references"]] = min(
                [*states, self.masks.get(row["references"], states[0])], key=lambda state: state.name
            )

    def by_accession(self) -> dict[str, list[FoundSeries]]:
        """Return the series of each accession number's hash, in the order of hashes."""
        groups: dict[str, list[FoundSeries]] = {}
        for _, found in sorted(self.series.items()):
            for accession in found.accessions:
                groups.setdefault(accession, []).append(found)
        return groups


def input_hash(states: Iterable[FileState], *others: object) -> str:
    """Return what tells changed input from unchanged without reading it: sizes and times, or CRCs, not names."""
    listed = sorted((state.size, state.stamp) for state in states)
    return hashlib.sha256(f"{listed} {others}".encode()).hexdigest()[:32]


def pack_part(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return one of the parts of `look_at_files` as a row with its files packed."""
    states = [FileState(*item) for item in part["files"]]
    folder = states[0].name.rpartition("/")[0].encode("utf-8", "surrogateescape") if states else b""
    return {**part, "files": pack_states(states) if states else b"", "folder": folder}
