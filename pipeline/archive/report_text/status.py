"""The verdict on a finding: present, absent, uncertain, historical, benign, or none of a tumor's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pipeline.archive.report_text.attach import without_places
from pipeline.archive.report_text.findings import Finding
from pipeline.archive.report_text.language import Language
from pipeline.archive.report_text.places import Place
from pipeline.archive.report_text.sentences import Sentence
from pipeline.archive.report_text.words import Cue

Status = Literal["present", "uncertain", "historical", "benign", "absent", "none"]
STATUSES: tuple[Status, ...] = ("present", "uncertain", "historical", "benign", "absent", "none")
"""The strongest first. `none` is a place of which no tumor is told: a dilated duct, a segment that does not exist."""
_DIFFERENT: tuple[set[str], ...] = ({"generic", "benign"}, {"generic", "background"})
"""Kinds of which one says that there is a lesion, and the other that it is no tumor."""
LIMITED = "liver+limited"
"""Rule of a mention that casts doubt on a healthy liver only."""
_EXACT = (0, 3)
"""Coarseness of places that another sentence does not narrow down: segments, and more than one lobe."""


@dataclass(frozen=True)
class Mention:
    """What one sentence says of one finding in the liver.

    Args:
        status: What became of the tumor.
        segments: Segments 1..8, ascending; empty if the sentence names no place within the liver.
        start: Offset of the evidence in the report. The evidence itself is never kept.
        end: Offset behind the evidence.
        rule: Place rule and status rule, such as `numeral+negated`.
        exact: False for one tumor in a section or lobe, which another mention may narrow down to a segment.
        sound: False if a numeral is impossible or had to be guessed.
    """

    status: Status
    segments: tuple[int, ...]
    start: int
    end: int
    rule: str
    exact: bool = True
    sound: bool = True


def group_findings(
    findings: Sequence[Finding], cues: Sequence[Cue], lower: str, places: Sequence[Place], language: Language
) -> list[list[Finding]]:
    """Bring together findings that are names of one thing.

    `lesion in segment 6 consistent with a cyst`, `cyst versus metastasis in segment 4` and `lesion, resected in 2015`
    are one finding each; `tumor at the ablation site in segment 5` are two that share a place.
    """
    groups: list[list[Finding]] = []
    for finding in findings:
        if groups and _is_same(groups[-1], finding, cues, lower, places, language):
            groups[-1].append(finding)
        else:
            groups.append([finding])
    _share_treated_places(groups)
    return groups


def judge(group: Sequence[Finding], sentence: Sentence, cues: Sequence[Cue], topic: str) -> Mention | None:
    """Return the mention of a group, or None if it is not about the liver."""
    places = [place for finding in group for place in finding.places]
    if not places and not _is_about_liver(group, topic):
        return None
    narrowed = narrow(places, keep=any(cue.kind == "example" for cue in cues))
    segments = tuple(sorted({segment for place in narrowed for segment in place.segments}))
    status, rule = _status(group, sentence)
    sound = all(place.sound for place in places)
    if places and not sound and status == "present":
        status, rule = ("uncertain", "damaged") if segments else ("none", "impossible")
    if not places and status == "none":
        return None
    where = narrowed[0].rule if narrowed else "liver"
    spans = [(finding.start, finding.end) for finding in group] + [(place.start, place.end) for place in places]
    start, end = min(start for start, _ in spans), max(end for _, end in spans)
    exact = all(place.coarseness in _EXACT for place in narrowed) or group[0].many
    return Mention(status, segments, start, end, f"{where}+{rule}", exact, sound)


def bare_mention(place: Place) -> Mention:
    """Return the mention of a place of which the sentence says nothing that is understood."""
    status: Status = "uncertain" if place.segments and not place.sound else "none"
    return Mention(status, place.segments, place.start, place.end, f"{place.rule}+no_finding", True, place.sound)


def limited_mention(cue: Cue) -> Mention:
    """Return the mention of a sentence that says that the liver could not be seen well; its rule is `LIMITED`."""
    return Mention("uncertain", (), cue.start, cue.end, LIMITED)


def narrow(places: Sequence[Place], *, keep: bool) -> list[Place]:
    """Leave out a lobe or section that a closer name in it replaces: `right lobe, segment 6` is segment 6.

    Args:
        places: Places of one finding.
        keep: Keep lobes: the closer name is an example (`metastases in the right lobe, the largest in segment 6`).
    """
    if keep:
        return list(places)
    return [place for place in places if not any(_is_closer(other, place) for other in places)]


def _is_closer(other: Place, place: Place) -> bool:
    """Tell whether another place names a part of this one."""
    return other.coarseness < place.coarseness < 3 and not set(other.segments).isdisjoint(place.segments)


def _is_same(
    group: Sequence[Finding],
    finding: Finding,
    cues: Sequence[Cue],
    lower: str,
    places: Sequence[Place],
    language: Language,
) -> bool:
    """Tell whether a finding goes on about the group before it."""
    last = group[-1]
    kinds = {cue.kind for cue in cues if last.end <= cue.start < finding.start}
    if finding.doubted and finding.is_tumor and not finding.places and not finding.organs and last.kind == "benign":
        return True
    if "boundary" in kinds or "neutral" in (last.kind, finding.kind) or "normal" in (last.kind, finding.kind):
        return False
    placed = any(member.places for member in group)
    if finding.organs - {"liver"} and not finding.places:
        return False
    if "versus" in kinds and not (placed and finding.places) and not (last.negated and finding.negated):
        finding.unsettled = finding.unsettled or {last.kind, finding.kind} in _DIFFERENT
        return True
    between = without_places(lower, last.end, finding.start, places)
    if last.kind == "treatment" and _is_reason(last, finding, lower, places, language):
        return True
    if finding.places or finding.negated or last.negated:
        return False
    if finding.kind == "doubtful":
        return True
    if finding.kind == "treatment":
        return placed and ("link" in kinds or language.apposition_breaks.isdisjoint(between.split()))
    if last.kind == "treatment":
        return not between.strip()
    named = _is_linked(last, finding, cues, lower, language) or _is_apposition(last, finding, lower, between, language)
    finding.unsettled = finding.unsettled or (named and "partitive" in kinds)
    return named


def _is_reason(treatment: Finding, finding: Finding, lower: str, places: Sequence[Place], language: Language) -> bool:
    """Tell whether a finding is what was treated: `resection of a tumor`, not `resection of segment 2, a tumor`."""
    between = lower[treatment.end : finding.start]
    first = between.split()[:1]
    if language.reason_words.isdisjoint(first):
        return False
    behind = treatment.end + between.index(first[0]) + len(first[0])
    placed = any(place.start >= behind and not lower[behind : place.start].strip() for place in places)
    rest = without_places(lower, treatment.end, finding.start, places).split()[1:]
    return not placed or not rest or rest[0] in language.reason_words


def _is_linked(last: Finding, finding: Finding, cues: Sequence[Cue], lower: str, language: Language) -> bool:
    """Tell whether a sentence says what a finding is: `lesion, likely a cyst`, not `lesion, there is a cyst`."""
    inside = [cue for cue in cues if last.end <= cue.start < finding.start]
    at = next((index for index, cue in enumerate(inside) if cue.kind in ("link", "doubt_before", "leaning")), None)
    if at is None or any(cue.kind == "contact" for cue in inside[at:]):
        return False
    return language.fresh_pattern.search(lower, last.end, inside[at].start) is None


def _is_apposition(last: Finding, finding: Finding, lower: str, between: str, language: Language) -> bool:
    """Tell whether a finding is a name of the one before it: `lesion (segment 6), cyst`, `lesion: metastasis`.

    Several cysts are no name of one lesion, and fat throughout the liver is a name of none. Where something else stands
    before the name, nobody can tell: `mass in segment 6, hepatic cyst`.
    """
    if not language.apposition_breaks.isdisjoint(between.split()):
        return False
    if finding.kind != "benign" or "," not in between:
        return ":" in between
    if (finding.many and not last.many) or language.diffuse_pattern.match(lower, finding.start):
        return False
    named = language.naming_pattern.fullmatch(between.rpartition(",")[2]) is not None
    finding.unsettled = finding.unsettled or not named
    return True


def _share_treated_places(groups: Sequence[Sequence[Finding]]) -> None:
    """Give a tumor the place of the scar that it is at: `recurrent tumor at the ablation site in segment 5`."""
    for first, second in pairwise(groups):
        for scar, tumor in ((first[0], second[0]), (second[0], first[0])):
            if scar.kind == "treatment" and scar.places and tumor.is_tumor and not tumor.places and not tumor.negated:
                tumor.places.extend(scar.places)


def _is_about_liver(group: Iterable[Finding], topic: str) -> bool:
    """Tell whether findings without a place in the liver are the liver's."""
    organs = {organ for finding in group for organ in finding.organs}
    return "liver" in organs or (not organs and topic == "liver")


