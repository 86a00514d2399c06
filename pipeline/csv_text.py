"""Writing CSV that is harmless, and its way back: a spreadsheet runs cells that look like formulas, and ids come from
strangers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def format_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows as CSV with a header line.

    None is an empty cell, a truth value 1 or 0, a float has six significant digits. Text that a spreadsheet would take
    for a formula, with or without leading apostrophes, gets one more, and a carriage return in it becomes a blank.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(row[column]) for column in columns] for row in rows)
    return text.getvalue()


def unguard(text: str) -> str:
    """Return a cell as it was before `format_csv` put an apostrophe before it.

    Example:
        >>> unguard("'-4711"), unguard("-4711"), unguard("'s")
        ('-4711', '-4711', "'s")
    """
    return text[1:] if text.startswith("'") and _needs_guard(text) else text


def _needs_guard(text: str) -> bool:
    """Tell whether text is a formula, perhaps behind apostrophes."""
    return text.lstrip("'").startswith(_FORMULA_STARTS)


def _csv_cell(value: Any) -> str:
    """Return one cell's text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if not isinstance(value, str):
        return str(value)
    text = value.replace("\r", " ")  # the csv module does not quote it
    return f"'{text}" if _needs_guard(value) else text
