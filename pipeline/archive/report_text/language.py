"""What the reading of reports needs to know of one language; `english.py` is the first, another is one more file.

All patterns are regular expressions for lower-case text and match whole words; where two match at one place, the kind
that `CUE_ORDER` names first wins, and within a kind the pattern that is listed first. A pattern begins with a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Coarseness = Literal[0, 1, 2, 3]
"""How closely a place is named: 0 a segment, 1 a section, 2 a lobe or the dome, 3 both lobes or the whole liver."""

FINDINGS = ("malignant", "generic", "benign", "background", "doubtful", "neutral", "treatment", "normal")
"""Kinds of findings: a tumor by name; a lesion of unnamed nature; what is no tumor, or a benign one; what a lesion may
turn out to be, but what by itself says nothing of tumors, such as an artifact; a category that says "perhaps"; anatomy
and changes that are none of these; surgery and ablation; the word that all is well."""

ORGANS = ("liver", "segmented_organ", "other_organ")
"""Organs: the liver; those that have numbered segments or levels too (lung, spine, bowel, coronaries); the rest."""

CUE_ORDER = (
    "ignored",
    "doubt_after",
    "limited",
    "negation_after",
    "doubt_before",
    "leaning",
    "treatment",
    "normal",
    "negation_before",
    "past",
    "earlier",
    "active",
    "persistent",
    "boundary",
    "contact",
    "example",
    "versus",
    "link",
    "elsewhere",
    "partitive",
    "doubtful",
    "background",
    "benign",
    "neutral",
    "other_organ",
    "segmented_organ",
    "malignant",
    "generic",
    "liver",
)
"""Every kind of cue, in the order in which they are tried at a word.

