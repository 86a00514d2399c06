"""The constructor `network`: a trained nnU-Net finds the segments, by nnU-Net's own predictor.

The CT is cut to the liver's box and a margin, as TotalSegmentator does before its `liver_segments`.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray
from pipeline.config import CouinaudConfig
from pipeline.couinaud.completion import complete_map
from pipeline.couinaud.result import CouinaudMap
from pipeline.errors import RefusedInputError
from pipeline.geometry import liver_box
from pipeline.nnunet.model_folder import NOT_CLASSES, Labels, read_model_folder
from pipeline.nnunet.predictor import NetworkPredictor
from pipeline.volume import Volume

MARGIN_MM = 10.0
"""The network sees this much around the liver's box, as far as the image goes."""
SETTING = "couinaud.network"


def build_network_map(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Let the network find the segments; liver voxels that it gives none take the nearest.

    Args:
        volume: A volume with a liver.
        config: Names the model folder, and bounds the share of the liver that the network may leave without a segment.

    Raises:
        CaseError: COUINAUD_INCOMPLETE.
    """
    box = find_surroundings(volume.liver_mask, volume.geometry.spacing_mm)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[box] = load_predictor(config).predict(volume.hu[box], volume.geometry.spacing_mm)
    limit = config.maximum_unlabeled_fraction
    return CouinaudMap(complete_map(labels, volume.liver_mask, volume.geometry.spacing_mm, limit), "network")


def find_surroundings(liver_mask: BoolArray, spacing_mm: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """Return the liver's box, widened by `MARGIN_MM` on every side as far as the image goes."""
    z, y, x = (
        slice(max(0, side.start - margin), min(size, side.stop + margin))
        for side, size, margin in zip(
            liver_box(liver_mask),
            liver_mask.shape,
            (int(np.ceil(MARGIN_MM / spacing)) for spacing in spacing_mm),
            strict=True,
        )
    )
    return z, y, x


def load_predictor(config: CouinaudConfig) -> NetworkPredictor:
    """Return the configured network; a process loads it once."""
    return _load(config.network, config.network_orientation, config.use_gpu, config.cpus_per_worker)


@lru_cache(maxsize=1)
def _load(folder: str, orientation: str, use_gpu: bool, cpus: float) -> NetworkPredictor:
    """Read a model folder and make it ready."""
    return NetworkPredictor(read_model_folder(folder, SETTING, find_segments), orientation, use_gpu, cpus)


def find_segments(labels: Labels) -> dict[int, int]:
    """Return which segment each class of a network stands for.

    The numbers at the end of the names decide where they are 1..8 (`liver_segment_3`), else the values themselves.

    Args:
        labels: `labels` of nnU-Net's `dataset.json`: names to values.

    Raises:
        RefusedInputError: If there are not eight classes besides the background, with the values 1..8.

    Example:
        >>> find_segments({"background": 0, **{f"segment_{9 - value}": value for value in range(1, 9)}})[1]
        8
    """
    expected = list(range(1, SEGMENT_COUNT + 1))
    named = {str(name): value for name, value in labels.items() if name not in NOT_CLASSES}
    if any(not isinstance(value, int) for value in named.values()) or sorted(named.values()) != expected:
        raise RefusedInputError(f"the labels must be the segments 1..8, got {labels}")
    numbers = {name: int(found[1]) for name in named if (found := re.search(r"(\d+)$", name))}
    if sorted(numbers.values()) != expected:
        return {value: value for value in expected}
    return {named[name]: number for name, number in numbers.items()}
