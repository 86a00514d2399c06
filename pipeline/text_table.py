"""Tables and lists of plain text for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def align(header: Sequence[str], rows: Sequence[Sequence[Any]], first_width: int = 0) -> str:
    """Align columns, the first to the left, the others to the right; undefined values are a dash.

    Args:
        header: Names of the columns.
        rows: Values; a float has three decimals.
        first_width: Smallest width of the first column.
    """
    cells = [list(header)] + [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    widths[0] = max(widths[0], first_width)
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in cells
    )


def name_some(names: Sequence[str], most: int = 5) -> str:
    """Join names, the first few of many.

    Args:
        names: The names.
        most: How many are written out.

    Example:
        >>> name_some(["a", "b"], 2), name_some(["a", "b", "c", "d"], 2)
        ('a, b', 'a, b and 2 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def join_counts(counts: Mapping[str, int]) -> str:
    """Join counts in the order of what is counted.

    Example:
        >>> join_counts({"LIVER_HU": 1, "LABEL_MISSING": 2})
        '2 LABEL_MISSING, 1 LIVER_HU'
    """
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def _cell(value: Any) -> str:
    """Return one cell's text."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
