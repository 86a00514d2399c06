"""Names and colors of the Couinaud segments, the same in every picture, table and file."""

from __future__ import annotations

SEGMENT_COLORS = ("#4B3FBF", "#56B4E9", "#0072B2", "#F0E442", "#009E73", "#D55E00", "#E69F00", "#CC79A7")
"""Segments I..VIII, after Okabe and Ito's colors for all kinds of color vision; neighbors differ in lightness too."""

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
"""Names of the segments 1..8."""

SEGMENT_NAMES = (
    "Segment 1 (caudate)",
    "Segment 2 (left lateral superior)",
    "Segment 3 (left lateral inferior)",
    "Segment 4 (left medial)",
    "Segment 5 (right anterior inferior)",
    "Segment 6 (right posterior inferior)",
    "Segment 7 (right posterior superior)",
    "Segment 8 (right anterior superior)",
)
"""Names of the segments 1..8 that say where they lie."""


def segment_rgb(segment: int) -> tuple[int, int, int]:
    """Return the color of a segment 1..8 as red, green and blue, 0..255."""
    color = SEGMENT_COLORS[segment - 1]
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue
