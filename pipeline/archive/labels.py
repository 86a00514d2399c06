"""The table of volume-level labels: which Couinaud segments the report of a volume names, and its split.

A table that cannot be read as a table refuses the run, with the line. A row that can be read but makes no sense rejects
its case and no other. Nothing that cannot be understood ever becomes "healthy": only an empty cell does.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.archive.quarantine import Rejection
from pipeline.archive.steady_file import open_path
from pipeline.archive.text_tables import encoding_of
from pipeline.archive.volume_ids import is_safe_id, replacement_id
from pipeline.csv_text import unguard
from pipeline.errors import CaseError, RefusedInputError
from pipeline.segment_names import ROMAN

SPLITS = ("train", "validation", "test")
STUDY_KEYS = ("volume_id", "series", "accession")
"""What may name a case of a hospital archive: our id, series instance UID, accession number."""
_DELIMITERS = (",", ";", "\t")
_SEGMENTS = (
    {str(number): number for number in range(1, 9)}
    | {f"{number}.0": number for number in range(1, 9)}
    | {numeral: number for number, numeral in enumerate(ROMAN, start=1)}
    | dict.fromkeys(("4A", "4B", "IVA", "IVB"), 4)
)
"""Every spelling of a segment, in upper case."""
_DASH = re.compile(r"\s*[-\u2010-\u2015]\s*")
"""A range's dash, as keyboards and word processors write it."""
_NOTATION = re.compile(r"(?!(?:.*[0-9]){3}|[A-D])[0-9IVXA-D.-]{1,5}", re.IGNORECASE)
"""Wrong cells that are quoted: up to two digits, or a numeral. Others may be a patient's number, or text about one."""


@dataclass(frozen=True)
class VolumeLabel:
    """What the table says about one volume.

    Args:
        segments: Named segments 1..8, ascending; empty means healthy, None that nobody has said.
        split: `train`, `validation` or `test`.
    """

    segments: tuple[int, ...] | None
    split: str

    def __str__(self) -> str:
        named = "unlabeled" if self.segments is None else ";".join(map(str, self.segments)) or "healthy"
        return f"{named} ({self.split})"


NO_LABEL = VolumeLabel(None, "train")
"""Stands for a label where none is needed."""


@dataclass(frozen=True)
class LabelTable:
    """The labels that can be used and the rows that cannot, by volume id; no id is in both.

    Args:
        labels: Usable labels.
        rejections: Why the others are not.
        name: The table in words, for messages.
    """

    labels: dict[str, VolumeLabel]
    rejections: dict[str, Rejection]
    name: str = "label table"


@dataclass(frozen=True)
class StudyLabel:
    """What a table of a hospital archive says about one series or study.

    Args:
        key: What names it: `volume_id`, `series` or `accession`; empty if its table does not say.
        identifier: What stands there. Never for messages or files.
        label: Its label; None if the row makes no sense.
        error: Why it makes none.
        liver_mask: File of the liver mask, or empty.
        place: Where it is said, in words.
    """

    key: str
    identifier: str
    label: VolumeLabel | None
    error: CaseError | None = None
    liver_mask: str = ""
    place: str = "the label table"


@dataclass(frozen=True)
class _Row:
    """One line of the table, as text."""

    volume_id: str
    segments: str
    split: str
    key: str
    liver_mask: str
    place: str


def read_labels(path: Path, canonical: Callable[[str], str] = str) -> LabelTable:
    """Read a label table.

    The table is UTF-8 text (with or without byte order mark), or UTF-16 with one, of columns `volume_id`, `segments`
    and perhaps `split`, separated by commas, semicolons or tabs; further columns are ignored. All cells are text, so
    that no id loses its leading zeros. Segments are separated by `;`, `,`, `/`, `|` or spaces and written as
    `parse_segments` reads them.
    Rows that repeat an id with the same label count once.

    Args:
        path: The table.
        canonical: Turns an id as written into the id of the archive.

    Raises:
        RefusedInputError: If there is no such file, a column is missing, or a line is not a row of the table.
    """
    return _read(path, canonical, "segments")


