"""Constructors of the Couinaud map, one function in one file each, under the name that the configuration uses."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.arrays import UInt8Array
from pipeline.config import CouinaudConfig
from pipeline.couinaud.precomputed import take_precomputed_map
from pipeline.volume import Volume

Constructor = Callable[[Volume, CouinaudConfig], UInt8Array]

CONSTRUCTORS: dict[str, Constructor] = {"precomputed": take_precomputed_map}
"""Every constructor gives a uint8 map of the volume's shape: 1..8 on each liver voxel, 0 elsewhere."""


def construct(volume: Volume, config: CouinaudConfig) -> UInt8Array:
    """Make the Couinaud map of a volume with the configured constructor.

    Args:
        volume: A volume with a liver.
        config: Names the constructor.

    Returns:
        uint8 of the volume's shape: segment 1..8 on every liver voxel, 0 elsewhere.

    Raises:
        CaseError: If no map can be made of this volume; the step is `construct_couinaud`.
    """
    return CONSTRUCTORS[config.constructor](volume, config)
