"""Small pieces of HTML. Every text goes through `escape`: a case's message must never become markup."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def escape(value: Any) -> str:
    """Return a value as text that is safe in HTML, in attributes too."""
    return html.escape(str(value), quote=True)


def format_number(value: Any) -> str:
    """Return a value as a person reads it: three decimals, one from 10 on; a dash where it is not defined."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def make_table(caption: str, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table whose first column heads its rows; columns without text are aligned to the right.

    Args:
        caption: What the table shows.
        columns: Key in the rows to heading.
        rows: Values; what is missing or None becomes a dash.
    """
    kinds = {key: _column_class(row.get(key) for row in rows) for key in columns}
    head = "".join(f'<th scope="col"{kinds[key]}>{escape(title)}</th>' for key, title in columns.items())
    body = "\n".join(f"<tr>{_make_cells(row, kinds)}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0"><table>\n<caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _column_class(values: Iterable[Any]) -> str:
    """Return the class attribute of a column: numbers unless there is any text."""
    return "" if any(isinstance(value, str) and value for value in values) else ' class="number"'


def _make_cells(row: Mapping[str, Any], kinds: Mapping[str, str]) -> str:
    """Return the cells of a row; the first one is its heading."""
    texts = [(kind, escape(format_number(row.get(key)))) for key, kind in kinds.items()]
    first = f'<th scope="row"{texts[0][0]}>{texts[0][1]}</th>'
    return first + "".join(f"<td{kind}>{text}</td>" for kind, text in texts[1:])


def make_section(name: str, title: str, *parts: str) -> str:
    """Return a section with an anchor; parts are HTML, empty ones are left out."""
    body = "\n".join(part for part in parts if part)
    heading = f'<h2 id="{escape(name)}-title">{escape(title)}</h2>'
    return f'<section id="{escape(name)}" aria-labelledby="{escape(name)}-title">\n{heading}\n{body}\n</section>'


def make_note(text: str) -> str:
    """Return a paragraph of explanation."""
    return f'<p class="note">{escape(text)}</p>'


def make_details(summary: str, body: str) -> str:
    """Return HTML that stays folded until it is wanted."""
    return f"<details><summary>{escape(summary)}</summary>\n{body}\n</details>"


def make_cards(cards: Sequence[tuple[str, str, str]]) -> str:
    """Return headline figures; each is a name, a figure and what it was measured on."""
    items = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd><strong>{escape(figure)}</strong><span>{escape(basis)}</span></dd></div>"
        for name, figure, basis in cards
    )
    return f'<dl class="cards">\n{items}\n</dl>'


def make_figure(png: bytes, description: str, caption: str) -> str:
    """Return a picture inside the page, with its description for those who do not see it."""
    data = base64.b64encode(png).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(description)}">\n'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