def _status(group: Sequence[Finding], sentence: Sentence) -> tuple[Status, str]:
    """Return the status of a group, and the rule that gave it."""
    kinds = {finding.kind for finding in group if not finding.negated}
    head = group[0]
    if all(finding.negated for finding in group):
        if any(finding.relative for finding in group):
            return "none", "no_more"
        return ("absent", "negated") if head.kind not in ("neutral", "normal") else ("none", "not_normal")
    if sentence.section == "history":
        return "historical", "history_section"
    if kinds <= {"neutral"}:
        return "none", "no_tumor"
    if kinds == {"background"} and not any(place.coarseness == 0 for finding in group for place in finding.places):
        return "none", "background"
    if kinds == {"normal"}:
        return "absent", "normal"
    if head.past and not head.active:
        return "historical", "past"
    if "treatment" in kinds and not any(finding.active for finding in group):
        return "historical", "treated"
    return _tumor_status(group, kinds)


def _tumor_status(group: Sequence[Finding], kinds: set[str]) -> tuple[Status, str]:
    """Return the status of a group that is there now."""
    malignant = "malignant" in kinds
    if any(finding.unsettled for finding in group):
        return "uncertain", "unsettled"
    if not kinds.isdisjoint(("benign", "background")):
        return ("uncertain", "either") if malignant else ("benign", "benign")
    if "doubtful" in kinds or any(finding.doubted for finding in group):
        return "uncertain", "doubted"
    return "present", "malignant" if malignant else "lesion"
