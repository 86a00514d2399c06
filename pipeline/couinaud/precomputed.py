"""The constructor `precomputed`: a label map that came with the CT, checked and completed."""

from __future__ import annotations

import numpy as np

from pipeline.arrays import SEGMENT_COUNT
from pipeline.config import CouinaudConfig
from pipeline.couinaud.completion import complete_map
from pipeline.couinaud.result import CouinaudMap
from pipeline.errors import CaseError
from pipeline.volume import Volume


def take_precomputed_map(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Check the volume's own label map and complete it inside the liver.

    Args:
        volume: A volume with `couinaud_map`; labels outside the liver are dropped.
        config: Bounds the share of the liver that may be without a label.

    Returns:
        The completed map.

    Raises:
        CaseError: NO_COUINAUD_MAP, COUINAUD_LABEL for a value outside 0..8, or COUINAUD_INCOMPLETE.
    """
    labels = volume.couinaud_map
    if labels is None:
        raise CaseError("NO_COUINAUD_MAP", "the case has no Couinaud map and none is computed", "construct_couinaud")
    largest = int(np.max(labels, initial=0))
    if largest > SEGMENT_COUNT:
        message = f"the Couinaud map holds the value {largest}, expected 0..{SEGMENT_COUNT}"
        raise CaseError("COUINAUD_LABEL", message, "construct_couinaud")
    limit = config.maximum_unlabeled_fraction
    return CouinaudMap(complete_map(labels, volume.liver_mask, volume.geometry.spacing_mm, limit), "precomputed")
