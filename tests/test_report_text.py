"""Reading sentences and reports: places, statuses, evidence."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.archive.report_text.english import ENGLISH
from pipeline.archive.report_text.language import CUE_ORDER
from pipeline.archive.report_text.places import find_places
from pipeline.archive.report_text.report import read_report
from pipeline.archive.report_text.sentences import split_sentences, to_lower
from pipeline.archive.report_text.status import STATUSES
from pipeline.archive.report_text.words import head_of
from tests.report_sentences import HELD_OUT, WRITTEN_WITH_RULES
from tests.report_sentences_later import LATER

LETTERS = {"P": "present", "U": "uncertain", "H": "historical", "B": "benign", "A": "absent", "N": "none"}
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


def parse(line):
    """Return status to segments, and the sentence."""
    said, sentence = line.split("|", 1)
    expected = {LETTERS[word[0]]: {int(digit) for digit in word[1:]} for word in said.split()}
    return expected, sentence.replace("\\n", "\n")


def read(text):
    """Return status to segments, as `parse` does."""
    found = {}
    for mention in read_report(text).mentions:
        found.setdefault(mention.status, set()).update(mention.segments)
    return found


def strongest(statuses):
    return next((status for status in STATUSES if status in statuses), "none")


@pytest.mark.parametrize("corpus", [WRITTEN_WITH_RULES, HELD_OUT, LATER], ids=["written_with", "held_out", "later"])
def test_sentences_are_understood(corpus):
    wrong = []
    for expected, sentence in map(parse, corpus.strip().split("\n")):
        found = read(sentence)
        named = all(segments == found.get(status, set()) for status, segments in expected.items() if segments)
        present = expected.get("present", set()) == found.get("present", set())
        if not (named and present and strongest(expected) == strongest(found)):
            wrong.append((sentence, expected, found))
    assert not wrong


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("segment VI", [6]), ("segments VI/VII, 4.1 cm", [6, 7]), ("Segment VI, 3 cm", [6]), ("seg. 4a/b", [4]),
        ("segments V\u2013VIII", [5, 6, 7, 8]), ("segments 5 through 7", [5, 6, 7]),
        ("from segment 5 to segment 8", [5, 8]), ("segments 2,3,4", [2, 3, 4]), ("segment 6, 3 metastases", [6]),
        ("segment 4 and 2 cysts", [4]), ("segments 1, 2, as well as segment 8", [1, 2, 8]),
        ("fifth and sixth segments", [5, 6]), ("segment eight", [8]), ("segmentVI", [6]), ("SEGMENT\nVIII", [8]),
        ("two segments", []), ("segment 3 cm", []), ("segment 6 x 7 mm", []), ("segment 9", []), ("segment IIX", []),
        ("segment 0", []), ("segments 6 and 12", [6]), ("segment Vl", [6]), ("segment V I", [6]),
        ("segmnet VI", [6]), ("series 5", []), ("caudate lobe", [1]), ("left lobe", [2, 3, 4]),
        ("right posterior section", [6, 7]), ("left lobe of the thyroid", []), ("bilobar", [2, 3, 4, 5, 6, 7, 8]),
    ],
)  # fmt: skip
def test_places(text, segments):
    places = find_places(text, to_lower(text), 0, len(text), ENGLISH)
    assert sorted({segment for place in places for segment in place.segments}) == segments


@given(
    st.lists(st.integers(1, 8), min_size=1, max_size=5, unique=True),
    st.sampled_from(["arabic", "roman"]),
    st.sampled_from([", ", "/", " and ", ", and ", " & "]),
    st.sampled_from(["segments ", "Segments ", "segs. ", "SEGMENTS "]),
)
def test_any_list_of_segments_is_read(numbers, style, separator, word):
    numerals = [str(number) if style == "arabic" else ROMAN[number - 1] for number in numbers]
    reading = read_report(f"Hypodense metastases in {word}{separator.join(numerals)} of the liver, 12 mm.")
    assert reading.segments == tuple(sorted(numbers))


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    for mention in read_report(f"Liver: segment 6 {text}").mentions:
        assert 0 <= mention.start < mention.end <= len(text) + 17
        assert set(mention.segments) <= set(range(1, 9))


@given(st.text(alphabet="aIİVẞ1 .\n", max_size=60))
def test_lower_case_keeps_every_character_at_its_place(text):
    assert len(to_lower(text)) == len(text)


def test_the_evidence_covers_finding_and_place():
    text = "Lungs are clear. There is a 3 cm mass in segment VI of the liver. Spleen is normal."
    (mention,) = (mention for mention in read_report(text).mentions if mention.status == "present")
    assert text[mention.start : mention.end] == "mass in segment VI"
    assert mention.rule == "numeral+lesion"


def test_a_lobe_gives_way_to_a_segment_named_elsewhere():
    assert read_report("Mass in the right lobe. Impression: HCC in segment 6.").segments == (6,)


def test_a_lobe_with_several_tumors_stays():
    text = "Metastases in the right lobe, the largest in segment 6."
    assert read_report(text).segments == (5, 6, 7, 8)


def test_the_section_of_a_sentence_dates_it():
    text = "INDICATION: HCC in segment 5.\nCOMPARISON: Lesion in segment 4.\nFINDINGS: Mass in segment 8."
    assert read(text) == {"historical": {4, 5}, "present": {8}}


@pytest.mark.parametrize(
    "text",
    [
        "FINDINGS:\r\nLiver:\r\n A mass in\r\nsegment VI.\r\n\r\nSpleen: Normal.\r\nIMPRESSION\r\n1. HCC in segment 6.",
        "LIVER\nMass in segment 6\n\nKIDNEYS\nNo mass\n",
        "CLINICAL HISTORY\nHCC segment 5\nFINDINGS\nHCC in segment 6",
        "Thyroid: nodule in the right lobe. Liver: HCC in segment 6. Lungs: nodule in segment 3.",
    ],
)
def test_layouts_of_reports(text):
    assert read_report(text).segments == (6,)


def test_another_language_is_another_set_of_words():
    cues = dict.fromkeys(CUE_ORDER, ()) | {"generic": ("haard",), "negation_before": ("geen",), "liver": ("lever",)}
    language = replace(ENGLISH, cues=cues, triggers=("lever", "segment"))
    assert read_report("Haard in segment 6.", language).segments == (6,)
    assert read_report("Geen haard in de lever.", language).status == "absent"


def test_a_language_without_a_kind_of_cue_is_an_error():
    with pytest.raises(ValueError, match="do not match"):
        replace(ENGLISH, cues={"generic": ("haard",)})


def test_sentences_end_where_they_end():
    text = "1. Mass in seg. VI, approx. 3.4 cm. No ascites\n2. Cyst in segment 2. This is stable."
    sentences = [text[item.start : item.end].strip() for item in split_sentences(text, text.lower(), ENGLISH)]
    assert sentences == ["1. Mass in seg. VI, approx. 3.4 cm", "No ascites", "2. Cyst in segment 2. This is stable"]


def test_headings_give_section_and_organ():
    text = "HISTORY: x. FINDINGS: Lungs: Clear. Liver and spleen: Mass. Kidneys: Cyst."
    sentences = [(item.section, item.topic) for item in split_sentences(text, text.lower(), ENGLISH)]
    assert sentences == [
        ("history", ""),
        ("findings", "segmented_organ"),
        ("findings", "liver"),
        ("findings", "other_organ"),
    ]


@pytest.mark.parametrize(
    ("pattern", "head"),
    [("no longer", "no"), ("s/p", "s"), (r"(?:no|not)(?: \w+)? change", "(?:no|not)"), (r"mass(?:es)?", "mass(?:es)?")],
)
def test_a_pattern_is_tried_at_its_first_word(pattern, head):
    assert head_of(pattern) == head


def test_reading_takes_bounded_time():
    started = time.process_time()
    for text in ("segment 6 mass and ", "segments 1, 2, 3, ", "lesion or ", "IVa ", "no possible "):
        read_report(text * (20_000 // len(text)))
    assert time.process_time() - started < 20
