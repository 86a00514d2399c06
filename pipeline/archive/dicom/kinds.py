"""What a DICOM file of an archive is: a slice of an axial CT, or one of the many other things, each by its reason.

The texts that tell a phase are read here and nowhere else; what leaves this module is one of a few words and hashes.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.archive.dicom.attributes import integer_of, quiet, text_of, value_of
from pipeline.archive.dicom.seg import has_liver

if TYPE_CHECKING:
    import pydicom

KIND_KEYWORDS = (
    "SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "AccessionNumber",
    "SeriesDescription", "ProtocolName", "ContrastBolusAgent", "SamplesPerPixel", "PhotometricInterpretation", "Rows",
    "ReferencedSeriesSequence", "SegmentSequence",
)  # fmt: skip
"""What the discovery reads of a file. None of the texts is passed on."""
IDENTIFIERS = ("SeriesInstanceUID", "StudyInstanceUID", "AccessionNumber", "PatientID")
"""What a re-identification table holds, if the site asks for one."""
SEGMENTATION = "SEGMENTATION"
"""Reason of a DICOM SEG: it is no slice, but may hold the liver of one."""
_SEGMENTATION_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
_SECONDARY_CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"
_WORDS = {
    "LOCALIZER": ("LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"),
    "DOSE_REPORT": ("DOSE_INFO", "DOSE", "DOSE REPORT", "EXAM_SUMMARY", "SUMMARY"),
    "SCREEN_CAPTURE": ("SCREEN SAVE", "SCREENSAVE", "CAPTURE", "SECONDARY CAPTURE", "REPORT"),
    "REFORMATTED": (
        "MPR", "MIP", "MINIP", "AVERAGE", "PROJECTION IMAGE", "CURVED", "CPR", "VRT", "VOLUME RENDERING", "REFORMATTED",
        "RENDERED", "3D", "CORONAL", "SAGITTAL",
    ),
}  # fmt: skip
"""Values of ImageType by the reason that they are one of."""
_PHASES = (
    ("native", r"nativ|non[ -]?con|without|unenhanced|\bplain\b|\bw/?o\b|\bnc\b|sans|senza|ohne|blanco"),
    ("portal", r"porta|portov|\bpvp?\b|veno|venös|veine|\bven\b|\b[678]\d ?s(?:e[ck]\w*)?\b"),
    ("arterial", r"arter|\bart\b|\bhap\b|angio|\bcta\b"),
    ("delayed", r"delay|\blate\b|equil|excret|tardi|spät|\b[235] ?min"),
)
"""Words of a series' texts, the first that fits wins."""
_AND = r"\s*(?:and|or|und|et|e|y|en|&|\+|/|-)?\s*"
_PAIRS = (
    ("with|w/?", "without|w/?o"), ("mit", "ohne"), ("km", "nativ"), ("avec", "sans"), ("con", "senza|sin"),
    ("met", "zonder|blanco"),
)  # fmt: skip
"""Words for with and without contrast, by language."""
_BOTH = re.compile(
    "|".join(rf"\b(?:{one}){_AND}(?:{other})(?!\w)" for pair in _PAIRS for one, other in (pair, pair[::-1]))
)
"""With and without contrast, as protocols of several phases are called: it tells none of them."""


@dataclass(frozen=True)
class FileKind:
    """What one file is.

    Args:
        series: Hash of the series instance UID; empty if there is none.
        accession: Hash of the accession number; empty if there is none.
        reason: Why it is no slice of a CT candidate; empty if it is.
        phase: `portal`, `delayed`, `arterial`, `native`, `contrast` (one of them) or `unknown`.
        references: Hash of the series that a segmentation of the liver was drawn on; empty if it shows no liver, as the
            tumors and Couinaud segments that go back to the archive.
    """

    series: str
    accession: str
    reason: str
    phase: str
    references: str = ""


def hash_text(content: str) -> str:
    """Return the hash by which an identifier is compared, in memory only; empty for an empty one.

    Whoever knows an identifier can compute it, so nothing that is written holds it: see
    `pipeline.archive.site_key`.
    """
    stripped = content.strip(" \0")
    return hashlib.sha256(stripped.encode("utf-8", "surrogateescape")).hexdigest() if stripped else ""


def file_kind(dataset: pydicom.Dataset, folder: str) -> FileKind:
    """Tell what a file is from the attributes of `KIND_KEYWORDS`.

    Args:
        dataset: The file.
        folder: Its folder below the archive's root (`.` for the root), which stands for the series of an image that
            lost its UID.
    """
    with quiet():
        referenced = (has_liver(dataset) and value_of(dataset, "ReferencedSeriesSequence")) or []
        return FileKind(
            series=hash_text(text_of(dataset, "SeriesInstanceUID") or (folder if is_image(dataset) else "")),
            accession=hash_text(text_of(dataset, "AccessionNumber")),
            reason=find_reason(dataset),
            phase=find_phase(
                text_of(dataset, "SeriesDescription"),
                text_of(dataset, "ProtocolName"),
                contrast=bool(text_of(dataset, "ContrastBolusAgent")),
            ),
            references=hash_text(text_of(referenced[0], "SeriesInstanceUID")) if referenced else "",
        )


def find_reason(dataset: pydicom.Dataset) -> str:
    """Return why a file is no slice of an axial CT: one reason, the first that applies, or an empty text."""
    if text_of(dataset, "SOPClassUID") == _SEGMENTATION_CLASS:
        return SEGMENTATION
    if not text_of(dataset, "SeriesInstanceUID") and not is_image(dataset):
        return "SERIES_MISSING"
    if text_of(dataset, "Modality") != "CT":
        return "NOT_CT"
    if text_of(dataset, "SOPClassUID").startswith(_SECONDARY_CAPTURE_CLASS):
        return "SECONDARY_CAPTURE"
    types = _image_types(dataset)
    for reason, words in _WORDS.items():
        if any(word in types for word in words):
            return reason
    if not is_image(dataset):
        return "NOT_AN_IMAGE"
    if integer_of(dataset, "SamplesPerPixel", 1) != 1 or text_of(dataset, "PhotometricInterpretation") != "MONOCHROME2":
        return "NOT_GRAYSCALE"
    return "DERIVED" if types[:1] == ["DERIVED"] and "AXIAL" not in types else ""


def is_image(dataset: pydicom.Dataset) -> bool:
    """Tell whether a file's header goes as far as its image, and there is one."""
    return integer_of(dataset, "Rows", 0) != 0


def find_phase(*texts: str, contrast: bool = False) -> str:
    """Return the contrast phase that a series' texts name.

    Args:
        texts: Free texts in one of several languages. The first that names a phase counts: the protocol is often that
            of all phases of a study.
        contrast: Whether a contrast agent is named.

    Example:
        >>> [find_phase(text) for text in ("Abd PORTAL VENOUS 1.0", "Leber arteriell", "CT Body 3.0", "w/o contrast")]
        ['portal', 'arterial', 'unknown', 'native']
    """
    cleaned = (_BOTH.sub(" ", text.lower()) for text in texts)
    found = (phase for text in cleaned for phase, pattern in _PHASES if re.search(pattern, text))
    return next(found, "contrast" if contrast else "unknown")


def _image_types(dataset: pydicom.Dataset) -> list[str]:
    """Return the values of ImageType in upper case."""
    found = value_of(dataset, "ImageType") or []
    return [str(item).strip().upper() for item in ([found] if isinstance(found, str) else found)]
