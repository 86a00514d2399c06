"""The cues of English reports, by kind, with the few words that neighboring languages spell nearly alike.

Patterns that stand in one line are separated by semicolons.
"""

from __future__ import annotations

from pipeline.archive.report_text.language import entries

_LESION = r"(?:lesion|mass|nodule|tumou?r|metasta\w+|hcc|foc(?:us|i)|observation|carcinoma|disease)"
_SETTLED = r"(?:characteri[sz]ed|differentiated|assessed|excluded|ruled out)"
_SEEN = (
    r"(?:seen|visible|visuali[sz]ed|identified|demonstrated|evident|apparent|detected|present|found|appreciated|noted)"
)
_STUDY = r"(?:ct|mri?|pet|stud(?:y|ies)|exam\w*|scans?|imaging|images?|reports?|ultrasound|comparison)"

CUES = {
    "ignored": entries(
        r"no (?:\w+ ){0,2}(?:change|growth|progression|increase|decrease|enlargement)",
        r"not (?:\w+ )?(?:changed|enlarged|increased); no doubt",
        rf"(?:prior|previous|old|outside|last) (?:\w+ ){{0,2}}{_STUDY}",
        r"(?:un)?resectable; central scar",
        rf"not (?:\w+ly )?{_SEEN} (?:previously|before|in \d{{4}}|on (?:the |an? )?(?:prior|previous|earlier|old))",
        rf"not (?:\w+ly )?{_SEEN} on (?:the )?{_STUDY} (?:of|from|dated|in) \w+",
        rf"(?:previously|formerly) not (?:\w+ly )?{_SEEN}",
        r"(?:planned|scheduled|considered|candidate|referred|amenable|evaluat\w+) (?:for|to) \w+",
        r"tumou?r (?:board|markers?|thrombus); hepatic (?:flexure|hilum); fat(?:ty)? liver; gall ?bladder fossa",
        r"(?:liver|hepatic|renal|kidney|lung|heart|artery|joint|dis[ck]|degenerative|vascular|polycystic) disease",
        r"(?:colorectal|colon(?:ic)?|rectal|breast|gastric|ovarian)(?= (?:\w+ )?(?:metasta|mets|liver|hepatic))",
        r"(?:low|high)[- ]density(?= (?:lesion|mass|nodule))",
    ),
    "doubt_after": entries(
        r"too small (?:to|for) (?:be )?(?:\w+ly )?(?:characteri\w+|assess\w*|classif\w+)",
        rf"(?:can ?not|could not) be (?:\w+ly )?{_SETTLED}",
        rf"(?:unable|difficult|not possible) to be (?:\w+ly )?{_SETTLED}",
        r"(?:unable|difficult|not possible) to (?:\w+ly )?(?:characteri[sz]e|differentiate|assess)",
        r"not (?:be )?(?:\w+ly |further )?(?:characteri[sz]ed|excluded|ruled out)",
        r"(?:incompletely|inadequately|poorly) (?:characteri[sz]ed|evaluated|assessed|visuali[sz]ed)",
        r"of (?:uncertain|unclear|indeterminate|unknown|doubtful) (?:\w+ )?(?:significance|etiology|nature|origin)",
        r"(?:needs|requires|warrants?) further (?:characteri[sz]ation|evaluation|work-?up)",
    ),
    "limited": entries(
        rf"(?:evaluation|assessment|visuali[sz]ation|sensitivity|detection|{_STUDY})"
        r"(?= (?:[\w-]+ ){0,8}?(?:limited|degraded|suboptimal|compromised|impaired|hampered|non-?diagnostic))",
        r"(?:limited|suboptimal|poor|degraded|inadequate|incomplete|restricted)"
        r" (?:\w+ )?(?:evaluation|assessment|visuali[sz]ation|examination|study)",
        r"limit(?:s|ed|ing) (?:the )?(?:evaluation|assessment|visuali[sz]ation|sensitivity|detection)",
        r"(?:non-contrast|noncontrast|unenhanced) (?:study|ct|scan|exam\w*|technique); obscur(?:ed|es|ing)",
        r"within (?:the )?limit(?:s|ations) of (?=this|the|an?|non|un); (?:may|might|could) be (?:missed|overlooked)",
    ),
    "negation_after": entries(
        r"(?:resolved|disappeared|vanished); no longer",
        rf"not (?:\w+ly )?{_SEEN}",
        r"(?:is|are|was|were|been) (?:ruled out|excluded|absent)",
    ),
    "doubt_before": entries(
        r"(?:cannot|can not|could not|unable to|difficult to) (?:\w+ly )?(?:exclude|rule out)",
        r"(?:can|couldn)'t (?:exclude|rule out); rule out; r/o; to exclude; possib(?:le|ly|ility); perhaps; query",
        r"question(?:able|ed)?; equivocal; indeterminate; inconclusive; in-conclusive; nonspecific; non-specific",
        r"doubtful; uncertain; unclear; differential",
        r"(?:may|might|could|can) (?:\w+ly )?(?:represent|be|reflect|indicate|correspond)",
        r"not (?:definite|clear|certain|necessari|entire)\w*; atypical (?:for|of)",
    ),
    "leaning": entries(
        r"probabl[ey]; (?:un)?likely; presum\w+; favou?r(?:s|ed|ing)?",
    ),
    "treatment": entries(
        r"surgically (?:absent|removed); absent(?= (?:liver |hepatic )?(?:seg|lobe)); (?:surgical|metallic) clips",
        r"post-?(?:surgical|operative|ablation|treatment); postsurgical; postoperative; postablation",
        r"resect(?:ed|ions?)",
        r"(?:hemi|bi|tri)?(?:hepatect|segmentect|sectionect|lobect|metastasect|sectorect)om(?:y|ies)",
        r"(?:cryo|thermo)?ablat(?:ed|ions?); rfa; mwa; tace; (?:chemo|radio)?emboli[sz](?:ed|ations?); y-90; y90",
        r"sirt; excis(?:ed|ions?); (?:has|have) been removed; treatment (?:zone|cavity|site); transplant\w*",
        rf"treated(?= (?:\w+ ){{0,3}}{_LESION}| (?:with|by))",
    ),
    "normal": entries(
        r"unremarkable",
        r"normal(?! (?:in )?(?:size|contour|caliber|morphology|course|attenuation|variant|limits for)); clear",
        r"within normal limits; disease[- ]free; free of (?:\w+ )?disease; uninvolved; not involved",
        r"spar(?:ed|ing)(?: of)?; free(?! (?:of|from|air|fluid|edge))",
    ),
    "negation_before": entries(
        r"no(?!\.); without; w/o; absen(?:ce|t)(?: of)?; negative for; free (?:of|from); lack(?:s|ing)? (?:of )?",
        r"nor; neither; none of; (?:cannot|can not|can't) be(?: an?)?; not; rather than; instead of",
        r"(?:resolution|disappearance|regression) of; complete (?:\w+ )?response of",
    ),
    "past": entries(
        r"status[- ]post; s/p; history of; h/o; underwent; treatment of; removal of",
    ),
    "earlier": entries(
        r"prior; previous(?:ly)?(?!(?: measur\w+)?,? ?[\d(]); former(?:ly)?; historical; remote",
    ),
    "active": entries(
        r"new(?:ly)?; now; current(?:ly)?; recurrent; residual; viable; today; develop(?:ed|ing|ment)",
    ),
    "persistent": entries(
        r"again; unchanged; stable; persist\w*; (?:in|de)creas\w*; grown; grew; progress\w*; regress\w*; larger",
        r"smaller; measur\w*; redemonstrated; re-demonstrated; enlarg\w*; shr[aiu]nk\w*; remains?; continues?",
    ),
    "boundary": entries(
        r"but; however; although; though; whereas; while; except(?:ing|ion)?(?: for| of)?; other than; apart from",
        r"aside from; besides; otherwise; with the exception of",
    ),
    "contact": entries(
        r"abut\w*; compress\w*; invad\w*; extend\w*\s+(?:in)?to(?:ward)?; encas\w*; displac\w*; indent\w*",
        r"contact\w*",
        r"(?:adjacent|next|close|anterior|posterior|lateral|medial|superior|inferior|contiguous) (?:to|with); near",
        r"against; beneath; beside; along; invasion of; primary (?:tumou?r |cancer )?(?:in|of)",
        r"(?:metasta\w+ )?from",
    ),
    "example": entries(
        r"largest; biggest; dominant; index; for example; e\.g; including; such as; representative",
    ),
    "versus": entries(
        r"versus; vs; or",
    ),
    "link": entries(
        r"(?:consistent|compatible|in keeping|consonant) with; c/w; represent\w*; suggest\w*; typical\w*",
        r"characteristic\w*; diagnostic; pathognomonic; suspicious; concerning; worrisome; suspected; suspicion",
        r"is(?: an?)?; are; was; were; appear\w*; reflect\w*; correspond\w*; known to be; proven",
    ),
    "elsewhere": entries(
        r"(?:the )?known; mri?; pet; ultrasound; sonograph\w+",
    ),
    "partitive": entries(
        r"(?:some|most|many|several|one|two|three|majority|part|half) of (?:which|them|these|those|the); majority",
    ),
    "doubtful": entries(
        r"lr[- ]?[34]; lr[34]; li-?rads[- ]?(?:category )?[34]; dysplastic nodules?; pseudo-?lesions?",
    ),
    "background": entries(
        r"perfusion\w*(?: \w+)?; (?:arterio\w+ )?shunt\w*; ha?ematomas?; lacerations?; contusions?; scar",
        r"calcifications?; granulom\w+; art[ei]facts?",
    ),
    "benign": entries(
        r"(?:micro|macro)?cyst(?:s|ic (?:lesions?|foc(?:us|i)|structures?|change))?; ha?emangiomas?; fnh",
        r"hydatid\w*; focal nodular hyperplasia",
        r"(?:focal|geographic|patchy) (?:\w+ )?fat\w*(?: \w+tion| sparing| change)?; steato\w*",
        r"(?:angiomyo)?lipomas?; fat(?:ty)? (?:infiltrat\w+|change|deposit\w*|spar\w+|replacement); abscess(?:es)?",
        r"(?:cyst)?adenomas?; hamartomas?; von meyenburg; thad; thid; bilomas?",
        r"infarct\w*; echinococc\w*; transient hepatic (?:attenuation|intensity) differences?",
        r"benign(?:[- ]appearing)?; regenerative nodules?; peliosis; lr[- ]?[12]; lr[12]",
        r"li-?rads[- ]?(?:category )?[12]; confluent fibrosis; phlegmon; pseudomass",
    ),
    "neutral": entries(
        r"(?:bile|biliary|hepatic|pancreatic|common) ducts?; ducts?; ductal; biliary (?:dilat\w+|tree|stents?)",
        r"pneumobilia; (?:right |left |middle )?(?:portal|hepatic) (?:veins?|venous|arter\w+)(?: branch\w*)?",
        r"dilat\w+; atroph\w+; hypertroph\w+; thromb\w+; stents?; drains?; catheter; cirrho\w+",
        r"(?:hepato|spleno)megaly; biops(?:y|ies); patent",
    ),
    "segmented_organ": entries(
        r"lungs?; pulmonary; bronch\w+; lingul\w+; (?:right |left )?(?:upper|lower|middle) lobes?",
        r"(?:r|l)(?:u|l|m)l; chest; thora\w+; apicoposterior; (?:superior|basal|apical) segments?; atelect\w+",
        r"pneumon\w+; consolidation; ground[- ]glass; airways?; coronar\w+; lad; rca; lcx; circumflex; cardiac",
        r"heart; myocard\w+; stenos\w+; (?:anterior descending|vertebral|carotid|cerebral) arter\w+; thyroid",
        r"prostat\w*; brain; cerebr\w+; cerebell\w+",
    ),
    "other_organ": entries(
        r"kidneys?; renal; adrenals?; spleen; splenic; pancrea\w*; gall ?bladder; bladder; uter\w+; ovar\w+",
        r"adnex\w+; breasts?; lymph nodes?; nodes?; nodal; lymphadenopathy; stomach; gastric; esophag\w*",
        r"peritone\w+; omental; omentum; mesenter\w+; aort\w+; muscles?; skin; subcutaneous; testic\w+",
        r"pelvi[cs]\w*; retroperitone\w+; pleura\w*; medias\w+; hilar; diaphragm\w*; parotid; larynx; neck",
        r"spin(?:e|al); sacr(?:um|al); vertebra\w*; lumbar; cervical; coccy\w+; [lt]\d{1,2}; dis[ck]s?; nerves?",
        r"ribs?; bon(?:e|es|y); osseous; skelet\w+; iliac; femor\w+; bowel; colon\w*; colorectal; rect(?:um|al)",
        r"sigmoid; jejun\w+; ile(?:um|al); duoden\w+; ca?ec(?:um|al); append\w+; intestin\w+; foraminal",
        r"radicul\w+; dermatom\w*; st[- ]segments?; urethr\w+; ureter\w*; lytic; sclerotic; fractur\w+",
    ),
    "malignant": entries(
        r"hcc; hepatocellular(?: carcinomas?)?; hepatomas?; (?:(?:cyst)?adeno|cholangio|hepato)?carcinom\w+",
        r"metasta\w+; mets?; crlm; malignan\w+; neoplas\w+; lymphom\w+; (?:angio|leiomyo)?sarcomas?",
        r"(?:hepato|neuro)blastomas?; cancers?; melanoma; lr[- ]?(?:5|m|tiv); lr(?:5|m)",
        r"li-?rads[- ]?(?:category )?(?:5|m|tiv); recurrences?",
        r"(?:metastatic|residual|recurrent|malignant|tumou?r) (?:disease|deposits?|implants?)",
    ),
    "generic": entries(
        r"l[ae\u00e4\u00e9]si[o\u00f3]n\w*; mass(?:es)?; nodules?; n[o\u00f3]dul[oi]s?; tumou?r\w*; observations?",
        r"foc(?:us|i); sol; (?:hypo|hyper|iso)(?:densit\w+|attenuations?|enhancements?); space[- ]occupying",
        r"deposits?; growth; (?:hypo|hyper)\w+ (?:areas?|regions?|abnormalit\w+|densit\w+)",
        r"low[- ](?:density|attenuation) (?:areas?|regions?); (?:abnormal|enhancing) (?:areas?|regions?|densit\w+)",
        r"disease; abnormalit\w+; raumforderung\w*; herde?",
    ),
    "liver": entries(
        r"(?:intra)?hepatic; livers?; (?:solid|visceral|abdominal) organs; leber\w*; h[i\u00ed]gado; fegato",
    ),
}
"""Patterns of every kind of `CUE_ORDER`."""
