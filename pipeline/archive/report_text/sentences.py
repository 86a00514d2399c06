"""Cutting a report into sentences, each with the section and the organ that its headings put it under."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from pipeline.archive.report_text.language import ORGANS, Language
from pipeline.archive.report_text.words import lexicon_of

_MARK = re.compile(r"[.!?]+(?=\s|$)|;|\n\s*")
_ENTRY = re.compile(r"\s*(?:\d{1,2}[.)]\s|[-*\u2022]\s|[A-Z][A-Za-z /,&()-]{1,40}:|[A-Z][A-Z /&]{3,40}\s*\n)")
"""What begins a line that goes on with nothing before it: a number, a bullet, a heading."""
_HEADING = re.compile(
    r"\s*(?:\d{1,2}[.)]\s*|[-*\u2022]\s*)?(?:([A-Za-z][A-Za-z /,&()-]{1,40}?)\s*:|([A-Z][A-Z /&]{3,40}?)\s*(?:\n|$))"
)
_ENTRY_NUMBER_LENGTH = 4
_LONGEST_ABBREVIATION = 8
_LONGEST_SENTENCE = 1000
_LONGEST_HEADING = 56


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
    for start, end, opens in _spans(text, lower, language):
        if opens:
            topic = ""
        body = start
        while (heading := _find_heading(text, body, end)) is not None:
            name = " ".join((heading[1] or heading[2]).lower().split())
            if name in language.sections:
                section, topic = language.sections[name], ""
            elif (heading[1] or " " not in name) and (organ := _organ(name, language)):
                section, topic = "findings", organ
            else:
                break
            body = heading.end()
        if body < end and not text[body:end].isspace():
            yield Sentence(body, end, section, topic, opens or body > start)


def _spans(text: str, lower: str, language: Language) -> Iterator[tuple[int, int, bool]]:
    """Give start, end and "begins a paragraph" of every stretch between two sentence breaks."""
    start, opens = 0, True
    for mark in _MARK.finditer(text):
        stop, end = mark.span()
        if not _ends_sentence(text, lower, start, mark, language):
            continue
        if stop - start > _LONGEST_SENTENCE:
            yield from _pieces(text, start, stop, opens)
        elif stop > start:
            yield start, stop, opens
        opens = opens and stop <= start
        opens = opens or "\n" in mark[0][1:]
        start = end
    if start < len(text):
        yield from _pieces(text, start, len(text), opens)


def _pieces(text: str, start: int, end: int, opens: bool) -> Iterator[tuple[int, int, bool]]:
    """Give an endless sentence in pieces that can be read in bounded time, cut between words."""
    while end - start > _LONGEST_SENTENCE:
        cut = text.rfind(" ", start, start + _LONGEST_SENTENCE)
        cut = cut if cut > start else start + _LONGEST_SENTENCE
        yield start, cut, opens
        start, opens = cut, False
    yield start, end, opens


def _ends_sentence(text: str, lower: str, start: int, mark: re.Match[str], language: Language) -> bool:
    """Tell whether punctuation or line feeds end the sentence that began at `start`."""
    stop, end = mark.span()
    first = text[stop]
    if first == "\n":
        return mark[0].count("\n") > 1 or _ENTRY.match(text, end) is not None
    if first == ";":
        return True
    if first == "." and _is_inside(lower, start, stop, language):
        return False
    if first == "?" and not (stop and text[stop - 1].isalnum()):
        return False
    return language.continuation_pattern.match(lower, end) is None


def _is_inside(lower: str, start: int, stop: int, language: Language) -> bool:
    """Tell whether a full stop belongs to an abbreviation or to the number of a list entry."""
    word = lower[max(lower.rfind(" ", start, stop) + 1, start) : stop]
    if len(word) > _LONGEST_ABBREVIATION:
        return False
    if stop - start <= _ENTRY_NUMBER_LENGTH and word.strip().isdigit():
        return True
    word = word.strip("\n([-")
    is_number = word == language.number_sign and lower[stop + 1 : stop + 3].strip().isdigit()
    return is_number or word in language.abbreviations


def _find_heading(text: str, start: int, end: int) -> re.Match[str] | None:
    """Return the heading that a stretch begins with; None if there is none."""
    limit = min(end, start + _LONGEST_HEADING)
    if text.find(":", start, limit) < 0 and not text[start:limit].lstrip()[:4].isupper():
        return None
    return _HEADING.match(text, start, end)


@lru_cache(maxsize=4096)
def _organ(name: str, language: Language) -> str:
    """Return the organ that a heading names, the liver before others; empty if it names none."""
    kinds = {cue.kind for cue in lexicon_of(language).find_cues(name, 0, len(name))[0]}
    return next((organ for organ in ORGANS if organ in kinds), "")
