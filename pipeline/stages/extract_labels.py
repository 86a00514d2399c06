"""Reading reports over a cluster: a chunk of reports in, what each says of tumors in the liver out.

A row is a chunk, since one report takes half a millisecond. Texts go to the workers and stay there; back come statuses,
segments and offsets. The table is read in windows, so that no process holds all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import islice
from typing import Any

from pipeline.archive.report_table import ReportRow
from pipeline.archive.report_text.status import Mention
from pipeline.archive.reports import try_mentions
from pipeline.errors import CaseError
from pipeline.stages.base import Row, Stage, check_flow

CHUNK_REPORTS = 256
"""Reports of one work item."""
WINDOW_CHUNKS = 256
"""Chunks that are under way at a time."""


class ExtractMentions(Stage):
    """Read the reports of a chunk."""

    reads = ("volume_id", "text", "segments", "status")
    emits = ("volume_id", "read")

    def process(self, row: Row) -> Iterator[Row]:
        """Emit the ids of the chunk, and as JSON what each report says or why it cannot be read."""
        reports = (ReportRow(*cells) for cells in zip(*(row[name] for name in self.reads), strict=True))
        yield {"volume_id": row["volume_id"], "read": [pack_read(try_mentions(report)) for report in reports]}


def extract_mentions(rows: Iterable[ReportRow]) -> Iterator[tuple[str, tuple[Mention, ...] | CaseError]]:
    """Give id and mentions of every report, or the reason why it cannot be read; in no certain order."""
    from pipeline.stages.session import work_items

    chunks = _chunks(rows)
    while window := list(islice(chunks, WINDOW_CHUNKS)):
        check_flow(list(window[0]), [ExtractMentions])
        read = work_items("extract_labels", window).map_batches(ExtractMentions(), batch_size=1, batch_format="pyarrow")
        for row in read.iter_rows():
            yield from zip(row["volume_id"], map(unpack_read, row["read"]), strict=True)


def pack_read(read: tuple[Mention, ...] | CaseError) -> str:
    """Return mentions, or the reason why there are none, as JSON."""
    value: Any = (
        {"code": read.code, "message": read.message} if isinstance(read, CaseError) else list(map(astuple, read))
    )
    return json.dumps(value)


def unpack_read(text: str) -> tuple[Mention, ...] | CaseError:
    """Return what `pack_read` packed."""
    value = json.loads(text)
    if isinstance(value, dict):
        return CaseError(value["code"], value["message"], "list")
    return tuple(Mention(status, tuple(segments), *rest) for status, segments, *rest in value)


def _chunks(rows: Iterable[ReportRow]) -> Iterator[Row]:
    """Give chunks of reports as rows of lists."""
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK_REPORTS)):
        yield {name: [getattr(report, name) for report in chunk] for name in ExtractMentions.reads}
