"""What a DICOM SEG says of each segment: its number in our masks, its name, its SNOMED CT codes and its color."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.segment_names import ROMAN, SEGMENT_NAMES, segment_rgb

Code = tuple[str, str]
"""A concept of SNOMED CT: code and meaning."""
LIVER: Code = ("10200004", "Liver")
ABNORMAL: Code = ("49755003", "Morphologically Abnormal Structure")
ANATOMICAL: Code = ("91723000", "Anatomical Structure")
NEOPLASM: Code = ("108369006", "Neoplasm")
COUINAUD_CODES = ("71133005", "277956007", "277957003", "277958008", "277959000", "277960005", "277961009", "277962002")
"""Segments I..VIII, as in DICOM's context group 7170."""


@dataclass(frozen=True)
class Segment:
    """One structure of a segmentation.

    Args:
        value: Its voxels in the label image.
        name: For people, at most 64 characters.
        category: Segmented property category.
        kind: Segmented property type.
        rgb: Color that viewers are asked to show it in.
        region: Organ that it lies in, if the type does not say so.
    """

    value: int
    name: str
    category: Code
    kind: Code
    rgb: tuple[int, int, int]
    region: Code | None = None


@dataclass(frozen=True)
class Content:
    """What one SEG is about.

    Args:
        label: Content label: capitals and underscores, at most 16 characters.
        description: Series description.
        series_number: Above those of scanners, so that viewers list it last.
        segments: What may be in it.
    """

    label: str
    description: str
    series_number: int
    segments: tuple[Segment, ...]


CONTENTS = {
    "tumors": Content(
        "LIVER_TUMORS",
        "Liver tumors, predicted",
        9001,
        (Segment(1, "Liver tumor", ABNORMAL, NEOPLASM, (227, 26, 28), LIVER),),
    ),
    "couinaud": Content(
        "COUINAUD",
        "Couinaud segments",
        9002,
        tuple(
            Segment(value, name, ANATOMICAL, (code, f"Couinaud hepatic segment {roman}"), segment_rgb(value))
            for value, (name, code, roman) in enumerate(zip(SEGMENT_NAMES, COUINAUD_CODES, ROMAN, strict=True), start=1)
        ),
    ),
}
"""The kinds of masks that are written, by the suffix of their files."""
