"""What a sentence says of tumors: its findings, each with the words that deny, doubt or date it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.archive.report_text.language import FINDINGS, Language
from pipeline.archive.report_text.places import Place
from pipeline.archive.report_text.words import Cue

_IN_BRACKETS = re.compile(r"\([^()]*\)")
_LISTED = re.compile(r"[\s,]*(?:or|and|and/or)?\s*")
"""What stands between the findings of a list."""


@dataclass(eq=False)
class Finding:
    """One finding of a sentence; flags are set while the sentence is read.

    Args:
        start: Offset of its first character.
        end: Offset behind its last character.
        kind: One of `FINDINGS`, or `size` for a measurement without a noun.
        negated: It is said not to be there.
        relative: It is only said that there are not more of it, or no new ones.
        doubted: It is said to be perhaps there.
        unsettled: It is said that nobody can tell what it is.
        past: It is said to have been there.
        many: It is written in the plural.
        active: It is called new, residual or recurrent.
        places: Places in the liver that belong to it.
        organs: Organs that belong to it, among `ORGANS`.
    """

    start: int
    end: int
    kind: str
    negated: bool = False
    relative: bool = False
    doubted: bool = False
    unsettled: bool = False
    past: bool = False
    active: bool = False
    many: bool = False
    places: list[Place] = field(default_factory=list)
    organs: set[str] = field(default_factory=set)

    @property
    def is_tumor(self) -> bool:
        """Whether it could be a tumor."""
        return self.kind in ("malignant", "generic", "doubtful", "size")


def find_findings(lower: str, cues: Sequence[Cue], language: Language) -> list[Finding]:
    """Return the findings among the cues, two that stand side by side as one: `metastatic lesion`, `cystic mass`.

    Of two, what is no tumor decides: `benign lesion` is benign, `resected metastasis` is gone.
    """
    findings: list[Finding] = []
    for cue in cues:
        if cue.kind not in FINDINGS:
            continue
        before = findings[-1] if findings else None
        if (
            before is not None
            and _side_by_side(lower, before.end, cue.start)
            and "neutral" not in (before.kind, cue.kind)
        ):
            before.kind = _joint_kind(before.kind, cue.kind)
            before.end = cue.end
        else:
            findings.append(Finding(cue.start, cue.end, cue.kind))
    for finding in findings:
        finding.many = language.plural_pattern.search(lower, finding.start, finding.end) is not None
    return findings


def _side_by_side(lower: str, end: int, start: int) -> bool:
    """Tell whether nothing but a space, a hyphen or an opening bracket lies between two findings."""
    return lower[end:start].strip() in ("", "-", "(")


def _joint_kind(first: str, second: str) -> str:
    """Return the kind of two findings that stand side by side."""
    order = ("treatment", "benign", "background", "doubtful", "malignant", "generic", "normal")
    return min(first, second, key=order.index)


def mark_findings(lower: str, cues: Sequence[Cue], findings: Sequence[Finding], language: Language) -> None:
    """Set the flags of findings from the cues before and behind them.

    A negation holds to the end of its clause: a boundary word, a colon, or an article or number that starts afresh
    behind a comma or `and`. What is denied of a finding known from elsewhere is in doubt. A doubt holds for the next
    finding, and on through `or`. A word of the past holds until a word of the present; `previous` does not count where
    the sentence goes on to say what the finding is like now.
    Cues that stand behind hold for the findings of their clause so far.
    """
    lasts = any(cue.kind == "persistent" for cue in cues)
    for cue in cues:
        if cue.kind == "negation_after":
            _deny_before(lower, cue, cues, findings, language)
        elif cue.kind == "doubt_after":
            _doubt_before(cue, findings)
        elif cue.kind == "negation_before":
            _mark_negated(lower, cue, cues, findings, language)
        elif cue.kind == "past" or (cue.kind == "earlier" and not lasts):
            stops = ("boundary", "active", "persistent")
            for finding in _following(lower, cue, cues, findings, stops, language.fresh_pattern):
                finding.past = True
        elif cue.kind == "active":
            for finding in _following(lower, cue, cues, findings, ("boundary",))[:1]:
                finding.active = True
        elif cue.kind in ("doubt_before", "leaning"):
            _mark_doubt(lower, cue, cues, findings)


def _mark_negated(lower: str, cue: Cue, cues: Sequence[Cue], findings: Sequence[Finding], language: Language) -> None:
    """Negate what follows a negation; a category behind another denial stays: `without washout, LR-4`."""
    met = False
    for finding in _following(lower, cue, cues, findings, ("boundary",), language.fresh_pattern):
        if finding.kind == "doubtful" and not met and "," in lower[cue.end : finding.start]:
            continue
        met = True
        if any(other.kind == "elsewhere" and cue.end + 1 < other.start < finding.start for other in cues):
            finding.doubted = finding.unsettled = True
            continue
        finding.negated = True
        finding.relative = language.more_pattern.search(lower, cue.end, finding.start) is not None


def _mark_doubt(lower: str, cue: Cue, cues: Sequence[Cue], findings: Sequence[Finding]) -> None:
    """Doubt the next finding, or where none follows, the one before: `is indeterminate`."""
    following = _following(lower, cue, cues, findings, ("boundary",))
    for previous, finding in zip([None, *following], following, strict=False):
        if previous is not None and not _joined(previous, finding, cues):
            break
        finding.doubted = True
        finding.unsettled = finding.unsettled or cue.kind == "doubt_before"
    if not following:
        _doubt_before(cue, findings)


def _doubt_before(cue: Cue, findings: Sequence[Finding]) -> None:
    """Doubt the last finding before a cue."""
    for finding in [finding for finding in findings if finding.start < cue.start and finding.kind != "neutral"][-1:]:
        finding.doubted = True
        finding.unsettled = finding.unsettled or cue.kind != "leaning"


def _deny_before(lower: str, cue: Cue, cues: Sequence[Cue], findings: Sequence[Finding], language: Language) -> None:
    """Deny the findings that a cue tells of; doubt them if they are known from elsewhere and were only not seen.

    `no longer` may stand before its finding: where none is before it, it holds for those behind.
    """
    begin = max((other.end for other in cues if other.kind == "boundary" and other.end <= cue.start), default=0)
    clause = [finding for finding in findings if begin <= finding.start < cue.start]
    known = any(other.kind == "elsewhere" and begin <= other.start < cue.start for other in cues)
    unseen = known and language.unseen_pattern.match(lower, cue.start) is not None
    told = _told_of(lower, cue, clause, language)
    for finding in told if clause else _following(lower, cue, cues, findings, ("boundary",)):
        if unseen:
            finding.doubted = finding.unsettled = True
        else:
            finding.negated = True


def _told_of(lower: str, cue: Cue, clause: Sequence[Finding], language: Language) -> list[Finding]:
    """Return the findings of a clause that a negation behind them denies.

    Not what the clause has left for something else: in `mass in segment 6, ascites has resolved` there is a mass.
    """
    told: list[Finding] = []
    end = cue.start
    for finding in reversed(clause):
        between = _IN_BRACKETS.sub("", lower[finding.end : end])
        if told:
            parted = not _LISTED.fullmatch(between) and ("," in between or ";" in between or "(" in between)
        else:
            parted = _is_parted(between, language)
        if parted:
            break
        told.append(finding)
        end = finding.start
    return [finding for finding in told if finding.kind != "neutral"]


def _is_parted(between: str, language: Language) -> bool:
    """Tell whether a text turns to something else than the finding before it: `, ascites has`, `with a capsule`."""
    return any(
        parting["with"] is None or language.finite_pattern.search(between, parting.end()) is None
        for parting in language.parting_pattern.finditer(between)
    )


def _following(
    lower: str,
    cue: Cue,
    cues: Sequence[Cue],
    findings: Sequence[Finding],
    stops: tuple[str, ...],
    fresh: re.Pattern[str] | None = None,
) -> list[Finding]:
    """Return the findings behind a cue up to a stop: another kind of cue, a colon, or a new start."""
    end = min((other.start for other in cues if other.kind in stops and other.start >= cue.end), default=len(lower))
    colon = lower.find(":", cue.end, end)
    end = end if colon < 0 else colon
    if fresh is not None and (start := fresh.search(lower, cue.end, end)):
        end = start.start()
    return [finding for finding in findings if cue.end <= finding.start < end]


def _joined(first: Finding, second: Finding, cues: Sequence[Cue]) -> bool:
    """Tell whether `or` or `versus` stands between two findings."""
    return any(cue.kind == "versus" and first.end <= cue.start < second.start for cue in cues)
