"""The table of reports: which columns it has, and its rows.

It holds texts (an id and a text per row), or what a report-reading program made of them: an id, `segments` as in a
label table, and `status`, one of `present, uncertain, historical, benign, absent, none`; one row per finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.text_tables import TextRow, read_rows
from pipeline.errors import RefusedInputError

TABLE = "report table"
_ID_COLUMNS = (
    "volume_id", "case_id", "accession", "accession_number", "accession number", "encrypted accession number",
    "series_id", "series_instance_uid", "study_id", "study_instance_uid", "report_id", "id",
)  # fmt: skip
_TEXT_COLUMNS = ("text", "report", "report_text", "report text", "radiology_report", "narrative", "findings")
_SEGMENTS, _STATUS = "segments", "status"


@dataclass(frozen=True)
class ReportColumns:
    """Which columns of a report table hold what.

    Args:
        id: Column of the volume's id.
        text: Column of the text; empty if the table was written by a report-reading program.
    """

    id: str
    text: str


@dataclass(frozen=True)
class ReportRow:
    """One row of a report table.

    Args:
        volume_id: The id as written.
        text: The report; empty if the row holds segments and a status.
        segments: Segments as a program read them, as written.
        status: Status as a program read it, as written.
    """

    volume_id: str
    text: str
    segments: str = ""
    status: str = ""


def find_columns(path: Path, id_column: str = "", text_column: str = "") -> ReportColumns:
    """Return the columns of a report table: those that are named, else the first that is usual and there.

    A table without a text column that has `segments` and `status` is one that a report-reading program wrote.

    Args:
        path: The table.
        id_column: Column of the id; empty to find it.
        text_column: Column of the text; empty to find it.

    Raises:
        RefusedInputError: If the table is empty or a column is not there; its columns are quoted.
    """
    first = next(read_rows(path, TABLE), None)
    if first is None:
        raise RefusedInputError(f"{TABLE}: no row")
    there = ", ".join(first)
    identity = _choose(first, id_column, _ID_COLUMNS)
    text = _choose(first, text_column, _TEXT_COLUMNS)
    if not text and not text_column and {_SEGMENTS, _STATUS} <= first.keys() and identity:
        return ReportColumns(identity, "")
    if not identity or not text:
        missing = "source.report_text_column" if identity else "source.report_id_column"
        raise RefusedInputError(f"{TABLE}: set {missing}; the columns are {there}")
    return ReportColumns(identity, text)


def read_report_rows(path: Path, columns: ReportColumns) -> Iterator[ReportRow]:
    """Give the rows of a report table in order, streaming.

    Raises:
        RefusedInputError: As `read_rows`, and if a row has no id.
    """
    for number, row in enumerate(read_rows(path, TABLE), start=1):
        volume_id = row.get(columns.id, "")
        if not volume_id:
            raise RefusedInputError(f"{TABLE}, row {number}: no {columns.id}")
        if columns.text:
            yield ReportRow(volume_id, row.get(columns.text, ""))
        else:
            yield ReportRow(volume_id, "", row.get(_SEGMENTS, ""), row.get(_STATUS, ""))


def _choose(row: TextRow, named: str, usual: Sequence[str]) -> str:
    """Return the named column if it is there, or the first usual one; empty if there is none."""
    candidates = (named.strip().lower(),) if named else usual
    return next((name for name in candidates if name in row), "")
