"""What is doubtful about a liver, its tumors and its label, and no reason to set a case aside."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import BoolArray
from pipeline.geometry import is_cut, liver_box

CUT = "LIVER_CUT"
"""Note: the image ends inside the liver."""
TUMOR_OUTSIDE = "TUMOR_OUTSIDE_LIVER"
"""Note: a tumor touches no liver tissue. It counts as liver like any other."""

NOT_DRAWN = "TUMOR_NOT_DRAWN"
"""Note: the label names segments, or there is none, and a mask that could hold tumors has none: it is no reference."""


def is_undrawn(segments: tuple[int, ...] | None, tumors: BoolArray | None) -> bool:
    """Tell whether nobody has drawn the tumors of a volume that has some by its label, or may have some.

    Args:
        segments: Segments that the label names; None without a label.
        tumors: What a mask says of tumors, perhaps nothing; None if there is no such mask.
    """
    return tumors is not None and segments != () and not tumors.any()


def find_doubts(liver: BoolArray, tumors: BoolArray | None) -> tuple[str, ...]:
    """Return the notes of a volume.

    Args:
        liver: The liver including its tumors, perhaps empty.
        tumors: Drawn tumors, if anybody looked; same shape.
    """
    outside = tumors is not None and has_tumor_outside(liver, tumors)
    return tuple(note for note, true in ((CUT, is_cut(liver)), (TUMOR_OUTSIDE, outside)) if true)


def has_tumor_outside(liver: BoolArray, tumors: BoolArray) -> bool:
    """Tell whether a tumor has no face in common with liver tissue.

    Args:
        liver: The liver including its tumors.
        tumors: Its tumors, perhaps none; same shape.
    """
    if not tumors.any():
        return False
    import cc3d

    box = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in liver_box(tumors))
    tumor = tumors[box]
    parts, count = cc3d.connected_components(np.ascontiguousarray(liver[box] | tumor), connectivity=6, return_N=True)
    beside_tissue = np.zeros(count + 1, bool)
    beside_tissue[parts[liver[box] & ~tumor]] = True
    return not beside_tissue[parts[tumor]].all()