`_before` cues bear on the findings that follow them, `_after` cues on those that precede. `leaning` is a doubt with a
side: what is `likely a cyst` is taken for a cyst. `limited` says that the liver could not be seen well, `elsewhere`
that something is known from another examination, `partitive` that only a part of what stands before is meant.
"""


def entries(*lines: str) -> tuple[str, ...]:
    """Return the patterns of lines in which they are separated by semicolons."""
    return tuple(entry for line in lines for entry in line.split("; "))


@dataclass(frozen=True)
class Region:
    """A place in the liver that is named in words.

    Args:
        pattern: Regular expression.
        segments: The segments that it stands for.
        coarseness: How closely it names them.
    """

    pattern: str
    segments: tuple[int, ...]
    coarseness: Coarseness


def _pattern(template: str) -> cached_property[re.Pattern[str]]:
    """Return a property: a template of a regular expression, filled in with fields of the language."""
    return cached_property(lambda language: re.compile(template.format_map(vars(language))))


@dataclass(frozen=True, eq=False)
class Language:
    """The words of one language.

    Args:
        triggers: Substrings without one of which a sentence neither names the liver nor a place in it.
        short_triggers: The same as patterns that begin with a letter: for these a search is quick.
        place_words: Per kind of place, the words without which a sentence names none: `numeral` behind the segment
            word, `short` as in `S6`, `bare` as in `lesion VI/VII`, `region` in words.
        segment_word: What a numeral of a segment follows: `segment`, `seg.`.
        segment_noun: The word that misspelled words before a numeral are compared with; their segments are doubtful.
        liver_stems: Substrings of findings that only a liver has.
        primary_words: What makes the organ before it the origin of metastases, not their place.
        number_words: Numbers that may follow the segment word, by value.
        ordinal_words: Ordinals that may precede it, by value.
        and_words: What joins the numerals of a list.
        range_words: What joins the ends of a range.
        regions: Places named in words, the closest first.
        cues: Patterns of every kind of `CUE_ORDER`.
        place_prepositions: Words before a place that belongs to the finding on its left.
        place_details: What may stand between such a word and the place.
        place_adjectives: Words before a place that do as well.
        bare_numeral_findings: Findings that a bare Roman numeral may follow.
        staging_words: Words before a numeral that is no segment, as in `stage IVa`.
        part_words: What may stand before a numeral in a list.
        number_sign: Abbreviation of "number", whose full stop ends no sentence before a digit.
        abbreviations: Words whose full stop ends no sentence.
        plural: End of a noun in the plural.
        apart_words: What stands between the statements on two organs.
        more_words: Words behind a negation that deny only that there is more of something.
        with_words: What stands between a finding and what comes with it.
        same_subject: First words of a part of a sentence that goes on about the finding before it.
        finite_verbs: Verbs that have a subject.
        unseen: How a negation begins that only tells what could be seen, not what is gone.
        naming_words: Words before the name of a lesion: `lesion, simple cyst`.
        diffuse: Benign findings that fill the liver, so that no lesion in it is one.
        treated_words: Verbs of treatment: the place before them is the tumor's.
        into_words: What may stand between a negation and a place that it denies by itself: `not in segment 3`.
        spared_words: What behind a place says that nothing is there.
        apposition_breaks: Words behind which a second finding is no other name of the first.
        reason_words: First words between a treatment and what it was for.
        fresh_start: What begins a new statement behind a comma or `and`, where a negation ends.
        continuations: First words of a sentence that goes on about the finding of the sentence before it.
        sections: Headings and what they stand for: `history`, `ignored` or `findings`.
    """

    triggers: Sequence[str]
    short_triggers: Sequence[str]
    place_words: Mapping[str, str]
    segment_word: str
    segment_noun: str
    liver_stems: tuple[str, ...]
    primary_words: str
    number_words: Mapping[str, int]
    ordinal_words: Mapping[str, int]
    and_words: str
    range_words: str
    regions: tuple[Region, ...]
    cues: Mapping[str, tuple[str, ...]]
    place_prepositions: str
    place_details: str
    place_adjectives: str
    bare_numeral_findings: str
    staging_words: str
    part_words: str
    number_sign: str
    abbreviations: frozenset[str]
    plural: str
    apart_words: str
    more_words: str
    with_words: str
    same_subject: str
    finite_verbs: str
    unseen: str
    naming_words: str
    diffuse: str
    treated_words: str
    into_words: str
    spared_words: str
    apposition_breaks: frozenset[str]
    reason_words: frozenset[str]
    fresh_start: str
    continuations: str
    sections: Mapping[str, str]

    def __post_init__(self) -> None:
        """Check that no kind of cue is missing or unknown."""
        if set(self.cues) != set(CUE_ORDER):
            raise ValueError(f"cues {sorted(self.cues)} do not match {sorted(CUE_ORDER)}")

    fresh_pattern = _pattern("{fresh_start}")
    continuation_pattern = _pattern(r"\s*(?:{continuations})")
    plural_pattern = _pattern("{plural}")
    more_pattern = _pattern(r"(?<!\w)(?:{more_words})(?!\w)")
    parting_pattern = _pattern(
        r"(?:(?:[,(;]\s*)?(?P<with>\b(?:{with_words})\b)|[,(;])\s*(?!(?:{same_subject})(?!\w))\w"
    )
    """Where a sentence turns from a finding to something else: `mass, fluid`, `mass with fluid`."""
    finite_pattern = _pattern(r"(?<!\w)(?:{finite_verbs})(?!\w)")
    unseen_pattern = _pattern(r"(?:{unseen})(?!\w)")
    naming_pattern = _pattern(r"\s*(?:(?:{naming_words})\s+)*")
    diffuse_pattern = _pattern("(?:{diffuse})")
    treated_pattern = _pattern(r"(?:{treated_words})(?!\w)")
    into_pattern = _pattern(r"\s*(?:{into_words})?\s*")
    primary_pattern = _pattern(r"\s*(?:{primary_words})(?!\w)")
    """What makes the organ before it the origin of metastases."""

    @cached_property
    def short_trigger_patterns(self) -> tuple[re.Pattern[str], ...]:
        """The patterns of `short_triggers`."""
        return tuple(map(re.compile, self.short_triggers))

    @cached_property
    def region_pattern(self) -> re.Pattern[str]:
        """One pattern for all regions; group `r3` is the region with index 3."""
        parts = (f"(?P<r{index}>{region.pattern})" for index, region in enumerate(self.regions))
        return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")
