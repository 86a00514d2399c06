"""Reading tables that people and programs write: rows of text from CSV, JSONL or Parquet, a few at a time.

Nothing of a cell is ever quoted: a table of reports is full of patients. What cannot be read is named by its line.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.archive.steady_file import open_path
from pipeline.errors import RefusedInputError

_DELIMITERS = (",", ";", "\t", "|")
_PARQUET_ROWS = 1024
_HEADER_BYTES = 65_536

TextRow = dict[str, str]
"""Column name in lower case to cell without surrounding spaces; a missing cell is empty."""


def read_rows(path: Path, what: str) -> Iterator[TextRow]:
    """Give the rows of a table in order, streaming.

    The format follows the ending: `.jsonl` and `.ndjson` hold one JSON object per line, `.parquet` is Parquet, all else
    is delimited text with a header, separated by commas, semicolons, tabs or bars. Text is UTF-8, or UTF-16 with a byte
    order mark; bytes that are neither become replacement marks. Blank rows are left out.

    Args:
        path: The table.
        what: The table in words, for messages: `report table`.

    Raises:
        RefusedInputError: If it cannot be read, with the line and no cell of it.
    """
    suffix = path.suffix.lower()
    reader = {".jsonl": _json_rows, ".ndjson": _json_rows, ".parquet": _parquet_rows}.get(suffix, _delimited_rows)
    try:
        yield from reader(path, what)
    except OSError as error:
        raise RefusedInputError(f"{what} {str(path)!r} cannot be read: {error.strerror}") from None


def encoding_of(path: Path) -> str:
    """Return the encoding that a file's byte order mark names, else UTF-8."""
    with open_path(path) as stream:
        start = stream.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _open_text(path: Path, newline: str | None = None) -> io.TextIOWrapper:
    """Open a table as text."""
    return io.TextIOWrapper(open_path(path), encoding_of(path), errors="replace", newline=newline)


def _delimited_rows(path: Path, what: str) -> Iterator[TextRow]:
    """Give the rows of delimited text; quoted cells may hold line feeds."""
    with _open_text(path, newline="") as stream:
        header = stream.readline(_HEADER_BYTES)
        delimiter = max(_DELIMITERS, key=header.count)
        names = [name.strip().lower() for name in next(csv.reader([header.rstrip("\r\n")], delimiter=delimiter), [])]
        reader = csv.reader(stream, delimiter=delimiter)
        try:
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(names):
                    message = f"{len(cells)} cells under {len(names)} columns"
                    raise RefusedInputError(f"{what}, line {reader.line_num + 1}: {message}")
                yield dict(zip(names, (cell.strip() for cell in cells), strict=True))
        except csv.Error:
            raise RefusedInputError(f"{what}, line {reader.line_num + 1}: not a row of a text table") from None


def _json_rows(path: Path, what: str) -> Iterator[TextRow]:
    """Give the objects of a file with one JSON object per line."""
    with _open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                raise RefusedInputError(f"{what}, line {number}: not a JSON object")
            yield {str(name).strip().lower(): _to_text(cell) for name, cell in value.items()}


def _parquet_rows(path: Path, what: str) -> Iterator[TextRow]:
    """Give the rows of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_path(path) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(batch_size=_PARQUET_ROWS):
                for row in batch.to_pylist():
                    yield {str(name).strip().lower(): _to_text(cell) for name, cell in row.items()}
    except pa.ArrowException:
        raise RefusedInputError(f"{what}: not a readable Parquet file") from None


def _to_text(cell: Any) -> str:
    """Return a cell as text; lists as their items with semicolons between."""
    if cell is None:
        return ""
    if isinstance(cell, list):
        return ";".join(_to_text(item) for item in cell)
    return str(cell).strip()
