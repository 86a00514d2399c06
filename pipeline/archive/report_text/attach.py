"""Which place and organ belongs to which finding, and which places are in the liver at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pipeline.archive.report_text.findings import Finding
from pipeline.archive.report_text.language import ORGANS, Language
from pipeline.archive.report_text.places import Place
from pipeline.archive.report_text.words import Cue

_COMMA, _AND, _BOUNDARY, _WRONG_SIDE, _NEUTRAL = 3, 4, 20, 6, 3
"""Costs of what lies between a place and a finding, in words."""
_CANDIDATES = 4
"""Findings on each side of a place that are weighed."""
_NEAR = 3
"""Words between an organ and a place that may be its own."""
_NEEDS_LIVER = frozenset((1, 2, 3))
"""`S1` to `S3` are also sacral vertebrae."""


@lru_cache(maxsize=8)
def _patterns(language: Language) -> tuple[re.Pattern[str], ...]:
    """Return the patterns of a preposition before a place, of a fronted one, of `and`, and of what parts statements."""
    before = rf"(?<!\w)(?:{language.place_prepositions})\s+(?:the\s+)?(?:{language.place_details})?$"
    return (
        re.compile(rf"{before}|(?:{language.place_adjectives})\s+$|[(\[]\s*$"),
        re.compile(rf"(?:^|[,;:]|\b(?:{language.and_words})\b)\s*(?:{before})"),
        re.compile(rf"(?<!\w)(?:{language.and_words})(?!\w)"),
        re.compile(rf"(?<!\w)(?:{language.apart_words})(?!\w)"),
    )


def named_organs(cues: Sequence[Cue], lower: str, language: Language) -> list[Cue]:
    """Return the organs that a sentence is about: not those that a finding abuts, invades or comes from."""
    primary = language.primary_pattern
    organs: list[Cue] = []
    contact = -1
    for cue in cues:
        if cue.kind == "contact":
            contact = cue.end
        elif cue.kind in ORGANS and cue.kind != "liver" and primary.match(lower, cue.end):
            organs.append(cue._replace(kind="other_organ"))
        elif cue.kind == "liver" or (cue.kind in ORGANS and (contact < 0 or "," in lower[contact : cue.start])):
            organs.append(cue)
    return organs


def is_in_liver(
    place: Place, organs: Sequence[Cue], lower: str, language: Language, heading: str, topic: str, sure: bool
) -> bool:
    """Tell whether a place is one of the liver's.

    Args:
        place: The place.
        organs: `named_organs` of its sentence.
        lower: The report in lower case.
        language: Its language.
        heading: Organ of the heading above; empty if there is none.
        topic: Organ that the text was about just before.
        sure: Whether the sentence names a finding, or a segment that no other organ has.
    """
    liver = [organ for organ in organs if organ.kind == "liver"]
    others = [organ for organ in organs if organ.kind != "liver" and _claims(organ, place, lower, language)]
    if liver and others:
        return _distance(place, liver) <= _distance(place, others)
    if others:
        return heading == "liver" and place.coarseness == 0 and place.rule != "short"
    if liver or topic == "liver":
        return True
    if place.rule == "short" and organs:
        return False
    if place.rule == "short" and (not sure or set(place.segments) <= _NEEDS_LIVER):
        return False
    return not (heading or (place.rule == "region" and topic))


def _claims(organ: Cue, place: Place, lower: str, language: Language) -> bool:
    """Tell whether another organ is so near that a place could be one of its segments or lobes.

    The lung and the coronaries have numbered segments, so a comma does not part them from one; the others have not.
    """
    between = lower[place.end : organ.start] if place.end <= organ.start else lower[organ.end : place.start]
    if _patterns(language)[3].search(between):
        return False
    return organ.kind == "segmented_organ" or ("," not in between and len(between.split()) <= _NEAR)


def attach_place(
    place: Place,
    findings: Sequence[Finding],
    places: Sequence[Place],
    cues: Sequence[Cue],
    lower: str,
    language: Language,
) -> None:
    """Give a place to the finding that it most probably belongs to: the nearest, counted in words.

    Commas, `and` and boundary words between the two count more, and a place behind a preposition (`in segment 6`)
    prefers the finding on its left, any other (`segment 6 cyst`) the one on its right.
    """
    left = [finding for finding in findings if finding.end <= place.start]
    right = [finding for finding in findings if finding.start >= place.end]
    candidates = (*left[-_CANDIDATES:], *right[:_CANDIDATES]) or tuple(findings)
    if candidates:
        best = min(candidates, key=lambda finding: _cost(place, finding, places, cues, lower, language))
        best.places.append(place)


def find_own(
    place: Place, findings: Sequence[Finding], cues: Sequence[Cue], lower: str, language: Language
) -> Finding | None:
    """Return the finding of a place that a sentence denies or excepts by itself; None if it belongs to another.

    `metastasis in segment 7, not in segment 3` denies one in segment 3; `no metastasis apart from segment 6` names one.
    """
    before = [finding for finding in findings if finding.end <= place.start]
    behind = [finding for finding in findings if finding.start >= place.end]
    if not before or (behind and "," not in lower[place.end : behind[0].start]):
        return None
    cue = next((cue for cue in reversed(cues) if cue.end <= place.start), None)
    if cue is None or before[-1].end > cue.start or not language.into_pattern.fullmatch(lower, cue.end, place.start):
        return None
    if cue.kind == "negation_before":
        return Finding(place.start, place.start, "generic", negated=True, places=[place])
    if cue.kind == "boundary" and before[-1].negated:
        return Finding(place.start, place.start, "generic", places=[place])
    return None


def attach_organ(organ: Cue, findings: Sequence[Finding], lower: str) -> None:
    """Give an organ to the nearest finding; in a list of organs each goes to the same finding."""
    told = [finding for finding in findings if finding.kind != "neutral"]
    if told:
        near = min(told, key=lambda finding: _gap(organ.start, organ.end, finding, lower))
        near.organs.add(organ.kind)


def _distance(place: Place, organs: Sequence[Cue]) -> int:
    """Return the characters between a place and the nearest of some organs."""
    return min(max(organ.start - place.end, place.start - organ.end, 0) for organ in organs)


def _gap(start: int, end: int, finding: Finding, lower: str) -> int:
    """Return the words between a stretch and a finding; a comma counts as some more."""
    text = lower[end : finding.start] if end <= finding.start else lower[finding.end : start]
    return len(text.split()) + _COMMA * text.count(",")


def _cost(
    place: Place, finding: Finding, places: Sequence[Place], cues: Sequence[Cue], lower: str, language: Language
) -> int:
    """Return how improbable it is that a place belongs to a finding."""
    preposition, fronted, conjunction, _ = _patterns(language)
    right = finding.start >= place.end
    low, high = (place.end, finding.start) if right else (finding.end, place.start)
    between = without_places(lower, low, high, places)
    cost = _NEUTRAL * (finding.kind == "neutral")
    before = lower[max(0, place.start - 40) : place.start]
    leans_left = preposition.search(before) is not None and fronted.search(before) is None
    if not between.strip():
        verb = right and language.treated_pattern.match(lower, finding.start) is not None
        return cost + _WRONG_SIDE * (leans_left and verb)
    cost += len(between.split()) + _COMMA * between.count(",") + _AND * len(conjunction.findall(between))
    cost += _BOUNDARY * sum(cue.kind == "boundary" and low <= cue.start < high for cue in cues)
    return cost + _WRONG_SIDE * (leans_left == right)


def without_places(lower: str, low: int, high: int, places: Sequence[Place]) -> str:
    """Return a stretch of text without the places in it, so that a long list of places is no distance."""
    parts, at = [], low
    for place in places:
        if low <= place.start < high:
            parts.append(lower[at : place.start])
            at = place.end
    return "".join((*parts, lower[at:high])) if at <= high else ""
