"""A trained nnU-Net v2 model folder whose classes are the Couinaud segments, read without running what is in it.

nnU-Net loads its checkpoints as pickles, which can do anything, and calls whatever class the plans name. Here a
checkpoint is read by torch's restricted loader with the few NumPy types that nnU-Net's training log holds, and the
plans may name only networks of nnU-Net's own package and layers of torch.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.arrays import SEGMENT_COUNT
from pipeline.errors import RefusedInputError

if TYPE_CHECKING:
    import torch

CHECKPOINT = "checkpoint_final.pth"
_NETWORKS = "dynamic_network_architectures."
_LAYERS = "torch.nn."
_NOT_SEGMENTS = ("background", "ignore")


@dataclass(frozen=True)
class SegmentModel:
    """A model folder in memory.

    Args:
        plans: nnU-Net's plans.
        dataset_json: nnU-Net's channel and label names.
        configuration: Name of the network's configuration in the plans.
        segments: The network's value of a class to the segment 1..8 that it stands for.
        network: With the weights of the first fold, on the CPU.
        parameters: State dicts of all folds, whose outputs are averaged.
    """

    plans: dict[str, Any]
    dataset_json: dict[str, Any]
    configuration: str
    segments: dict[int, int]
    network: torch.nn.Module
    parameters: list[dict[str, Any]]


def read_model_folder(folder: Path | None) -> SegmentModel:
    """Read and check a model folder: `plans.json`, `dataset.json` and `fold_X/checkpoint_final.pth` of any folds.

    Args:
        folder: The folder; None if there is none.

    Raises:
        RefusedInputError: If a file is missing or unreadable, the labels are not the eight segments, a checkpoint
            holds more than data, or its weights are not those of the planned network.
    """
    if folder is None or not folder.is_dir():
        raise RefusedInputError(f"couinaud.network: expected an nnU-Net model folder, got {str(folder or '')!r}")
    plans, dataset = (_read_json(folder / name) for name in ("plans.json", "dataset.json"))
    segments = find_segments(dataset.get("labels"))
    channels = dataset.get("channel_names") or dataset.get("modality") or {}
    if len(channels) != 1:
        raise RefusedInputError(
            f"couinaud.network: expected one input channel, the CT, got {sorted(channels.values())}"
        )
    paths = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
    if not paths:
        raise RefusedInputError(f"couinaud.network: no fold_X/{CHECKPOINT} in {str(folder)!r}")
    checkpoints = [load_checkpoint(path) for path in paths]
    names = {checkpoint["init_args"]["configuration"] for checkpoint in checkpoints}
    if len(names) > 1 or not names <= set(plans["configurations"]):
        known = sorted(plans["configurations"])
        raise RefusedInputError(f"couinaud.network: the folds are of {sorted(names)}, the plans of {known}")
    (configuration,) = names
    network = build_network(plans, configuration, len(channels), len(segments) + 1)
    parameters = [checkpoint["network_weights"] for checkpoint in checkpoints]
    for weights in reversed(parameters):
        _load_weights(network, weights)
    return SegmentModel(plans, dataset, configuration, segments, network.eval(), parameters)


def find_segments(labels: Any) -> dict[int, int]:
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
    named = {str(name): value for name, value in dict(labels or {}).items() if name not in _NOT_SEGMENTS}
    if any(not isinstance(value, int) for value in named.values()) or sorted(named.values()) != expected:
        raise RefusedInputError(f"couinaud.network: the labels must be the segments 1..8, got {labels}")
    numbers = {name: int(found[1]) for name in named if (found := re.search(r"(\d+)$", name))}
    if sorted(numbers.values()) != expected:
        return {value: value for value in expected}
    return {named[name]: number for name, number in numbers.items()}


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Load one checkpoint of nnU-Net's as data.

    Raises:
        RefusedInputError: If it holds anything but tensors, plain values and NumPy numbers, or is no checkpoint.
    """
    import torch

    name = f"{path.parent.name}/{path.name}"
    try:
        with torch.serialization.safe_globals(list(_harmless_types())):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        if {"network_weights", "init_args"} <= checkpoint.keys() and "configuration" in checkpoint["init_args"]:
            return dict(checkpoint)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, AttributeError, TypeError, ValueError) as error:
        message = f"couinaud.network: {name} cannot be read as data alone ({type(error).__name__})"
        raise RefusedInputError(message) from error
    raise RefusedInputError(f"couinaud.network: {name} is not a checkpoint of nnU-Net v2")


def build_network(plans: Mapping[str, Any], name: str, channels: int, classes: int) -> torch.nn.Module:
    """Return the planned network with fresh weights, giving one output of the input's resolution.

    Raises:
        RefusedInputError: If the plans name anything but networks of nnU-Net's package and layers of torch, or a
            configuration that needs another network's output.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    configuration = PlansManager(dict(plans)).get_configuration(name)
    if configuration.previous_stage_name:
        raise RefusedInputError(f"couinaud.network: {name} is the second stage of a cascade, expected one network")
    architecture, arguments = configuration.network_arch_class_name, configuration.network_arch_init_kwargs
    imported = configuration.network_arch_init_kwargs_req_import
    strangers = [arguments[key] for key in imported if arguments[key] and not str(arguments[key]).startswith(_LAYERS)]
    if not architecture.startswith(_NETWORKS) or strangers:
        found = [architecture, *strangers]
        raise RefusedInputError(f"couinaud.network: the plans name {found}, allowed are {_NETWORKS}* of {_LAYERS}*")
    network: torch.nn.Module = get_network_from_plans(
        architecture, arguments, imported, channels, classes, deep_supervision=False
    )
    return network


def _load_weights(network: torch.nn.Module, weights: Mapping[str, Any]) -> None:
    """Load weights into a network, all of them and no others."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise RefusedInputError("couinaud.network: the weights are not those of the planned network") from error


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of the model folder."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusedInputError(f"couinaud.network: {path.name} cannot be read ({type(error).__name__})") from error
    if not isinstance(values, dict):
        raise RefusedInputError(f"couinaud.network: {path.name} is not a JSON object")
    return values


def _harmless_types() -> Iterator[Any]:
    """Give the NumPy types that hold single numbers, under their names before and since NumPy 2."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    yield from ((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core"))
    yield np.dtype
    yield from (type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_))
