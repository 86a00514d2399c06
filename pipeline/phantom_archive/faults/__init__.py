"""What goes wrong with a series or its liver mask, each fault by the name of its case, with the right answer to it.

A fault takes the slices of a good series (int16, slope 1, intercept 0, not compressed, from feet to head, 12 at least)
and a folder, and writes what a scanner, an archive or a tool made of them.
"""

from __future__ import annotations

from pipeline.phantom_archive.faults import content, files, geometry, identity, masks
from pipeline.phantom_archive.faults.registry import REGISTERED, Fault

__all__ = ["FAULTS", "MINIMUM_SLICES", "Fault", "content", "files", "geometry", "identity", "masks"]

FAULTS = dict(sorted(REGISTERED.items()))
"""By name: the number of the case and what it is."""
MINIMUM_SLICES = 12
"""Shorter series are something else once a fault has been at them."""
