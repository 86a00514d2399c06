"""Cutting a report into sentences, each with the section and the organ that its headings put it under."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.archive.report_text.language import ORGANS, Language

_BREAK = re.compile(
    r"(?P<stop>\.+(?=\s|$)|(?<=\w)[!?]+(?=\s|$)|;)"
    r"|(?P<paragraph>\n[^\S\n]*\n\s*)"
    r"|\n(?=\s*(?:\d{1,2}[.)]\s|[-*\u2022]\s|[A-Z][A-Za-z /,&()-]{1,40}:|[A-Z][A-Z /&]{3,40}\n))"
)
_HEADING = re.compile(r"\s*(?:\d{1,2}[.)]\s*|[-*\u2022]\s*)?(?:([A-Za-z][A-Za-z /,&()-]{1,40}?)\s*:|([A-Z][A-Z /&]{3,40})\n)")
_LAST_WORD = re.compile(r"([A-Za-z](?:[A-Za-z.]*[A-Za-z])?|(?:^|\n)\s*\d{1,2})$")
_LONGEST_WORD = 12


class Sentence(NamedTuple):
    """One sentence of a report.

    Args:
        start: Offset of its first character, behind its headings.
        end: Offset behind its last character.
        section: `findings`, `history` or `ignored`.
        topic: Organ of the heading that it stands under, one of `ORGANS`; empty if there is none.
        opens: Whether it begins a paragraph or stands right behind a heading.
    """

    start: int
    end: int
    section: str
    topic: str
    opens: bool


def to_lower(text: str) -> str:
    """Return the text in lower case with every character at its place: a few capitals become two characters."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(character.lower() if len(character.lower()) == 1 else character for character in text)


def split_sentences(text: str, lower: str, language: Language) -> Iterator[Sentence]:
    """Give the sentences of a report in order; none for an empty one.

    A full stop ends a sentence unless an abbreviation or the number of a list entry stands before it, or the next
    sentence goes on about the same finding ("This is consistent with a cyst").

    Args:
        text: The report.
        lower: `to_lower(text)`.
        language: Its language.
    """
    section, topic = "findings", ""
    for start, end, paragraph in _spans(text, lower, language):
        if paragraph:
            topic = ""
        body = start
        while (heading := _HEADING.match(text, body, end)) is not None:
            name = " ".join((heading[1] or heading[2]).lower().split())
            if name in language.sections:
                section, topic = language.sections[name], ""
            elif (organ := _organ(name, language)) is not None:
                section, topic = "findings", organ
            else:
                break
            body = heading.end()
        if body < end:
            yield Sentence(body, end, section, topic, paragraph or body > start)


def _spans(text: str, lower: str, language: Language) -> Iterator[tuple[int, int, bool]]:
    """Give start, end and "begins a paragraph" of every stretch between two sentence breaks."""
    continues = re.compile(rf"\s*(?:{language.continuations})")
    start, paragraph = 0, True
    for found in _BREAK.finditer(text):
        if found["stop"] and (_is_inside(text, lower, start, found.start(), language) or continues.match(lower, found.end())):
            continue
        if found.start() > start:
            yield start, found.start(), paragraph
            paragraph = False
        start = found.end()
        paragraph = paragraph or bool(found["paragraph"])
    if start < len(text):
        yield start, len(text), paragraph


def _is_inside(text: str, lower: str, start: int, stop: int, language: Language) -> bool:
    """Tell whether a full stop belongs to an abbreviation or to the number of a list entry."""
    if not text.startswith(".", stop):
        return False
    begin = max(start, stop - _LONGEST_WORD)
    word = _LAST_WORD.search(lower[begin:stop])
    if word is None:
        return False
    return word[1] in language.abbreviations or (word[1].strip().isdigit() and not lower[start : begin + word.start()].strip())


def _organ(name: str, language: Language) -> str | None:
    """Return the organ that a heading names, the liver before others; None if it names none."""
    kinds = {found.lastgroup for found in language.cue_pattern.finditer(name)}
    return next((organ for organ in ORGANS if organ in kinds), None)
