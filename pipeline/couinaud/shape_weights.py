"""The weights that come with the package, half precision in one safetensors file, with where they come from."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import torch

from pipeline.couinaud.shape_network import ShapeNetwork
from pipeline.couinaud.shape_vote import ShapeModel

WEIGHTS = "couinaud_shape.safetensors"
_ABOUT = "about"
"""The one metadata entry, a JSON object; several would be written in any order."""


def pack(networks: Sequence[ShapeNetwork], widths: Sequence[int], side: int, about: Mapping[str, Any]) -> bytes:
    """Return networks of equal widths as a safetensors file.

    Args:
        networks: At least one.
        widths: Their channels per level.
        side: Side of the grid that they see.
        about: Provenance, for the file's metadata.
    """
    from safetensors.torch import save

    tensors = {
        f"{member}.{name}": value.detach().half().contiguous()
        for member, network in enumerate(networks)
        for name, value in network.state_dict().items()
    }
    form = {"widths": list(widths), "members": len(networks), "side": side}
    return bytes(save(tensors, {_ABOUT: json.dumps({**form, **about}, indent=1)}))


def read_about(path: str) -> dict[str, Any]:
    """Return what a weights file says of itself: form, provenance, command, seed and commit."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(json.loads(file.metadata()[_ABOUT]))


def unpack(path: str) -> ShapeModel:
    """Return the networks of a file, ready to predict."""
    from safetensors import safe_open

    about = read_about(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    networks = []
    for member in range(about["members"]):
        network = ShapeNetwork(about["widths"])
        prefix = f"{member}."
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        network.load_state_dict(own)
        networks.append(network.eval().requires_grad_(False))
    return ShapeModel(tuple(networks), int(about["side"]))


@functools.cache
def bundled_model() -> ShapeModel:
    """Return the networks that come with the package, read once per process."""
    file = resources.files("pipeline.couinaud").joinpath("weights", WEIGHTS)
    with resources.as_file(file) as path, torch.random.fork_rng(devices=[]):
        return unpack(str(path))
