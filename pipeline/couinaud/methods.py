"""Which constructor makes the Couinaud map of a volume, and what it needs for that."""

from __future__ import annotations

from pipeline.config import CouinaudConfig, CouinaudMethod
from pipeline.volume import Vessels, Volume

OPTIONAL_INPUTS = frozenset({"couinaud_map", "vessels"})
"""What an archive may have of a volume beside CT and liver mask, by its name in `Volume`."""


def find_inputs(config: CouinaudConfig, has_map: bool) -> frozenset[str]:
    """Return what a constructor reads of `OPTIONAL_INPUTS`: what it does not use must not cost a volume.

    Args:
        config: Names the method.
        has_map: Whether the volume came with a Couinaud map.
    """
    if config.method in ("planes", "territories"):
        return frozenset({"vessels"})
    if config.method == "precomputed" or (config.method == "auto" and has_map):
        return frozenset({"couinaud_map"})
    if config.method == "auto" and not config.network:
        return frozenset({"vessels"})
    return frozenset()


def needs_network(config: CouinaudConfig) -> bool:
    """Tell whether a volume may need the network."""
    return config.method == "network" or (config.method == "auto" and bool(config.network))


def choose_method(volume: Volume, config: CouinaudConfig) -> str:
    """Return the constructor of a volume: the configured one, or the first that the volume has the input for.

    `auto` goes through precomputed, network, planes and shape. Planes need both vessel trees, divided or not; where
    they then cannot divide the liver, they give the map of shape.
    """
    if config.method != "auto":
        return config.method
    if volume.couinaud_map is not None:
        return "precomputed"
    if config.network:
        return "network"
    vessels = volume.vessels or Vessels()
    divided = vessels.hepatic is not None and vessels.portal is not None
    return "planes" if divided or vessels.undivided is not None else "shape"


def list_methods(volume: Volume, config: CouinaudConfig) -> list[CouinaudMethod]:
    """Return every constructor but `precomputed` that a volume has the input for."""
    methods: list[CouinaudMethod] = ["network"] if config.network else []
    if volume.vessels is not None:
        methods += ["planes", "territories"]
    return [*methods, "shape"]
