"""English: places, headings and small words; `english_cues.py` has what is said of them."""

from __future__ import annotations

from pipeline.archive.report_text.english_cues import CUES
from pipeline.archive.report_text.language import Language, Region, entries

_LOBE = r"(?:(?:hepatic|liver) )?lobe(?! of (?:the )?(?:thyroid|lung|prostate|brain|cerebell))"
_SECTION = r"(?:segments?|sections?|sectors?|division)"
_RIGHT, _LEFT = (5, 6, 7, 8), (2, 3, 4)

_REGIONS = (
    Region(r"caudate(?: lobe| process)?(?! nucle)", (1,), 0),
    Region(r"quadrate(?: lobe)?", (4,), 0),
    Region(rf"(?:left )?lateral (?:hepatic )?{_SECTION}(?: of the (?:liver|left \w+ ?lobe))?", (2, 3), 1),
    Region(rf"(?:left )?medial (?:hepatic )?{_SECTION}", (4,), 1),
    Region(rf"right anterior (?:hepatic |liver )?(?:{_SECTION}|lobe)", (5, 8), 1),
    Region(rf"right posterior (?:hepatic |liver )?(?:{_SECTION}|lobe)", (6, 7), 1),
    Region(rf"anterior (?:{_SECTION} of (?:the )?)?right (?:{_LOBE}|liver)", (5, 8), 1),
    Region(rf"posterior (?:{_SECTION} of (?:the )?)?right (?:{_LOBE}|liver)", (6, 7), 1),
    Region(r"(?:both|right and left|left and right) (?:hepatic |liver )?lobes|bilobar", (2, 3, 4, 5, 6, 7, 8), 3),
    Region(
        r"(?:throughout|diffusely (?:in|involving)|(?:the )?(?:entire|whole) ) ?(?:the )?(?:entire |whole )?"
        r"(?:liver|hepatic parenchyma)|all (?:liver |hepatic )?segments",
        (1, 2, 3, 4, 5, 6, 7, 8),
        3,
    ),
    Region(rf"right (?:{_LOBE}|hemiliver|liver)", _RIGHT, 2),
    Region(rf"left (?:{_LOBE}|hemiliver|liver)", _LEFT, 2),
    Region(r"(?:hepatic|liver) dome|dome of (?:the )?(?:liver|right)", (7, 8), 2),
)

_SECTIONS = {
    "history": "history", "clinical history": "history", "clinical information": "history", "indication": "history",
    "indications": "history", "clinical indication": "history", "reason for exam": "history", "reason": "history",
    "reason for examination": "history", "past medical history": "history", "clinical data": "history",
    "diagnosis": "history", "comparison": "history", "comparisons": "history", "prior": "history",
    "prior studies": "history", "technique": "ignored", "procedure": "ignored", "protocol": "ignored",
    "contrast": "ignored", "exam": "ignored", "examination": "ignored", "recommendation": "ignored",
    "recommendations": "ignored", "findings": "findings", "finding": "findings", "impression": "findings",
    "impressions": "findings", "conclusion": "findings", "conclusions": "findings", "opinion": "findings",
    "summary": "findings", "report": "findings", "assessment": "findings",
}  # fmt: skip

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
_SHORT_ORDINALS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th")

