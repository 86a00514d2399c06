"""English, with the few words that reports of neighboring languages spell nearly alike."""

from __future__ import annotations

from pipeline.archive.report_text.language import Language, Region

_LESION = r"(?:lesion|mass|nodule|tumou?r|metasta\w+|hcc|foc(?:us|i)|observation|carcinoma|disease)"
_LOBE = r"(?:(?:hepatic|liver) )?lobe(?! of (?:the )?(?:thyroid|lung|prostate|brain|cerebell))"
_SECTION = r"(?:segments?|sections?|sectors?|division)"
_SEEN = r"(?:seen|visible|visuali[sz]ed|identified|demonstrated|evident|apparent|detected|present|found|appreciated|noted)"
_STUDY = r"(?:ct|mri?|pet|stud(?:y|ies)|exam\w*|scans?|imaging|images?|reports?|ultrasound|comparison)"
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
    Region(rf"(?:both|right and left|left and right) (?:hepatic |liver )?lobes|bilobar", (2, 3, 4, 5, 6, 7, 8), 3),
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

_CUES = {
    "ignored": (
        r"no (?:\w+ ){0,2}(?:change|growth|progression|increase|decrease|enlargement)\b",
        r"not (?:\w+ )?(?:changed|enlarged|increased)",
        r"no doubt",
        rf"(?:the )?(?:prior|previous|old|outside|last) (?:\w+ )?{_STUDY}\b",
        r"(?:unresectable|resectable|(?:planned|scheduled|considered|candidate|referred|amenable|evaluat\w+)"
        r" (?:for|to) \w+)",
        r"tumou?r (?:board|markers?|thrombus)",
        r"hepatic (?:flexure|hilum)",
        r"fat(?:ty)? liver|fluid levels?|(?:low|high)[- ]density(?= (?:lesion|mass|nodule))",
    ),
    "doubt_after": (
        r"(?:too small|cannot be|can not be|unable to be|difficult|not possible) (?:to )?(?:be )?(?:\w+ly )?"
        r"(?:characteri[sz]ed?|excluded|ruled out|differentiated|assess(?:ed)?)",
        r"(?:not|in-?completely|inadequately|poorly)(?: be)?(?: \w+ly| further)? (?:characteri[sz]ed|excluded|ruled out)",
        r"of (?:uncertain|unclear|indeterminate|unknown|doubtful) (?:\w+ )?(?:significance|etiology|nature|origin)",
        r"(?:needs|requires|warrants?|recommend\w*) further (?:characteri[sz]ation|evaluation|work-?up)",
    ),
    "negation_after": (
        r"(?:has|have|had)?\s?(?:\w+ly )?(?:resolved|disappeared|vanished)\b",
        r"no longer\b",
        rf"(?:is|are|was|were)?\s?not (?:\w+ly )?{_SEEN}",
        r"(?:is|are|was|were|has been|have been) (?:ruled out|excluded|absent)",
    ),
    "doubt_before": (
        r"(?:can ?not|could not|can't|unable to|difficult to) (?:\w+ly )?(?:exclude|rule out)|rule out|r/o",
        r"possib(?:le|ly|ility)|probabl[ey]|(?:un)?likely|perhaps|presum\w+|query\b|\?",
        r"question(?:able|ed)?\b|equivocal|indeterminate|in-?conclusive|non-?specific|doubtful|uncertain|unclear",
        r"(?:may|might|could|can) (?:\w+ly )?(?:represent|be|reflect|indicate|correspond)\b|favou?r(?:s|ed|ing)?\b",
        r"differential",
    ),
    "treatment": (
        r"surgically (?:absent|removed)|(?:surgical|metallic) clips|post-?(?:surgical|operative|ablation|treatment)\b",
        r"resect(?:ed|ions?)\b|(?:\w+)?(?:hepatect|segmentect|sectionect|lobect|metastasect|sectorect)om(?:y|ies)",
        r"\w*ablat(?:ed|ions?)\b|rfa\b|mwa\b|tace\b|\w*emboli[sz](?:ed|ations?)\b|y-?90\b|sirt\b|excis(?:ed|ions?)\b",
        r"(?:has|have) been removed|treatment (?:zone|cavity|site)|transplant\w*",
        rf"treated(?= (?:\w+ )?{_LESION})",
    ),
    "negation_before": (
        r"no\b(?!\.)|without\b|w/o\b|absen(?:ce|t)(?: of)?\b|negative for|free (?:of|from)|lack(?:s|ing)? (?:of )?",
        r"nor\b|neither\b|none of|(?:can ?not|can't) be (?:an? )|not\b|rather than|instead of",
        r"(?:resolution|disappearance|complete (?:\w+ )?response|regression) of",
    ),
    "past": (
        r"status[- ]post|s/p\b|history of|h/o\b|underwent\b|treatment of|removal of",
    ),
    "earlier": (r"prior\b|previous(?:ly)?\b|former(?:ly)?\b|historical\b|remote\b",),
    "active": (r"new(?:ly)?\b|now\b|current(?:ly)?\b|recurren(?:t|ces?)\b|residual|viable|today\b|developed|developing",),
    "persistent": (
        r"again\b|unchanged|stable|persist\w*|(?:in|de)creas\w*|grown|grew|progress\w*|regress\w*|larger|smaller",
        r"measur\w*|re-?demonstrated|enlarg\w*|shr[aiu]nk\w*|remains?\b|continues?\b",
    ),
    "boundary": (
        r"but\b|however\b|although\b|though\b|whereas\b|while\b|except(?:ing|ion)?(?: for| of)?\b|other than\b",
        r"apart from\b|aside from\b|besides\b|otherwise\b|with the exception of",
    ),
    "contact": (
        r"abut\w*|compress\w*|invad\w*|extend\w*(?: in)?to(?:ward)?\b|encas\w*|displac\w*|indent\w*|contact\w*|against",
        r"(?:adjacent|next|close|anterior|posterior|lateral|medial|superior|inferior|contiguous) (?:to|with)\b|near\b",
        r"beneath|beside|along\b|invasion of|contacting|primary (?:tumou?r|cancer)? ?(?:in|of)\b|(?:metasta\w+ )?from\b",
    ),
    "example": (r"largest|biggest|dominant|index\b|for example|e\.g\.|including|such as|representative|one of which",),
    "versus": (r"versus\b|vs\b\.?|or\b",),
    "link": (
        r"(?:consistent|compatible|in keeping|most in keeping|consonant) with|c/w\b|represent\w*|suggest\w*|typical\w*",
        r"characteristic\w*|diagnostic|pathognomonic|suspicious|concerning|worrisome|suspected|suspicion",
        r"is an?\b|are\b|was\b|were\b|is\b|appear\w*|reflect\w*|correspond\w*|known to be|proven",
    ),
    "doubtful": (r"(?:lr|li-?rads)[- ]?(?:category )?[34]\b|dysplastic nodules?|pseudo-?lesions?",),
    "benign": (
        r"(?:\w+)?cyst(?:s|ic (?:lesions?|foc(?:us|i)|structures?|change))?\b|ha?emangiomas?|fnh\b|hydatid\w*|echinococc\w*",
        r"focal nodular hyperplasia|focal(?: \w+)? fat\w*(?: \w+tion| sparing| change)?|steato\w*|lipomas?",
        r"fat(?:ty)? (?:infiltrat\w+|change|deposit\w*|spar\w+|replacement)|abscess(?:es)?|(?:\w+)?adenomas?",
        r"hamartomas?|von meyenburg|angiomyolipomas?|granulom\w+|calcifications?|thad\b|thid\b|bilomas?|infarct\w*",
        r"transient hepatic (?:attenuation|intensity) differences?|perfusion(?:al)? \w+|(?:arterio\w+ )?shunt\w*",
        r"ha?ematomas?|laceration|contusion|benign(?:[- ]appearing)?|regenerative nodules?|scar\b|peliosis|pseudomass",
        r"(?:lr|li-?rads)[- ]?(?:category )?[12]\b|confluent fibrosis|phlegmon",
    ),
    "neutral": (
        r"(?:\w+ )?(?:bile )?ducts?\b|ductal|biliary (?:dilat\w+|tree|stents?)|pneumobilia|dilat\w+|atroph\w+|hypertroph\w+",
        r"(?:right |left |middle )?(?:portal|hepatic) (?:veins?|venous|arter\w+)(?: branch\w*)?|thromb\w+|stents?\b|drains?\b",
        r"catheter|cirrho\w+|(?:hepato|spleno)megaly|biops(?:y|ies)|patent",
    ),
    "other_organ": (
        r"kidneys?|renal|adrenals?|spleen|splenic|pancrea\w*|gall ?bladder|bladder|uter\w+|ovar\w+|adnex\w+",
        r"breasts?|lymph nodes?|nodes?\b|nodal|lymphadenopathy|stomach|gastric|esophag\w*|peritone\w+",
        r"omental|omentum|mesenter\w+|aort\w+|muscles?|skin|subcutaneous|testic\w+|pelvi[cs]\w*|retroperitone\w+|pleura\w*",
        r"medias\w+|hilar|diaphragm\w*|parotid|larynx|neck\b",
    ),
    "segmented_organ": (
        r"lungs?\b|pulmonary|bronch\w+|lingul\w+|(?:right |left )?(?:upper|lower|middle) lobes?|(?:r|l)(?:u|l|m)l\b|chest|thora\w+",
        r"apicoposterior|(?:superior|basal|apical) segments?|atelect\w+|pneumon\w+|consolidation|ground[- ]glass|airways?",
        r"spin(?:e|al)|sacr(?:um|al)|vertebra\w*|lumbar|cervical|coccy\w+|[lt]-?\d{1,2}\b|dis[ck]s?\b|nerves?|ribs?\b|bon(?:e|es|y)\b",
        r"osseous|skelet\w+|iliac|femor\w+|coronar\w+|lad\b|rca\b|lcx\b|circumflex|cardiac|heart|myocard\w+|stenos\w+",
        r"bowel|colon\w*|colorectal|rect(?:um|al)|sigmoid|jejun\w+|ile(?:um|al)|duoden\w+|c(?:a)?ec(?:um|al)|append\w+|intestin\w+",
        r"thyroid|prostat\w*|brain|cerebr\w+|cerebell\w+|foraminal|dermatom\w*|st[- ]segments?|urethr\w+|ureter\w*",
    ),
    "malignant": (
        r"hcc\b|hepatocellular(?: carcinomas?)?|hepatomas?|(?:\w+)?carcinom\w+|metasta\w+|mets?\b|crlm\b|malignan\w+",
        r"neoplas\w+|lymphom\w+|(?:\w+)?sarcomas?|hepatoblastoma|cancers?\b|(?:lr|li-?rads)[- ]?(?:category )?(?:5|m|tiv)\b",
        r"recurrence|(?:metastatic|residual|recurrent|malignant|tumou?r) (?:disease|deposits?|implants?)|melanoma|\w+blastoma",
    ),
    "generic": (
        r"l[ae\u00e4\u00e9]si[o\u00f3]n\w*|mass(?:es)?\b|nodules?\b|n[o\u00f3]dul[oi]s?\b|tumou?r\w*|observations?\b|foc(?:us|i)\b|sol\b",
        r"(?:hypo|hyper|iso)-?(?:densit\w+|attenuations?\b|enhancements?\b)|space[- ]occupying|deposits?\b|growth\b",
        r"(?:(?:hypo|hyper)\w+|low[- ](?:density|attenuation)|abnormal|enhancing) (?:areas?|regions?|abnormalit\w+|densit\w+)",
        r"abnormalit\w+|raumforderung\w*|herde?\b",
    ),
    "normal": (
        r"unremarkable|normal(?! (?:in )?(?:size|contour|caliber|morphology|course|attenuation|variant|limits for))|clear\b",
        r"within normal limits|disease[- ]free|spared\b|uninvolved|not involved",
    ),
    "liver": (r"(?:intra)?hepatic|livers?\b|leber\w*|h[i\u00ed]gado|fegato",),
}

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

