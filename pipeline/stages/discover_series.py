"""Discovery over a hospital archive: which series there are, which of them are volumes, and what each label means.

Two flows, both over work items that one worker holds easily: `ReadHeaders` looks at a chunk of files, `ExamineSeries`
at the headers of one labeled series. The driver holds a row per series, its file names packed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pipeline.archive.dicom.case import decoder_limits, repair_codes
from pipeline.archive.dicom.inventory import FoundSeries, Inventory, input_hash, pack_part
from pipeline.archive.dicom.masks import MaskIndex
from pipeline.archive.dicom.matching import Match
from pipeline.archive.dicom.selection import Candidate
from pipeline.archive.sandbox import Limits, shared_sandbox
from pipeline.archive.site_key import SiteKey
from pipeline.archive.source_tree import CHUNK_FILES, FileState, SourceTree, is_zip_name, pack_states, unpack_states
from pipeline.config import SourceConfig
from pipeline.errors import CaseError
from pipeline.progress import show_progress
from pipeline.stages.base import Row, Stage, check_flow

_TASKS = "pipeline.archive.dicom.tree"
_PART = ("series", "accession", "reason", "phase", "references", "count", "files", "folder")
_NO_SERIES = {"series": "", "accession": "", "phase": "unknown", "references": "", "files": b"", "folder": b""}
BLOCKS_PER_CPU = 64


class ReadHeaders(Stage):
    """Look at a chunk of files and emit one row per series and reason. A file that stops the reader is a reason, too.

    Args:
        source: Settings of the source.
    """

    reads = ("files",)
    emits = _PART

    def __init__(self, source: SourceConfig) -> None:
        self.uri = SourceTree(source.path).uri
        self.limits = decoder_limits(source)

    def process(self, row: Row) -> Iterator[Row]:
        """Read the headers of all files at once, or, if that fails, find out which of them stop the reader."""
        states = unpack_states(row["files"])
        try:
            yield from self._look(states)
        except CaseError as error:
            if len(states) == 1 and not is_zip_name(states[0].name):
                yield {**_NO_SERIES, "reason": error.code, "count": 1}
                return
            members = self._members(states[0]) if len(states) == 1 else states
            if not members:
                yield {**_NO_SERIES, "reason": error.code, "count": 1}
            for start in range(0, len(members), CHUNK_FILES):
                yield from self._look_around(members[start : start + CHUNK_FILES])

    def _look_around(self, states: Sequence[FileState]) -> Iterator[Row]:
        """Try files one by one, then read those that can be read together."""
        good, lost = [], []
        for state in states:
            try:
                self._look([state])
                good.append(state)
            except CaseError as error:
                lost.append([state.name, state.size, state.stamp, error.code])
        yield from self._look(good, lost)

    def _members(self, state: FileState) -> list[FileState]:
        """Return the members of a zip; none if it is no zip, or a broken one."""
        if not is_zip_name(state.name):
            return []
        with suppress(CaseError):
            sandbox = shared_sandbox(self.limits)
            values = sandbox.call(f"{_TASKS}:list_members", source=self.uri, name=state.name).values
            return [FileState(*item) for item in values["members"]]
        return []

    def _look(self, states: Sequence[FileState], lost: Sequence[Sequence[Any]] = ()) -> list[Row]:
        """Return the rows of some files; CaseError if the reader failed."""
        arguments = {"source": self.uri, "files": _plain(states), "lost": lost}
        values = shared_sandbox(self.limits).call(f"{_TASKS}:look_at_files", **arguments).values
        parts = [pack_part(part) for part in values["parts"]]
        skipped = values["skipped"].items()
        return parts + [{**_NO_SERIES, "reason": reason, "count": count} for reason, count in skipped]


class ExamineSeries(Stage):
    """Judge the geometry of a series by its headers and emit its volumes, or why it is none.

    Args:
        source: Settings of the source.
    """

    reads = ("series", "files")
    emits = ("series", "answer", "identifiers", "code", "message", "step")

    def __init__(self, source: SourceConfig) -> None:
        self.uri = SourceTree(source.path).uri
        self.limits: Limits = decoder_limits(source)
        self.repairs = repair_codes(source.repairs)
        self.identify = bool(source.reidentification)

    def process(self, row: Row) -> Iterator[Row]:
        """Emit one row; `answer` and `identifiers` are what the tasks returned, as JSON."""
        files = _plain(unpack_states(row["files"]))
        values, reason = {}, ("", "", "")
        try:
            values = self._call("examine_series", files, repairs=self.repairs)
        except CaseError as error:
            reason = (error.code, error.message, error.step)
        texts = {"answer": json.dumps(values), "identifiers": json.dumps(self._identify(files))}
        yield {"series": row["series"], **texts, **dict(zip(("code", "message", "step"), reason, strict=True))}

    def _identify(self, files: Sequence[Sequence[Any]]) -> dict[str, str]:
        """Return the identifiers of a series if the site asked for them; none if its files stop the reader."""
        if self.identify:
            with suppress(CaseError):
                return self._call("read_identifiers", files)
        return {}

    def _call(self, task: str, files: Sequence[Sequence[Any]], **arguments: Any) -> dict[str, Any]:
        """Return what a task says of some files."""
        return shared_sandbox(self.limits).call(f"{_TASKS}:{task}", source=self.uri, files=files, **arguments).values


def take_inventory(source: SourceConfig) -> Inventory:
    """Return what there is in an archive.

    Raises:
        RefusedInputError: If the source is no folder that holds something.
    """
    tree, skipped = SourceTree(source.path), Counter[str]()
    tree.require()
    chunks = [{"files": pack_states(states)} for states in tree.chunks(skipped)]
    inventory = Inventory(root=tree.uri, skipped=skipped, files=skipped.total() - skipped["FOLDER_UNREADABLE"])
    inventory.add_all(_run(chunks, ReadHeaders(source)))
    return inventory


def examine(
    matches: Iterable[Match], inventory: Inventory, source: SourceConfig, key: SiteKey
) -> tuple[dict[str, list[Candidate]], dict[str, dict[str, str]]]:
    """Examine the labeled series.

    Returns:
        The candidates of each series that has slices, and, if the site asks, the identifiers of each volume id.
    """
    masks = MaskIndex(source.masks, inventory.root, inventory, source.couinaud_maps, source.vessels)
    found = {item.series: (match, item) for match in matches for item in match.series if item.count}
    rows = [{"series": name, "files": pack_states(item.states)} for name, (_, item) in sorted(found.items())]
    candidates: dict[str, list[Candidate]] = {}
    identifiers: dict[str, dict[str, str]] = {}
    for row in _run(rows, ExamineSeries(source)):
        match, series = found[row["series"]]
        items = _candidates(row, match, series, masks, key, inventory)
        candidates[series.series] = items
        for item in items:
            identifiers[item.volume_id] = json.loads(row["identifiers"])
    return candidates, identifiers


def _candidates(
    row: Row, match: Match, found: FoundSeries, masks: MaskIndex, key: SiteKey, inventory: Inventory
) -> list[Candidate]:
    """Return the volumes of an examined series, or the one that it failed to be."""
    if row["code"]:
        error = CaseError(row["code"], row["message"], row["step"])
        return [Candidate(key.volume_id(found.series), found.series, found.phase, error=error)]
    answer = json.loads(row["answer"])
    inventory.dropped["OTHER_ORIENTATION"] += answer["dropped"]
    items, states = [], {state.name: state for state in found.states}
    for volume in answer["volumes"]:
        item = Candidate(
            volume_id=key.volume_id(found.series, volume["name"]),
            series=found.series,
            phase=found.phase,
            slices=volume["slices"],
            step_mm=volume["step_mm"],
            patient=volume["patient"],
        )
        files = [states[name] for name in {name for name, _ in volume["slices"]}]
        try:
            items.append(_add_masks(item, files, match, found, masks))
        except CaseError as error:
            items.append(replace(item, error=error))
    return items


def _add_masks(
    item: Candidate, files: Sequence[FileState], match: Match, found: FoundSeries, masks: MaskIndex
) -> Candidate:
    """Return a candidate with its masks and the hash of all of its files; CaseError if one cannot be looked at."""
    names = (item.volume_id, found.series, found.accessions)
    mask = masks.find(*names, match.liver_mask(found.series))
    couinaud_map, vessels = masks.find_map(*names), masks.find_vessels(*names)
    return replace(
        item,
        mask=mask.place,
        couinaud_map=couinaud_map.place,
        vessels=vessels.place,
        input_hash=input_hash([*files, *mask.states, *couinaud_map.states, *vessels.states]),
    )


def _run(rows: list[dict[str, Any]], stage: Stage) -> Iterator[Row]:
    """Run one stage over work items and give its rows as they come."""
    from pipeline.stages.session import work_items

    if rows:
        check_flow(list(rows[0]), [type(stage)])
        work = work_items("ingest", rows, BLOCKS_PER_CPU)
        found = work.map_batches(stage, batch_size=1, batch_format="pyarrow").iter_rows()
        yield from show_progress(found, type(stage).__name__, unit="row")


def _plain(states: Sequence[FileState]) -> list[list[Any]]:
    """Return files as JSON values."""
    return [[state.name, state.size, state.stamp] for state in states]
