"""Constructors of the Couinaud map, one function in one file each, under the name that the configuration uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from pipeline.config import CouinaudConfig
from pipeline.couinaud.checks import check_map
from pipeline.couinaud.methods import choose_method, needs_network
from pipeline.couinaud.result import CouinaudMap
from pipeline.slicing import check_liver
from pipeline.volume import Volume

__all__ = ["CONSTRUCTORS", "CouinaudMap", "construct", "find_constructor", "prepare"]

Constructor = Callable[[Volume, CouinaudConfig], CouinaudMap]

CONSTRUCTORS = {
    "precomputed": "precomputed.take_precomputed_map",
    "network": "network.build_network_map",
    "planes": "planes.build_plane_map",
    "territories": "territories.build_territory_map",
    "shape": "shape.build_shape_map",
}
"""Where the constructors are. They are imported when they are used: `precomputed` must not wait for torch."""


def prepare(config: CouinaudConfig) -> CouinaudConfig:
    """Check before the first volume that the configured method can work, and return settings for any worker.

    Returns:
        The settings with an absolute path of the model folder: workers have other working directories.

    Raises:
        RefusedInputError: If the method needs a network and the model folder cannot be used.
    """
    if not needs_network(config):
        return config
    from pipeline.couinaud.network import SETTING, find_segments
    from pipeline.nnunet.model_folder import check_model_folder

    return replace(config, network=check_model_folder(config.network, SETTING, find_segments))


def construct(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Make the Couinaud map of a volume with the configured method.

    Args:
        volume: Any volume.
        config: Names the method.

    Returns:
        A map of the volume's shape: 1..8 on each liver voxel, 0 elsewhere; see `pipeline.couinaud.checks`.

    Raises:
        CaseError: EMPTY_LIVER, LIVER_VOLUME or LIVER_WHOLE_IMAGE; or if the constructor can make no map of this
            volume, with the step `construct_couinaud`.
        ValueError: If the constructor breaks its promise.
    """
    check_liver(volume)
    build = find_constructor(choose_method(volume, config))
    return check_map(build(volume, config), volume.liver_mask)


def find_constructor(method: str) -> Constructor:
    """Import and return a constructor of `CONSTRUCTORS`."""
    module, name = CONSTRUCTORS[method].split(".")
    constructor: Constructor = getattr(import_module(f"{__name__}.{module}"), name)
    return constructor