ENGLISH = Language(
    triggers=(
        "seg", "sgt", "liver", "hepat", "lobe", "lesion", "mass", "nodul", "metast", "mets", "hcc", "carcin", "tumor",
        "tumour", "caudate", "quadrate", "bilobar", "dome", "cyst", "hypod", "hypoatt", "focal", "foc", "4a", "4b", "iva",
        "ivb", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "sec", "malig", "neopl", "normal", "unremark", "abnorm",
    ),
    segment_word=r"(?:(?:liver|leber)[- ]?)?(?:segm?(?:\.|\b)|segment(?:s|e|en|o|i|os|er|es)?|sgt\.?|segmentectom(?:y|ies)(?: of)?)",
    misspelled_segment_word=r"s[egmn]{2,5}[egmnt]{1,3}ts?",
    number_words=dict(zip(("one", "two", "three", "four", "five", "six", "seven", "eight"), range(1, 9), strict=True)),
    ordinal_words={
        **dict(zip(("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"), range(1, 9), strict=True)),
        **dict(zip(("1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th"), range(1, 9), strict=True)),
    },
    and_words=r"and/or|and|or|as well as|plus|und|et|y|e|en",
    range_words=r"to|through|thru|until|bis",
    regions=_REGIONS,
    cues=_CUES,
    place_prepositions=r"in|within|of|at|involving|into|replacing|occupying|spanning|straddling|from|affecting|inside|on|im|en|al",
    bare_numeral_findings=r"(?:lesions?|mass(?:es)?|nodules?|metastas[ei]s|hcc|tumou?rs?|mets?|liver|hepatic)",
    staging_words=r"stage|grade|type|class|bosniak|figure|fig\.?|image|series|level|category|phase|child",
    abbreviations=frozenset(
        "seg segm segs sgt approx vs dr mr mrs ca fig im img ser cf max min resp st e.g i.e incl dx hx ant post lat".split()
    ),
    fresh_start=r"(?:,|\band)\s+(?:an?|the|there|with|now|new|\d)\b|\bwith (?:an?|new)\b",
    continuations=r"(?:this|these|it|they|which|findings? (?:is|are)|appearances?|features?)\b",
    sections=_SECTIONS,
)  # fmt: skip
