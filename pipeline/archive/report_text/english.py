"""English, with the few words that reports of neighboring languages spell nearly alike."""

from __future__ import annotations

from pipeline.archive.report_text.language import Language, Region

_LESION = r"(?:lesion|mass|nodule|tumou?r|metasta\w+|hcc|foc(?:us|i)|observation|carcinoma|disease)"
_LOBE = r"(?:(?:hepatic|liver) )?lobe(?! of (?:the )?(?:thyroid|lung|prostate|brain|cerebell))"
_SECTION = r"(?:segments?|sections?|sectors?|division)"
_SEEN = r"(?:seen|visible|visuali[sz]ed|identified|demonstrated|evident|apparent|detected|present|found|appreciated|noted)"
_STUDY = r"(?:ct|mri?|pet|stud(?:y|ies)|exam\w*|scans?|imaging|images?|reports?|ultrasound|comparison)"
_RIGHT, _LEFT = (5, 6, 7, 8), (2, 3, 4)



def _entries(*lines: str) -> tuple[str, ...]:
    """Return the patterns of lines that list them with semicolons between."""
    return tuple(entry for line in lines for entry in line.split("; "))


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
    "ignored": _entries(
        r"no (?:\w+ ){0,2}(?:change|growth|progression|increase|decrease|enlargement)",
        r"not (?:\w+ )?(?:changed|enlarged|increased)",
        r"no doubt",
        rf"(?:prior|previous|old|outside|last) (?:\w+ ){{0,2}}{_STUDY}",
        r"(?:un)?resectable",
        r"(?:planned|scheduled|considered|candidate|referred|amenable|evaluat\w+) (?:for|to) \w+",
        r"tumou?r (?:board|markers?|thrombus)",
        r"hepatic (?:flexure|hilum)",
        r"fat(?:ty)? liver; gall ?bladder fossa",
        r"(?:liver|hepatic|renal|kidney|lung|heart|artery|joint|dis[ck]|degenerative|vascular|fatty|polycystic) disease",
        r"(?:colorectal|colon(?:ic)?|rectal|breast|gastric|ovarian|neuroendocrine)(?= (?:\w+ )?(?:metasta|mets|liver|hepatic))",
        r"(?:low|high)[- ]density(?= (?:lesion|mass|nodule))",
    ),
    "doubt_after": _entries(
        r"too small (?:to|for) (?:be )?(?:\w+ly )?(?:characteri\w+|assess\w*|classif\w+)",
        r"(?:can ?not|could not|can|unable to|difficult to) be (?:\w+ly )?(?:not )?(?:excluded|ruled out|characteri[sz]ed|differentiated)",
        r"(?:cannot|unable|difficult|not possible) (?:to )?(?:be )?(?:\w+ly )?(?:characteri[sz]ed?|differentiated?|assess(?:ed)?|"
        r"excluded|ruled out)",
        r"not (?:be )?(?:\w+ly |further )?(?:characteri[sz]ed|excluded|ruled out)",
        r"(?:incompletely|inadequately|poorly) (?:characteri[sz]ed|evaluated|assessed|visuali[sz]ed)",
        r"of (?:uncertain|unclear|indeterminate|unknown|doubtful) (?:\w+ )?(?:significance|etiology|nature|origin)",
        r"(?:needs|requires|warrants?) further (?:characteri[sz]ation|evaluation|work-?up)",
    ),
    "negation_after": _entries(
        r"(?:resolved|disappeared|vanished)",
        r"no longer",
        rf"not (?:\w+ly )?{_SEEN}",
        r"(?:is|are|was|were|been) (?:ruled out|excluded|absent)",
    ),
    "doubt_before": _entries(
        r"(?:cannot|can not|could not|unable to|difficult to) (?:\w+ly )?(?:exclude|rule out)",
        r"(?:can|couldn)'t (?:exclude|rule out)",
        r"rule out; r/o; to exclude; possib(?:le|ly|ility); perhaps; query",
        r"question(?:able|ed)?; equivocal; indeterminate; inconclusive; in-conclusive; nonspecific; non-specific",
        r"doubtful; uncertain; unclear; differential",
        r"(?:may|might|could|can) (?:\w+ly )?(?:represent|be|reflect|indicate|correspond)",
    ),
    "leaning": _entries(r"probabl[ey]; (?:un)?likely; presum\w+; favou?r(?:s|ed|ing)?"),
    "treatment": _entries(
        r"surgically (?:absent|removed); absent(?= (?:liver |hepatic )?(?:seg|lobe)); (?:surgical|metallic) clips",
        r"post-?(?:surgical|operative|ablation|treatment); postsurgical; postoperative; postablation; resect(?:ed|ions?)",
        r"(?:hemi|bi|tri)?(?:hepatect|segmentect|sectionect|lobect|metastasect|sectorect)om(?:y|ies)",
        r"(?:cryo|thermo)?ablat(?:ed|ions?); rfa; mwa; tace; (?:chemo|radio)?emboli[sz](?:ed|ations?); y-90; y90; sirt",
        r"excis(?:ed|ions?); (?:has|have) been removed; treatment (?:zone|cavity|site); transplant\w*",
        rf"treated(?= (?:\w+ )?{_LESION})",
    ),
    "normal": _entries(
        r"unremarkable",
        r"normal(?! (?:in )?(?:size|contour|caliber|morphology|course|attenuation|variant|limits for))",
        r"clear; within normal limits; disease[- ]free; free of (?:\w+ )?disease; spared; uninvolved; not involved",
    ),
    "negation_before": _entries(
        r"no(?!\.); without; w/o; absen(?:ce|t)(?: of)?; negative for; free (?:of|from); lack(?:s|ing)? (?:of )?; nor",
        r"neither; none of; (?:cannot|can not|can't) be(?: an?)?; not; rather than; instead of",
        r"(?:resolution|disappearance|regression) of; complete (?:\w+ )?response of",
    ),
    "past": _entries(r"status[- ]post; s/p; history of; h/o; underwent; treatment of; removal of"),
    "earlier": _entries(r"prior; previous(?:ly)?(?!(?: measur\w+)?,? ?[\d(]); former(?:ly)?; historical; remote"),
    "active": _entries(r"new(?:ly)?; now; current(?:ly)?; recurrent; residual; viable; today; develop(?:ed|ing|ment)"),
    "persistent": _entries(
        r"again; unchanged; stable; persist\w*; (?:in|de)creas\w*; grown; grew; progress\w*; regress\w*; larger; smaller",
        r"measur\w*; redemonstrated; re-demonstrated; enlarg\w*; shr[aiu]nk\w*; remains?; continues?",
    ),
    "boundary": _entries(
        r"but; however; although; though; whereas; while; except(?:ing|ion)?(?: for| of)?; other than; apart from",
        r"aside from; besides; otherwise; with the exception of",
    ),
    "contact": _entries(
        r"abut\w*; compress\w*; invad\w*; extend\w*\s+(?:in)?to(?:ward)?; encas\w*; displac\w*; indent\w*; contact\w*",
        r"(?:adjacent|next|close|anterior|posterior|lateral|medial|superior|inferior|contiguous) (?:to|with); near",
        r"against; beneath; beside; along; invasion of; primary (?:tumou?r |cancer )?(?:in|of); (?:metasta\w+ )?from",
    ),
    "example": _entries(r"largest; biggest; dominant; index; for example; e\.g; including; such as; representative"),
    "versus": _entries(r"versus; vs; or"),
    "link": _entries(
        r"(?:consistent|compatible|in keeping|consonant) with; c/w; represent\w*; suggest\w*; typical\w*",
        r"characteristic\w*; diagnostic; pathognomonic; suspicious; concerning; worrisome; suspected; suspicion",
        r"is(?: an?)?; are; was; were; appear\w*; reflect\w*; correspond\w*; known to be; proven",
    ),
    "doubtful": _entries(r"lr[- ]?[34]; lr[34]; li-?rads[- ]?(?:category )?[34]; dysplastic nodules?; pseudo-?lesions?"),
    "benign": _entries(
        r"(?:micro|macro)?cyst(?:s|ic (?:lesions?|foc(?:us|i)|structures?|change))?; ha?emangiomas?; fnh; hydatid\w*",
        r"focal nodular hyperplasia; (?:focal|geographic|patchy) (?:\w+ )?fat\w*(?: \w+tion| sparing| change)?; steato\w*; (?:angiomyo)?lipomas?",
        r"fat(?:ty)? (?:infiltrat\w+|change|deposit\w*|spar\w+|replacement); abscess(?:es)?; (?:cyst)?adenomas?",
        r"hamartomas?; von meyenburg; granulom\w+; calcifications?; thad; thid; bilomas?; infarct\w*; echinococc\w*",
        r"transient hepatic (?:attenuation|intensity) differences?; perfusion\w*(?: \w+)?; (?:arterio\w+ )?shunt\w*",
        r"ha?ematomas?; lacerations?; contusions?; benign(?:[- ]appearing)?; regenerative nodules?; scar; peliosis",
        r"lr[- ]?[12]; lr[12]; li-?rads[- ]?(?:category )?[12]; confluent fibrosis; phlegmon; pseudomass",
    ),
    "neutral": _entries(
        r"(?:bile|biliary|hepatic|pancreatic|common) ducts?; ducts?; ductal; biliary (?:dilat\w+|tree|stents?); pneumobilia",
        r"(?:right |left |middle )?(?:portal|hepatic) (?:veins?|venous|arter\w+)(?: branch\w*)?; dilat\w+; atroph\w+",
        r"hypertroph\w+; thromb\w+; stents?; drains?; catheter; cirrho\w+; (?:hepato|spleno)megaly; biops(?:y|ies); patent",
    ),
    "segmented_organ": _entries(
        r"lungs?; pulmonary; bronch\w+; lingul\w+; (?:right |left )?(?:upper|lower|middle) lobes?; (?:r|l)(?:u|l|m)l; chest",
        r"thora\w+; apicoposterior; (?:superior|basal|apical) segments?; atelect\w+; pneumon\w+; consolidation",
        r"ground[- ]glass; airways?; coronar\w+; lad; rca; lcx; circumflex; cardiac; heart; myocard\w+; stenos\w+",
        r"(?:anterior descending|vertebral|carotid|cerebral) arter\w+; thyroid; prostat\w*; brain; cerebr\w+; cerebell\w+",
    ),
    "other_organ": _entries(
        r"kidneys?; renal; adrenals?; spleen; splenic; pancrea\w*; gall ?bladder; bladder; uter\w+; ovar\w+; adnex\w+",
        r"breasts?; lymph nodes?; nodes?; nodal; lymphadenopathy; stomach; gastric; esophag\w*; peritone\w+; omental",
        r"omentum; mesenter\w+; aort\w+; muscles?; skin; subcutaneous; testic\w+; pelvi[cs]\w*; retroperitone\w+; pleura\w*",
        r"medias\w+; hilar; diaphragm\w*; parotid; larynx; neck; spin(?:e|al); sacr(?:um|al); vertebra\w*; lumbar; cervical",
        r"coccy\w+; [lt]\d{1,2}; dis[ck]s?; nerves?; ribs?; bon(?:e|es|y); osseous; skelet\w+; iliac; femor\w+; bowel",
        r"colon\w*; colorectal; rect(?:um|al); sigmoid; jejun\w+; ile(?:um|al); duoden\w+; ca?ec(?:um|al); append\w+",
        r"intestin\w+; foraminal; radicul\w+; dermatom\w*; st[- ]segments?; urethr\w+; ureter\w*",
    ),
    "malignant": _entries(
        r"hcc; hepatocellular(?: carcinomas?)?; hepatomas?; (?:adeno|cholangio|hepato)?carcinom\w+; metasta\w+; mets?; crlm",
        r"malignan\w+; neoplas\w+; lymphom\w+; (?:angio|leiomyo)?sarcomas?; (?:hepato|neuro)blastomas?; cancers?; melanoma",
        r"lr[- ]?(?:5|m|tiv); lr(?:5|m); li-?rads[- ]?(?:category )?(?:5|m|tiv); recurrences?",
        r"(?:metastatic|residual|recurrent|malignant|tumou?r) (?:disease|deposits?|implants?)",
    ),
    "generic": _entries(
        r"l[ae\u00e4\u00e9]si[o\u00f3]n\w*; mass(?:es)?; nodules?; n[o\u00f3]dul[oi]s?; tumou?r\w*; observations?; foc(?:us|i); sol",
        r"(?:hypo|hyper|iso)(?:densit\w+|attenuations?|enhancements?); space[- ]occupying; deposits?; growth",
        r"(?:hypo|hyper)\w+ (?:areas?|regions?|abnormalit\w+|densit\w+); low[- ](?:density|attenuation) (?:areas?|regions?)",
        r"(?:abnormal|enhancing) (?:areas?|regions?|densit\w+); disease; abnormalit\w+; raumforderung\w*; herde?",
    ),
    "liver": _entries(r"(?:intra)?hepatic; livers?; leber\w*; h[i\u00ed]gado; fegato"),
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
        "liver hepat seg couinaud lob hcc caud quadra dome sect sg seq s1 s2 s3 s4 s5 s6 s7 s8 4a 4b "
        "iva ivb vi/ i/v iii leber h\u00edgado fegato"
    ).split(),
    place_words=(
        r"seg\w*; sgt; couinaud; s\d[ab]?; 4[ab]; iv[ab]; [iv]+; [1-8](?:st|nd|rd|th); lobes?; sections?; sectors?; division; dome"
        r"; caudate; quadrate; bilobar; throughout; diffusely; entire; whole; hemiliver; liver; leber\w*"
    ).split("; "),
    segment_word=r"(?:(?:liver|leber)[- ]?)?(?:segmentectom(?:y|ies)(?: of)?|segm?s?(?:\.|\b)|couinaud(?: segments?)?|segment(?:s|e|en|o|i|os|er|es)?|sgt\.?)",
    segment_noun="segment",
    liver_stems=("hepat", "hcc"),
    primary_words=r"cancers?|\w*carcinomas?|ca|primary|primaries|malignancy|melanomas?|neuroendocrine",
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
    apposition_breaks=frozenset(("and", "with", "no")),
    reason_words=frozenset(("for", "of", "to")),
    abbreviations=frozenset(
        "seg segm segs sgt approx vs dr mr mrs ca fig im img ser cf max min resp st e.g i.e incl dx hx ant post lat".split()
    ),
    plural=r"(?:(?<![sui])s|foci)$",
    apart_words=r"and|with|plus|;|but",
    fresh_start=r"(?:,|\band)\s+(?:(?:an?|the|there|with|now|new)\b|\d+(?:\.\d+)?\s*-?\s*(?:mm|cm|x)\b)(?!\w)|\bwith (?:an?|new)\b",
    continuations=(
        r"(?:this|these|it|they|which|findings? (?:is|are)|appearances?|features?|correspond\w*|consistent|compatible|likely"
        r"|favou?r\w*|(?:enhancement|imaging) (?:pattern|features|characteristics))\b"
    ),
    sections=_SECTIONS,
)  # fmt: skip
