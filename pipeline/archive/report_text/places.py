"""Where in the liver: numerals, lists and ranges of Couinaud segments, and sections and lobes by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from pipeline.archive.report_text.language import Language
from pipeline.archive.report_text.words import is_misspelled
from pipeline.arrays import SEGMENT_COUNT

_ROMAN = {numeral: number for number, numeral in enumerate(("i", "ii", "iii", "iv", "v", "vi", "vii", "viii"), start=1)}
_MEASURE = r"(?!\.\d|\s*(?:,\d+\s*)?-?\s*(?:mm|cm|x|\u00d7|ml|cc|hu|%|/\d{3,})(?!\w))"
"""What follows a number that is a size, not a segment."""
_LARGEST_WRITTEN = 99
_LONGEST_WORD = 12
_RULES = ("numeral", "leading", "damaged", "short", "bare")
"""Patterns with numerals, the surest first."""
PLACE_RULES = frozenset((*_RULES, "region"))
"""All kinds of places."""


class Place(NamedTuple):
    """One place that a sentence names.

    Args:
        start: Offset of its first character.
        end: Offset behind its last character.
        segments: Segments 1..8; empty if it names only impossible ones.
        coarseness: 0 segments, 1 a section, 2 a lobe, 3 more than a lobe.
        rule: What was recognized: `numeral`, `region`, `damaged`, `short` or `bare`.
        sound: False if a numeral is impossible or had to be guessed.
    """

    start: int
    end: int
    segments: tuple[int, ...]
    coarseness: int
    rule: str
    sound: bool = True


class _Patterns(NamedTuple):
    """The compiled grammar of a language."""

    numeral: re.Pattern[str]
    damaged: re.Pattern[str]
    short: re.Pattern[str]
    leading: re.Pattern[str]
    bare: re.Pattern[str]
    item: re.Pattern[str]
    separator: re.Pattern[str]
    damaged_item: re.Pattern[str]
    staging: re.Pattern[str]
    noun: re.Pattern[str]
    spared: re.Pattern[str]


@lru_cache(maxsize=8)
def _compile(language: Language) -> _Patterns:
    words = "|".join((*language.number_words, *language.ordinal_words))
    ordinals = "|".join(language.ordinal_words)
    arabic = rf"\d{{1,3}}(?:\s?[a-d](?!\w)|(?!\w)){_MEASURE}"
    roman = r"[ivx]{1,5}(?:-?[ab])?(?!\w|\.\d)"
    item = rf"(?:(?P<arabic>{arabic})|(?P<roman>{roman})|(?P<word>(?:{words})(?!\w))|(?P<letter>[ab](?!\w)))"
    between = r"(?P<size>\s*[,(\[]?\s*\d[\d.,x\u00d7 ]*-?\s*(?:mm|cm)(?!\w)\s*[)\]]?)?"
    between += rf"\s*(?:(?P<range>[-\u2013\u2014]|(?<=\s)(?:{language.range_words})(?=\s))|"
    between += rf"(?P<comma>,)?\s*(?P<slash>[/&+])?(?P<and>(?<=[\s,])(?:{language.and_words})(?=\s))?)\s*"
    number = rf"(?:{ordinals}|{roman}|[1-8](?=\s*/\s*[1-8]|(?<=/.)))"
    return _Patterns(
        numeral=re.compile(
            rf"(?<!\w)(?:{language.segment_word})(?P<gap>\s*[-#:(]?\s*|s?\s+(?:number|no\.?|nr\.?)\s*)(?=[\divxoteafs])"
        ),
        damaged=re.compile(rf"(?<!\w)(?P<word>{language.segment_noun[0]}[a-z]{{4,9}})\.?\s+(?=[\divx])"),
        short=re.compile(r"(?<![\w'])s-?(?=[1-8][ab]?(?![\w.]))"),
        leading=re.compile(
            rf"(?<!\w)(?P<list>{number}(?:\s*(?:[,/&-]|(?:{language.and_words})(?=\s))\s*{number})*)\.?\s+"
            rf"(?:(?:hepatic|liver)\s+)?(?:{language.segment_word})(?!\w)"
        ),
        bare=re.compile(
            rf"(?<!\w){language.bare_numeral_findings}:?\s+(?:in\s+)?(?=(?:[ivx]{{2,5}}(?!\w)|[ivx]+\s?[/,&]\s?[ivx]+(?!\w)))"
            r"|(?<!\w)(?=(?:4|iv)[ab](?!\w))"
        ),
        item=re.compile(item),
        separator=re.compile(
            rf"{between}(?:(?:{language.part_words})\s+)?(?P<again>(?:(?:the\s+)?(?:{language.segment_word})\s*-?|s(?=\d))\s*)?"
        ),
        damaged_item=re.compile(
            r"[ivl1|]+(?:\s(?=[ivl1|]+(?!\w))[ivl1|]+)+(?!\w)|(?=[ivl1|]*[l|1])(?=[1|]*[ivl])[ivl1|]+(?!\w)"
        ),
        staging=re.compile(rf"(?:{language.staging_words})\s*$"),
        noun=re.compile(r"\s+(?!(?:and|or|of|with|in|is|are|has|have|as|to|on|at)(?!\w))[a-z]"),
        spared=re.compile(rf"\s+(?:{language.spared_words})(?!\w)"),
    )


def find_places(
    text: str, lower: str, start: int, end: int, language: Language, rules: frozenset[str] = PLACE_RULES
) -> list[Place]:
    """Return the places that a stretch of a report names, in order and without overlap.

    `S6` without the word segment is called `short`, and `lesion VI/VII` `bare`: they need more around them to count.

    Args:
        text: The report.
        lower: The report in lower case, every character at its place.
        start: Where the stretch begins.
        end: Where it ends.
        language: Its language.
        rules: Kinds of places to look for.
    """
    places = list(_numerals(text, lower, start, end, language, rules))
    if "region" not in rules:
        return sorted(places)
    taken = [(place.start, place.end) for place in places]
    for found in language.region_pattern.finditer(lower, start, end):
        if all(found.end() <= low or found.start() >= high for low, high in taken):
            region = language.regions[int(str(found.lastgroup)[1:])]
            places.append(Place(found.start(), found.end(), region.segments, region.coarseness, "region"))
    return sorted(places)


def _numerals(
    text: str, lower: str, start: int, end: int, language: Language, rules: frozenset[str]
) -> Iterator[Place]:
    """Give the places with numerals; what one pattern has taken, no later one reads again."""
    grammar = _compile(language)
    taken: list[Place] = []
    for rule in _RULES:
        if rule not in rules and not (rule == "leading" and "numeral" in rules):
            continue
        for found in getattr(grammar, rule).finditer(lower, start, end):
            if any(other.start <= found.start() < other.end for other in taken):
                continue
            place = _read(rule, text, lower, found, end, grammar, language)
            if place is not None and all(place.end <= other.start or place.start >= other.end for other in taken):
                taken.append(place)
                yield place


def _read(
    rule: str, text: str, lower: str, found: re.Match[str], end: int, grammar: _Patterns, language: Language
) -> Place | None:
    """Read what one pattern found; None if it is no place after all."""
    if rule == "leading":
        return _leading(lower, found, grammar, language)
    if rule == "bare" and not _is_numeral(text, lower, found, grammar):
        return None
    if rule == "damaged" and not is_misspelled(found["word"], language.segment_noun):
        return None
    repaired = _damaged(text, lower, found, end, grammar) if rule == "numeral" else None
    return repaired or _list(lower, found, end, grammar, language, rule)


def _is_numeral(text: str, lower: str, found: re.Match[str], grammar: _Patterns) -> bool:
    """Tell whether what follows a finding is a numeral: capitals, and no stage, figure or type."""
    here = text[found.end() : found.end() + 2]
    return not grammar.staging.search(lower[max(0, found.start() - _LONGEST_WORD) : found.start()]) and (
        here.isupper() or here[:1].isdigit() or here == "IV"
    )


def _list(lower: str, head: re.Match[str], end: int, grammar: _Patterns, language: Language, rule: str) -> Place | None:
    """Read the numerals behind a segment word; None if there is none."""
    item = grammar.item.match(lower, head.end(), end)
    if item is None or item.lastgroup == "letter":
        return None
    numbers, last, plural = [_value(item, language, 0)], item, head[0].rstrip(" -#:(").endswith("s")
    while (link := grammar.separator.match(lower, last.end(), end)) is not None and link.end() > last.end():
        item = grammar.item.match(lower, link.end(), end)
        if item is None or not _continues(lower, link, item, last, plural and not link["size"], grammar):
            break
        value = _value(item, language, numbers[-1])
        if link["range"] and not link["again"] and max(value, numbers[-1]) <= SEGMENT_COUNT:
            numbers += range(min(value, numbers[-1]), max(value, numbers[-1]))
        numbers.append(value)
        last = item
    return _place(head.start(), last.end(), numbers, rule)


def _continues(
    lower: str, link: re.Match[str], item: re.Match[str], last: re.Match[str], plural: bool, grammar: _Patterns
) -> bool:
    """Tell whether a number behind a separator belongs to the list, and is no count or size that follows it."""
    if not (link["range"] or link["slash"] or link["comma"] or link["and"]):
        return False
    if link["again"] or link["slash"]:
        return grammar.spared.match(lower, item.end()) is None
    if item.lastgroup == "letter":
        return bool(link["and"]) and grammar.noun.match(lower, item.end()) is None
    if item.lastgroup != last.lastgroup:
        return bool(link["and"]) and plural
    return plural or bool(link["range"]) or item.lastgroup == "roman" or grammar.noun.match(lower, item.end()) is None


def _leading(lower: str, found: re.Match[str], grammar: _Patterns, language: Language) -> Place:
    """Read numerals before the segment word: `VI/VII segments`, `fifth and sixth segments`."""
    listed = found.end("list")
    numbers = [_value(item, language, 0) for item in grammar.item.finditer(lower, found.start("list"), listed)]
    return _place(found.start(), found.end(), numbers, "numeral")


def _damaged(text: str, lower: str, head: re.Match[str], end: int, grammar: _Patterns) -> Place | None:
    """Read a Roman numeral that a scanner broke (`V I`, `Vl`) by its most probable repair; it stays doubtful."""
    item = grammar.damaged_item.match(lower, head.end(), end)
    if item is None or not any(character in "IV" for character in text[item.start() : item.end()]):
        return None
    repaired = re.sub(r"\s", "", item[0]).translate(str.maketrans("l1|", "iii"))
    number = _ROMAN.get(repaired, _LARGEST_WRITTEN)
    return _place(head.start(), item.end(), [number], "damaged")


def _value(item: re.Match[str], language: Language, before: int) -> int:
    """Return the number that one item names, perhaps an impossible one; a lone letter repeats the number before it."""
    if item["arabic"]:
        return int(re.match(r"\d+", item["arabic"])[0])  # type: ignore[index]
    if item["roman"]:
        return _ROMAN.get(item["roman"].rstrip("ab").rstrip("-"), _LARGEST_WRITTEN)
    if item["word"]:
        return {**language.ordinal_words, **language.number_words}[item["word"]]
    return before


def _place(start: int, end: int, numbers: list[int], rule: str) -> Place:
    """Return the place of some numbers, unsound if one of them is no segment."""
    segments = tuple(sorted({number for number in numbers if 1 <= number <= SEGMENT_COUNT}))
    return Place(
        start, end, segments, 0, rule, rule != "damaged" and all(1 <= number <= SEGMENT_COUNT for number in numbers)
    )
