"""Tables of plain text for the console."""

from __future__ import annotations

from collections.abc import Sequence
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


def _cell(value: Any) -> str:
    """Return one cell's text."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
