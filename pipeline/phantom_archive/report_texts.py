"""Reports of phantoms, in the English of radiologists: what is there, what is not, what is benign, what is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pipeline.phantom_archive.tags import BIRTH_DATE_WRITTEN, CANARY, STUDY_DATE_WRITTEN, PatientTags
from pipeline.segment_names import ROMAN

Statement = Literal["segments", "healthy", "uncertain"]

_KINDS = ("metastasis", "HCC", "hepatocellular carcinoma", "solid mass", "hypodense lesion", "cholangiocarcinoma")
_LISTED = ("metastases", "hypodense lesions", "solid masses")
_ONE = (
    "A {size} {kind} in {place}.",
    "{size} {kind} in {place}, previously {before}.",
    "There is a {kind} in {place} measuring {size}.",
    "In {place} there is a {size} {kind}.",
    "New {kind} in {place} ({size}).",
)
_MANY = ("Several {kinds} in {places}, the largest {size}.", "{kinds} are present in {places}.")
_ABSENT = ("No lesion in {place}.", "No tumor is identified in {place}.")
_BENIGN = (
    "Simple cyst in {place}.",
    "{size} hemangioma in {place} with peripheral nodular enhancement.",
    "Focal fatty sparing in {place}.",
)
_HEALTHY = (
    "The liver is normal in size and attenuation without focal mass.",
    "No focal liver lesion.",
    "There is no mass, cyst, or abscess in the liver.",
    "No suspicious liver lesion is identified.",
)
_OPEN = (
    "Subtle hypodensity in {place} may represent a metastasis.",
    "Indeterminate lesion in {place}, {size}.",
    "Metastasis in {place} cannot be excluded.",
    "A {size} hypodense lesion in {place} is too small to characterize.",
)
_ELSEWHERE = (
    "Spleen, pancreas and adrenals are unremarkable.",
    "Kidneys: No hydronephrosis.",
    "Lungs: 6 mm nodule in the superior segment of the right lower lobe.",
    "Bones: Lytic lesion at L4.",
    "Status post cholecystectomy.",
    "No free fluid.",
)


def write_report(
    rng: np.random.Generator, patient: PatientTags, segments: Sequence[int], *, uncertain: bool = False
) -> str:
    """Return the report of one examination.

    Args:
        rng: Chooses the words.
        patient: Whose it is; name, ids and dates stand in its head.
        segments: Segments 1..8 with a tumor; none for a healthy liver.
        uncertain: Whether the report leaves open what is there, and names no tumor outright.
    """
    roman = bool(rng.integers(2))
    free = [number for number in range(1, 9) if number not in segments]
    liver = [_pick(rng, _HEALTHY)]
    if uncertain:
        doubtful = int(rng.choice(list(segments) or free))
        liver = [_fill(rng, _pick(rng, _OPEN), _place(rng, [doubtful], roman))]
        free = [number for number in free if number != doubtful]
    elif segments:
        liver = _tumors(rng, segments, roman)
    if free and rng.integers(2):
        spared = _place(rng, [int(rng.choice(free))], roman)
        liver.append(_fill(rng, _pick(rng, _BENIGN if rng.integers(2) else _ABSENT), spared))
    others = rng.permutation(_ELSEWHERE)[:3].tolist()
    head = (
        f"CT ABDOMEN of {STUDY_DATE_WRITTEN}, {patient.accession}. Patient: {patient.name} ({patient.patient_id}),"
        f" born {BIRTH_DATE_WRITTEN}. Referred by Dr. {CANARY}."
    )
    return f"{head}\nFINDINGS: Liver: {' '.join(liver)}\n{' '.join(others)}\n"


def _tumors(rng: np.random.Generator, segments: Sequence[int], roman: bool) -> list[str]:
    """Return sentences that name all of some segments: one each, or one for all of them."""
    if len(segments) > 1 and rng.integers(2):
        text = _fill(rng, _pick(rng, _MANY), _place(rng, segments, roman))
        return [text[0].upper() + text[1:]]
    return [_fill(rng, _pick(rng, _ONE), _place(rng, [number], roman)) for number in segments]


def _place(rng: np.random.Generator, segments: Sequence[int], roman: bool) -> str:
    """Name segments: `segment 6`, `seg. VI`, `segments II, IVa and VIII`."""
    halves = {4: _pick(rng, ("", "a", "b"))}
    names = [(ROMAN[number - 1] if roman else str(number)) + halves.get(number, "") for number in segments]
    if len(names) == 1:
        return f"{_pick(rng, ('segment', 'seg.', 'liver segment'))} {names[0]}"
    return f"segments {', '.join(names[:-1])} and {names[-1]}"


def _fill(rng: np.random.Generator, sentence: str, place: str) -> str:
    """Put a place, sizes and a kind of lesion into a sentence."""
    size, before = (f"{number / 10:.1f} cm" for number in rng.integers(8, 60, 2))
    words = {"kind": _pick(rng, _KINDS), "kinds": _pick(rng, _LISTED), "size": size, "before": before}
    return sentence.format(place=place, places=place, **words)


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    """Draw one of some texts."""
    return choices[int(rng.integers(len(choices)))]