def read_splits(path: Path, canonical: Callable[[str], str] = str, key: str = "volume_id") -> LabelTable:
    """Read a table `volume_id, split` without segments, for volumes whose labels come from elsewhere.

    Args:
        path: The table.
        canonical: Turns an id as written into the id of the archive.
        key: Column of the ids; other ids than volume ids may be any text.

    Returns:
        Labels without segments, and the rows that make no sense.

    Raises:
        RefusedInputError: As `read_labels`, and if there is a column `segments`: it would contradict the reports.
    """
    _require_no_segments(path)
    return _read(path, canonical, "split", key)


def _read(path: Path, canonical: Callable[[str], str], column: str, key_column: str = "volume_id") -> LabelTable:
    """Read a table of ids and another column; duplicates merge or conflict."""
    labels: dict[str, VolumeLabel] = {}
    rejections: dict[str, Rejection] = {}
    for row in _rows(path, [column], [key_column]):
        volume_id = canonical(row.volume_id)
        safe = key_column != "volume_id" or is_safe_id(volume_id)
        key = volume_id if safe else replacement_id(volume_id)
        try:
            label = _parse(row, safe)
            if labels.setdefault(key, label) != label:
                raise CaseError("LABEL_CONFLICT", f"the label table says both {labels[key]} and {label}", "list")
        except CaseError as error:
            rejections.setdefault(key, Rejection.from_error(key, error))
    return LabelTable({key: label for key, label in labels.items() if key not in rejections}, rejections)


def read_study_labels(path: Path) -> list[StudyLabel]:
    """Read the label table of a hospital archive: as `read_labels`, but series and accession numbers name cases, too.

    A row's case is named by the first cell that is not empty of the columns `volume_id`, `series` (series instance
    UID) and `accession`. The column `liver_mask` may name the mask's file. Rows that repeat a case count once; of rows
    that contradict each other none counts.

    Raises:
        RefusedInputError: As `read_labels`.
    """
    return _read_studies(path, "segments")


def read_study_splits(path: Path) -> list[StudyLabel]:
    """Read a table as that of `read_study_labels` with splits, but without segments: these come from reports.

    Raises:
        RefusedInputError: As `read_splits`.
    """
    _require_no_segments(path)
    return _read_studies(path, "split")


def _read_studies(path: Path, column: str) -> list[StudyLabel]:
    """Read a table of series and studies with another column; duplicates merge or conflict."""
    found: dict[tuple[str, str], StudyLabel] = {}
    for row in _rows(path, [column], STUDY_KEYS):
        name = (row.key, row.volume_id)
        try:
            study = StudyLabel(*name, _parse(row, safe=True), liver_mask=row.liver_mask, place=row.place)
            before = found.setdefault(name, study)
            if sides := _find_conflict(before, study):
                raise CaseError("LABEL_CONFLICT", f"the label table says {sides}", "list")
            if before.label and not before.liver_mask:
                found[name] = study
        except CaseError as error:
            message = f"{row.place}: {error.message}"
            found[name] = StudyLabel(*name, None, CaseError(error.code, message, error.step), place=row.place)
    return list(found.values())


def _find_conflict(before: StudyLabel, here: StudyLabel) -> str:
    """Return how two rows of one case contradict each other, without a file's name; empty if they do not.

    A row that names no liver mask says nothing of it, one that makes no sense nothing at all.
    """
    if before.label not in (here.label, None):
        return f"{before.label} before and {here.label} here"
    masks = {before.liver_mask, here.liver_mask} - {""}
    return "one liver mask before and another here" if before.label and len(masks) > 1 else ""


def _require_no_segments(path: Path) -> None:
    """Refuse a table that would contradict the reports."""
    if "segments" in _table_names(_text(path)):
        raise RefusedInputError("label table: it has a column segments, but labels come from reports; give one of them")


def parse_segments(text: str) -> tuple[int, ...]:
    """Return the segments 1..8 that a cell names, ascending and each once; empty for an empty cell.

    A segment is a number 1..8, a Roman numeral I..VIII, or `4a`, `4b`, `IVa`, `IVb`, which are 4; `5-8` is all
    from 5 to 8. `6.0` is 6: spreadsheets and data frames write whole numbers so when a column has empty cells.

    Raises:
        CaseError: `SEGMENT_LABEL` if a token is none of these.

    Example:
        >>> parse_segments("IVa/4b; VIII|6.0"), parse_segments("V-VII")
        ((4, 6, 8), (5, 6, 7))
    """
    tokens = [token for token in re.split(r"[;,/|\s]+", _DASH.sub("-", text)) if token]
    return tuple(sorted({segment for token in tokens for segment in _segments(token)}))


