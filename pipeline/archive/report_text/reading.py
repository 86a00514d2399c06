"""From the sentences of a report to what it says of tumors in the liver: places, each with a status."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.archive.report_text.attach import attach_organ, attach_place, is_in_liver, named_organs
from pipeline.archive.report_text.findings import Cue, Finding, find_cues, find_findings, mark_findings
from pipeline.archive.report_text.language import Language
from pipeline.archive.report_text.places import Place, find_places
from pipeline.archive.report_text.sentences import Sentence, split_sentences, to_lower
from pipeline.archive.report_text.status import Mention, bare_mention, group_findings, judge

_SIZE = re.compile(r"\d+(?:[.,]\d+)?(?:\s*(?:x|\u00d7|by)\s*\d+(?:[.,]\d+)?)*\s*-?\s*(?:mm|cm)(?!\w)")


def find_mentions(text: str, language: Language) -> list[Mention]:
    """Return what a report says of tumors in the liver, in the order of its sentences."""
    lower = to_lower(text)
    mentions: list[Mention] = []
    topic = ""
    for sentence in split_sentences(text, lower, language):
        if sentence.opens:
            topic = sentence.topic
        body = lower[sentence.start : sentence.end]
        if sentence.section == "ignored" or not any(trigger in body for trigger in language.triggers):
            topic = sentence.topic
            continue
        found, organ = _read_sentence(text, lower, sentence, topic, language)
        mentions += found
        topic = sentence.topic or organ or topic
    return mentions


def _read_sentence(
    text: str, lower: str, sentence: Sentence, topic: str, language: Language
) -> tuple[list[Mention], str]:
    """Return the mentions of one sentence, and the organ that it is about, empty if it names none."""
    start, end = sentence.start, sentence.end
    places = find_places(text, lower, start, end, language)
    cues = [cue for cue in find_cues(lower, start, end, language) if not _is_covered(cue, places)]
    organs = named_organs(cues, lower)
    findings = find_findings(lower, cues)
    sure = bool(findings)
    places = [place for place in places if is_in_liver(place, organs, sentence.topic, topic, sure)]
    if places and not findings:
        findings = [Finding(size.start(), size.end(), "size") for size in _SIZE.finditer(lower, start, end)][:1]
    mark_findings(lower, cues, findings, language)
    for place in places:
        attach_place(place, findings, places, cues, lower, language)
    for organ in organs:
        attach_organ(organ, findings, lower)
    mentions = [judge(group, sentence, cues, topic) for group in group_findings(findings, cues, lower)]
    if not findings:
        mentions += [bare_mention(place) for place in places]
    organ = "liver" if places else (organs[0].kind if organs else "")
    return [mention for mention in mentions if mention is not None], organ


def _is_covered(cue: Cue, places: Sequence[Place]) -> bool:
    """Tell whether a cue is part of a place, as the liver in `right hepatic lobe`; treatments and the liver stay."""
    return cue.kind not in ("liver", "treatment", "malignant", "generic") and any(
        place.start <= cue.start < place.end for place in places
    )
