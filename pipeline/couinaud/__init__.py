"""Constructors of the Couinaud map, one function in one file each, under the name that the configuration uses."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.config import CouinaudConfig
from pipeline.couinaud.precomputed import take_precomputed_map
from pipeline.couinaud.result import CouinaudMap
from pipeline.couinaud.shape import build_shape_map
from pipeline.volume import Volume

__all__ = ["CONSTRUCTORS", "CouinaudMap", "construct"]

Constructor = Callable[[Volume, CouinaudConfig], CouinaudMap]

CONSTRUCTORS: dict[str, Constructor] = {
    "precomputed": take_precomputed_map,
    "auto": take_precomputed_map,
    "shape": build_shape_map,
}
"""Every constructor gives a map of the volume's shape: 1..8 on each liver voxel, 0 elsewhere."""


def construct(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Make the Couinaud map of a volume with the configured method.

    Args:
        volume: A volume with a liver.
        config: Names the method.

    Raises:
        CaseError: If no map can be made of this volume; the step is `construct_couinaud`.
    """
    return CONSTRUCTORS[config.method](volume, config)
