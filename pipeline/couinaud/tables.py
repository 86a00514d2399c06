"""How Couinaud maps were made, as counts and as text for the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.arrays import SEGMENT_COUNT
from pipeline.text_table import align

LONGEST_TABLE = 40
"""More maps are only counted."""


def count_maps(made: Iterable[tuple[str, str]]) -> tuple[Counter[str], Counter[str]]:
    """Count maps.

    Args:
        made: Constructor of each map, empty if it is not known, and its flags joined by `;`.

    Returns:
        Maps by constructor, and maps by flag.
    """
    methods: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    for method, text in made:
        if method:
            methods[method] += 1
            flags.update(flag for flag in text.split(";") if flag)
    return methods, flags


def format_maps(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows of `couinaud_maps/`: constructor, seconds, size of liver and segments, flags; then the counts."""
    header = ["volume", "method", "seconds", "liver ml", *(f"{n} %" for n in range(1, SEGMENT_COUNT + 1)), "flags"]
    lines = [
        [
            row["volume_id"],
            row["couinaud_method"],
            f"{row['couinaud_seconds']:.1f}",
            f"{row['liver_ml']:.0f}",
            *(f"{100 * fraction:.0f}" for fraction in row["segment_fraction"]),
            row["couinaud_flags"] or "-",
        ]
        for row in rows[:LONGEST_TABLE]
    ]
    left_out = len(rows) - len(lines)
    counts = count_maps((row["couinaud_method"], row["couinaud_flags"]) for row in rows)
    described = [", ".join(f"{count} {name}" for name, count in part.most_common()) or "none" for part in counts]
    parts = [align(header, lines), f"and {left_out} more"] if left_out else [align(header, lines)]
    return "\n".join([*parts, f"maps: {described[0]}; flags: {described[1]}"])