ENGLISH = Language(
    triggers=entries(
        "liver; hepat; seg; lob; hcc; caud; quadra; couinaud; dome; sect; sg; vi/; i/v; iii; organs",
        "leber; h\u00edgado; fegato",
    ),
    short_triggers=entries(r"s[1-8]; 4[ab]; iv[ab]"),
    place_words={
        "numeral": r"seg\w*|sgt?|couinaud|(?:liver|leber)segment\w*",
        "short": r"s\d[ab]?",
        "bare": r"4[ab]|iv[ab]|[iv]+",
        "region": (
            r"lobes?|sections?|sectors?|segments?|division|dome|caudate|quadrate|bilobar|throughout|diffusely|entire"
            r"|whole|hemiliver"
        ),
    },
    segment_word=(
        r"(?:(?:liver|leber)[- ]?)?(?:segmentectom(?:y|ies)(?: of)?|segm?s?(?:\.|\b)|couinaud(?: segments?)?"
        r"|segment(?:s|e|en|o|i|os|er|es)?|sgt?\.?)"
    ),
    segment_noun="segment",
    number_words={word: number for number, word in enumerate(_NUMBERS, start=1)},
    ordinal_words={
        word: number for words in (_ORDINALS, _SHORT_ORDINALS) for number, word in enumerate(words, start=1)
    },
    and_words=r"and/or|and|or|as well as|plus|und|et|y|e|en",
    range_words=r"to|through|thru|until|bis",
    regions=_REGIONS,
    place_prepositions=(
        r"in|within|of|at|involving|into|replacing|occupying|spanning|straddling|from|affecting|inside|on|im|en|al"
    ),
    place_details=r"each of\s+|\w+\s+(?:aspect|part|portion|region|tip|surface) of\s+(?:the\s+)?",
    place_adjectives=r"hepatic|liver|couinaud",
    bare_numeral_findings=r"(?:lesions?|mass(?:es)?|nodules?|metastas[ei]s|hcc|tumou?rs?|mets?|liver|hepatic)",
    staging_words=r"stage|grade|type|class|bosniak|figure|fig\.?|image|series|level|category|phase|child",
    cues=CUES,
    liver_stems=("hepat", "hcc"),
    primary_words=r"cancers?|\w*carcinomas?|ca|primary|primaries|malignancy|melanomas?|neuroendocrine",
    plural=r"(?:(?<![sui])s|foci)$",
    apposition_breaks=frozenset(("and", "with", "no")),
    reason_words=frozenset(("for", "of", "to")),
    apart_words=r"and|with|plus|;|but",
    more_words=(
        r"new|newly|enlarging|growing|increasing|progressive|progressing|other|additional|further|more|else|larger"
    ),
    with_words=r"with(?:out)?",
    same_subject=(
        r"which|that|it|they|is|are|was|were|has|have|had|can|could|now|today|currently|no|not|previously|formerly"
        r"|seen|noted|described|reported|known|measuring|located|involving|[\divx]+[ab]?|segm?\w*|in|on|of|at|and|or"
    ),
    finite_verbs=r"is|are|was|were|has|have|had|can|could|cannot",
    unseen="not",
    naming_words=(
        r"simple|typical|atypical|classic|benign|cavernous|giant|focal|stable|unchanged|likely|probably|probable|known"
        r"|most|favou?red|presumably|subcapsular|flash-filling"
    ),
    diffuse=r"steato|fat",
    treated_words=r"treated|ablated|resected|excised|emboli[sz]ed|removed",
    into_words=(
        r"(?:(?:extension|involvement|invasion|infiltration|spread|extending|reaching)\s+)?(?:in|into|to|of|within)?"
        r"\s*(?:the\s+)?"
    ),
    spared_words=r"(?:is|are|appears?|remains?)?\s*(?:free|clear|normal|spared|unremarkable|uninvolved|not|shows?\s+no)",
    fresh_start=(
        r"(?:,|\band)\s+(?:(?:an?|the|there|with|now|new)|\d+(?:\.\d+)?\s*-?\s*(?:mm|cm|x))(?!\w)|\bwith (?:an?|new)\b"
    ),
    part_words=r"(?:a )?(?:small )?parts? of|portions? of",
    number_sign="no",
    abbreviations=frozenset(
        entries(
            "seg; segm; segs; sgt; approx; vs; dr; mr; mrs; ca; fig; im; img; ser; cf; max; min; resp; st; e.g; i.e",
            "incl; dx; hx; ant; post; lat",
        )
    ),
    continuations=(
        r"(?:this|these|it|they|both|which|li-?rads|lr-?\d|findings? (?:is|are)|appearances?|features?|correspond\w*"
        r"|consistent|compatible|likely|favou?r\w*|(?:enhancement|imaging) (?:pattern|features|characteristics))\b"
    ),
    sections=_SECTIONS,
)