def unsafe_id_error(volume_id: str) -> CaseError:
    """Return the error for an id that cannot be a file name; the id itself is not quoted."""
    rule = "1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit"
    return CaseError("UNSAFE_ID", f"the id of {len(volume_id)} characters is not {rule}", "list")


def _segments(token: str) -> range:
    """Return the segments that one token names: one, or those of a range."""
    ends = [_SEGMENTS.get(end.upper()) for end in token.split("-")]
    first, last = ends[0], ends[-1]
    if first is None or last is None or len(ends) > 2 or first > last:
        message = f"the label names segment {_quote(token)}, expected 1..8, or an empty cell for a healthy liver"
        raise CaseError("SEGMENT_LABEL", message, "list")
    return range(first, last + 1)


def _parse(row: _Row, safe: bool) -> VolumeLabel:
    """Return the label of a row, or raise the `CaseError` that sets its case aside."""
    if not safe:
        raise unsafe_id_error(row.volume_id)
    split = row.split.lower() or "train"
    if split not in SPLITS:
        raise CaseError("SPLIT_UNKNOWN", f"the split is {_quote(row.split)}, expected {', '.join(SPLITS)}", "list")
    return VolumeLabel(parse_segments(row.segments), split)


def _quote(text: str) -> str:
    """Quote what could be meant for a segment, and only count the characters of anything else."""
    return f"'{text}'" if _NOTATION.fullmatch(text) else f"a text of {len(text)} characters"


def _rows(path: Path, columns: Sequence[str], keys: Sequence[str]) -> Iterator[_Row]:
    """Give the rows of the table that are not blank."""
    text = _text(path)
    header = text.split("\n", 1)[0]
    delimiter = next((mark for mark in _DELIMITERS if _has_columns(_names(header, mark), columns, keys)), None)
    if delimiter is None:
        named = " and ".join([" or ".join(keys), *columns])
        raise RefusedInputError(f"label table: the first line must name the columns {named}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader)]
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield _row(names, fields, reader.line_num, keys)
    except csv.Error as error:
        raise RefusedInputError(f"label table, line {reader.line_num}: not a row of a text table") from error


def _has_columns(names: Sequence[str], columns: Sequence[str], keys: Sequence[str]) -> bool:
    """Tell whether a table names its cases and has the columns beside that."""
    return set(columns) <= set(names) and not set(keys).isdisjoint(names)


def _row(names: list[str], fields: list[str], line: int, keys: Sequence[str]) -> _Row:
    """Return one line as text without surrounding spaces."""
    if len(fields) != len(names):
        message = f"{len(fields)} cells under {len(names)} columns; put several segments in quotes or between |"
        raise RefusedInputError(f"label table, line {line}: {message}")
    cells = dict(zip(names, (field.strip() for field in fields), strict=True))
    key = next((key for key in keys if cells.get(key)), "")
    if not key:
        raise RefusedInputError(f"label table, line {line}: no {' or '.join(keys)}")
    place, name = f"line {line} of the label table", unguard(cells[key])
    return _Row(name, cells.get("segments", ""), cells.get("split", ""), key, cells.get("liver_mask", ""), place)


def _table_names(text: str) -> set[str]:
    """Return the column names of a table under every delimiter."""
    header = text.split("\n", 1)[0]
    return {name for mark in _DELIMITERS for name in _names(header, mark)}


def _names(header: str, delimiter: str) -> list[str]:
    """Return the column names of a header line under a delimiter."""
    return [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]


def _text(path: Path) -> str:
    """Read the table with line feeds only; bytes that are not UTF-8 become marks that no safe id contains."""
    try:
        with open_path(path) as stream:
            text = stream.read().decode(encoding_of(path), errors="replace")
    except OSError as error:
        raise RefusedInputError(f"label table {str(path)!r} cannot be read: {error.strerror}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
