"""The table of reports: which columns it has, and its rows.

It holds texts (an id and a text per row), or what a report-reading program made of them: an id, `segments` as in a
label table, and `status`, one of `present, uncertain, historical, benign, absent, none`; one row per finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.text_tables import TextRow, read_rows
from pipeline.csv_text import unguard
from pipeline.errors import RefusedInputError

TABLE = "report table"
_ACCESSIONS = ("accession", "accession_number", "encrypted_accession_number")
_SERIES = ("series_instance_uid", "series_uid", "series_id", "series")
_STUDIES = ("study_instance_uid", "study_uid")
_ID_COLUMNS = ("volume_id", "case_id", *_ACCESSIONS, *_SERIES, "study_id", *_STUDIES, "report_id", "id")
_TEXT_COLUMNS = ("text", "report", "report_text", "radiology_report", "narrative", "findings")
_KEYS = {"volume_id": ("volume_id",), "accession": _ACCESSIONS, "series": _SERIES}
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
        RefusedInputError: If the table is empty or a column is not there. Those that are there are not quoted: of a
            table without a header they are the first report.
    """
    first = next(read_rows(path, TABLE), None)
    if first is None:
        raise RefusedInputError(f"{TABLE}: no row")
    identity = _choose(first, id_column, _ID_COLUMNS)
    text = _choose(first, text_column, _TEXT_COLUMNS)
    if not text and not text_column and {_SEGMENTS, _STATUS} <= first.keys() and identity:
        return ReportColumns(identity, "")
    if not identity or not text:
        what, named, usual = ("text", text_column, _TEXT_COLUMNS) if identity else ("id", id_column, _ID_COLUMNS)
        missing = f"none of its {len(first)} columns is called {named or ', '.join(usual)}"
        raise RefusedInputError(f"{TABLE}: set source.report_{what}_column; {missing}")
    return ReportColumns(identity, text)


def find_study_key(column: str) -> str:
    """Return what a column of ids names in a hospital archive, as `StudyLabel.key`.

    Args:
        column: Name of the column.

    Returns:
        `volume_id`, `accession` or `series`; empty if the name does not say.

    Raises:
        RefusedInputError: If it is the study instance UID, by which no series is known here.
    """
    name = _letters(column)
    if name in map(_letters, _STUDIES):
        raise RefusedInputError(
            f"{TABLE}: column {column} holds study instance UIDs, expected accession numbers, series instance UIDs or"
            " volume ids; set source.report_id_column"
        )
    return next((key for key, names in _KEYS.items() if name in map(_letters, names)), "")


def name_study_column(column: str) -> str:
    """Return the column of a hospital archive's label table that takes the ids of a report table.

    Args:
        column: Name of the column of ids in the report table.

    Raises:
        RefusedInputError: As `find_study_key`, or if the name does not say what the ids are.
    """
    key = find_study_key(column)
    if not key:
        raise RefusedInputError(
            f"{TABLE}: column {column} may hold accession numbers, series instance UIDs or volume ids; call it"
            f" {', '.join(_KEYS)}"
        )
    return key


def read_report_rows(path: Path, columns: ReportColumns) -> Iterator[ReportRow]:
    """Give the rows of a report table in order, streaming.

    Raises:
        RefusedInputError: As `read_rows`, and if a row has no id.
    """
    for number, row in enumerate(read_rows(path, TABLE), start=1):
        volume_id = unguard(row.get(columns.id, ""))
        if not volume_id:
            raise RefusedInputError(f"{TABLE}, row {number}: no {columns.id}")
        if columns.text:
            yield ReportRow(volume_id, row.get(columns.text, ""))
        else:
            yield ReportRow(volume_id, "", row.get(_SEGMENTS, ""), row.get(_STATUS, ""))


def _choose(row: TextRow, named: str, usual: Sequence[str]) -> str:
    """Return the named column if it is there, or the first usual one; empty if there is none."""
    if named:
        return named.strip().lower() if named.strip().lower() in row else ""
    letters = {_letters(name): name for name in reversed(row)}
    return next((letters[_letters(name)] for name in usual if _letters(name) in letters), "")


def _letters(name: str) -> str:
    """Return a column's name without what stands between its words: `Accession Number` and `AccessionNumber` agree."""
    return re.sub(r"[\W_]+", "", name.lower())
