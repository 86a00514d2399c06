"""From the sentences of a report to what it says of tumors in the liver: places, each with a status."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from pipeline.archive.report_text.attach import attach_organ, attach_place, find_own, is_in_liver, named_organs
from pipeline.archive.report_text.findings import Finding, find_findings, mark_findings
from pipeline.archive.report_text.language import ORGANS, Language
from pipeline.archive.report_text.places import Place, find_places
from pipeline.archive.report_text.sentences import Sentence, split_sentences, to_lower
from pipeline.archive.report_text.status import Mention, bare_mention, group_findings, judge, limited_mention
from pipeline.archive.report_text.words import Cue, lexicon_of

_SIZE = re.compile(r"\d+(?:[.,]\d+)?(?:\s*(?:x|\u00d7|by)\s*\d+(?:[.,]\d+)?)*\s*-?\s*(?:mm|cm)(?!\w)")


def find_mentions(text: str, language: Language) -> list[Mention]:
    """Return what a report says of tumors in the liver, in the order of its sentences."""
    text = text.replace("\r", " ")
    lower = to_lower(text)
    lexicon = lexicon_of(language)
    mentions: list[Mention] = []
    triggers = _find_triggers(lower, language)
    if not triggers:
        return mentions
    topic = ""
    skipped: Sentence | None = None
    for sentence in split_sentences(text, lower, language):
        if sentence.section == "ignored":
            continue
        if sentence.opens:
            topic, skipped = sentence.topic, None
        if topic != "liver" and not _holds(triggers, sentence):
            skipped = sentence
            continue
        if skipped is not None and not sentence.topic:
            topic = _topic_of(skipped, lower, language) or topic
        skipped = None
        cues, rules = lexicon.find_cues(lower, sentence.start, sentence.end)
        places = find_places(text, lower, sentence.start, sentence.end, language, rules) if rules else []
        cues = [cue for cue in cues if not _is_covered(cue, places)]
        organs = named_organs(cues, lower, language)
        if places or topic == "liver" or _names_liver(organs, cues, lower, language):
            mentions += _read_sentence(lower, sentence, topic, language, cues, places, organs)
        topic = sentence.topic or (organs[0].kind if organs else "liver" if places else topic)
    return mentions


def _read_sentence(
    lower: str,
    sentence: Sentence,
    topic: str,
    language: Language,
    cues: Sequence[Cue],
    places: Sequence[Place],
    organs: Sequence[Cue],
) -> list[Mention]:
    """Return the mentions of one sentence."""
    findings = find_findings(lower, cues, language)
    sure = bool(findings)
    places = [place for place in places if is_in_liver(place, organs, lower, language, sentence.topic, topic, sure)]
    if not findings and any(place.rule == "numeral" for place in places):
        sizes = _SIZE.finditer(lower, sentence.start, sentence.end)
        findings = [Finding(size.start(), size.end(), "size") for size in sizes][:1]
    mark_findings(lower, cues, findings, language)
    limits = _limits(cues, organs, sentence, topic)
    for place in places:
        own = find_own(place, findings, cues, lower, language)
        if own is None:
            attach_place(place, findings, places, cues, lower, language)
        else:
            findings = sorted((*findings, own), key=lambda finding: finding.start)
    for organ in organs:
        attach_organ(organ, findings, lower)
    for finding in findings:
        if _is_of_liver(finding.start, finding.end, lower, language):
            finding.organs.add("liver")
    if not findings:
        return limits + [bare_mention(place) for place in places]
    mentions = (
        judge(group, sentence, cues, _topic_before(group[0], organs, "liver" if places else topic))
        for group in group_findings(findings, cues, lower, places, language)
    )
    return limits + [mention for mention in mentions if mention is not None]


def _limits(cues: Sequence[Cue], organs: Sequence[Cue], sentence: Sentence, topic: str) -> list[Mention]:
    """Return the doubt that a sentence casts on all that was not seen: `evaluation of the liver is limited`."""
    if not (any(organ.kind == "liver" for organ in organs) or (topic == "liver" and not organs)):
        return []
    cue = next((cue for cue in cues if cue.kind == "limited"), None)
    return [] if cue is None or sentence.section == "history" else [limited_mention(cue)]


def _find_triggers(lower: str, language: Language) -> list[int]:
    """Return where a report may name the liver or a place in it, in order: a search at little cost."""
    positions: list[int] = []
    for trigger in language.triggers:
        at = lower.find(trigger)
        while at >= 0:
            positions.append(at)
            at = lower.find(trigger, at + 1)
    for pattern in language.short_trigger_patterns:
        positions += [found.start() for found in pattern.finditer(lower)]
    positions.sort()
    return positions


def _holds(positions: Sequence[int], sentence: Sentence) -> bool:
    """Tell whether one of some ascending positions lies in a sentence."""
    index = bisect_left(positions, sentence.start)
    return index < len(positions) and positions[index] < sentence.end


def _topic_of(sentence: Sentence, lower: str, language: Language) -> str:
    """Return the organ that a sentence is about; empty if it names none."""
    organs = named_organs(lexicon_of(language).find_cues(lower, sentence.start, sentence.end)[0], lower, language)
    return organs[0].kind if organs else ""


def _names_liver(organs: Sequence[Cue], cues: Sequence[Cue], lower: str, language: Language) -> bool:
    """Tell whether a sentence names the liver, or a finding that only a liver has."""
    if any(organ.kind == "liver" for organ in organs):
        return True
    return any(cue.kind not in ORGANS and _is_of_liver(cue.start, cue.end, lower, language) for cue in cues)


def _is_of_liver(start: int, end: int, lower: str, language: Language) -> bool:
    """Tell whether a finding is one that only a liver has."""
    return any(stem in lower[start:end] for stem in language.liver_stems)


def _topic_before(finding: Finding, organs: Sequence[Cue], topic: str) -> str:
    """Return the last organ that a sentence names before a finding, else the organ that the text was about."""
    return next((organ.kind for organ in reversed(organs) if organ.start < finding.start), topic)


def _is_covered(cue: Cue, places: Sequence[Place]) -> bool:
    """Tell whether a cue is part of a place, as `lateral` in `left lateral section`; what tells of a tumor stays."""
    return cue.kind not in ("liver", "treatment", "malignant", "generic") and any(
        place.start <= cue.start < place.end for place in places
    )
