"""Finding the cues of a text word by word.

One pattern of some three hundred alternatives costs microseconds at every character. So each pattern is tried only at
words that it can begin with, and which those are is found out once per word: reports use few different ones.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

from pipeline.archive.report_text.language import CUE_ORDER, Language

_WORD = re.compile(r"[a-z0-9\u00df-\u00ff]+")
_HEAD_ENDS = (" ", "-", "/", "'", r"\s", r"\b", r"\.", "[-", "[ ", "(?=", "(?!", "(?: ", "(?:[- ")
_KNOWN_WORDS = 200_000
SIMILAR = 0.75
"""Similarity from 0 to 1 from which a word is a misspelling of the word segment."""


_Candidates = tuple[tuple[tuple[re.Pattern[str], str], ...], frozenset[str]]
"""The patterns that a word may begin with their kinds, and the kinds of places that it may name."""
_NONE: frozenset[str] = frozenset()


class Cue(NamedTuple):
    """A word or phrase that means something, of one of the kinds of `CUE_ORDER`."""

    start: int
    end: int
    kind: str


class Lexicon:
    """The cues of a language, ready to be found.

    Args:
        language: The language.
    """

    def __init__(self, language: Language) -> None:
        self._heads = [
            (re.compile(head_of(pattern)), re.compile(rf"(?:{pattern})(?!\w)"), kind)
            for kind in CUE_ORDER
            for pattern in language.cues[kind]
        ]
        self._places = {rule: re.compile(pattern) for rule, pattern in language.place_words.items()}
        self._segment = language.segment_noun
        self._segment_word = re.compile(language.segment_word)
        self._known: dict[str, _Candidates] = {}

    def find_cues(self, lower: str, start: int, end: int) -> tuple[list[Cue], frozenset[str]]:
        """Return the cues of a stretch of a report in order and without overlap, and the places that it may name.

        Args:
            lower: The report in lower case.
            start: Where the stretch begins.
            end: Where it ends.

        Returns:
            Cues, and kinds of places as in `Language.place_words`, or `damaged`.
        """
        cues: list[Cue] = []
        behind, rules = start, _NONE
        known = self._known
        for word in _WORD.finditer(lower, start, end):
            text = word[0]
            candidates, places = known[text] if text in known else self._learn(text)
            if places:
                rules |= places
            if not candidates or (at := word.start()) < behind:
                continue
            for pattern, kind in candidates:
                if found := pattern.match(lower, at, end):
                    behind = found.end()
                    cues.append(Cue(found.start(), behind, kind))
                    break
        if (question := lower.find("?", start, end)) >= 0:
            cues = sorted((*cues, Cue(question, question + 1, "doubt_before")))
        return cues, rules

    def _learn(self, word: str) -> _Candidates:
        """Find the patterns that a word may begin, and the places that it may name; remember both."""
        if len(self._known) >= _KNOWN_WORDS:
            self._known.clear()
        patterns = tuple((pattern, kind) for head, pattern, kind in self._heads if head.fullmatch(word))
        rules = {rule for rule, pattern in self._places.items() if pattern.fullmatch(word)}
        if self._segment_word.fullmatch(word) is None and is_misspelled(word, self._segment):
            rules.add("damaged")
        self._known[word] = patterns, frozenset(rules)
        return self._known[word]


@lru_cache(maxsize=8)
def lexicon_of(language: Language) -> Lexicon:
    """Return the lexicon of a language; the same each time."""
    return Lexicon(language)


@lru_cache(maxsize=4096)
def is_misspelled(word: str, right: str) -> bool:
    """Tell whether a word is nearly another: the same first letter, and most others in the same order."""
    return word[:1] == right[:1] and SequenceMatcher(None, word, right).ratio() >= SIMILAR


def head_of(pattern: str) -> str:
    r"""Return the part of a pattern that its first word has to match.

    Example:
        >>> head_of(r"(?:no|not) (?:\w+ )?change"), head_of("s/p"), head_of(r"h[ae]mangioma(?= of)")
        ('(?:no|not)', 's', 'h[ae]mangioma')
    """
    depth = 0
    for index, character in enumerate(pattern):
        if depth == 0 and pattern.startswith(_HEAD_ENDS, index) and index:
            return pattern[:index] if pattern[index : index + 2] != r"\?" else pattern
        depth += (character == "(") - (character == ")")
    return pattern
