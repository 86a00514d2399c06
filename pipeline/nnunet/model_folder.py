"""A trained nnU-Net v2 model folder, read without running what is in it.

nnU-Net loads its checkpoints as pickles, which can do anything, and calls whatever class the plans name. Here a
checkpoint is read by torch's restricted loader with the few NumPy types that nnU-Net's training log holds, and the
plans may name only networks of nnU-Net's own package and layers of torch.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import RefusedInputError

if TYPE_CHECKING:
    import torch
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

CHECKPOINT = "checkpoint_final.pth"
_NETWORKS = "dynamic_network_architectures."
_LAYERS = "torch.nn."
NOT_CLASSES = ("background", "ignore")
"""Labels of every network that stand for nothing that it finds."""
Labels = Mapping[str, Any]
"""`labels` of nnU-Net's `dataset.json`: names to a value or, of a region, a list of values."""


@dataclass(frozen=True)
class TrainedModel:
    """A model folder in memory.

    Args:
        plans: nnU-Net's plans.
        dataset_json: nnU-Net's channel and label names.
        configuration: Name of the network's configuration in the plans.
        classes: The network's value of a class to the value that stands for it here; others become 0.
        network: With the weights of the first fold, on the CPU.
        parameters: State dicts of all folds, whose outputs are averaged.
    """

    plans: dict[str, Any]
    dataset_json: dict[str, Any]
    configuration: str
    classes: dict[int, int]
    network: torch.nn.Module
    parameters: list[dict[str, Any]]


def read_model_folder(folder: str, setting: str, find_classes: Callable[[Labels], dict[int, int]]) -> TrainedModel:
    """Read and check a model folder: `plans.json`, `dataset.json` and `fold_X/checkpoint_final.pth` of any folds.

    Args:
        folder: The folder; empty if there is none.
        setting: Name of the setting that names the folder, for messages.
        find_classes: Returns the `classes` of a network with these labels, or refuses it.

    Raises:
        RefusedInputError: If a file is missing or unreadable, the labels are refused, a checkpoint holds more than
            data, or its weights are not those of the planned network.
    """
    try:
        return _read(folder, find_classes)
    except RefusedInputError as error:
        raise RefusedInputError(f"{setting}: {error}") from error


def check_model_folder(folder: str, setting: str, find_classes: Callable[[Labels], dict[int, int]]) -> str:
    """Check that a model folder can be used, and return its absolute path: workers have other working directories.

    Raises:
        RefusedInputError: As `read_model_folder`.
    """
    path = str(Path(folder).expanduser().absolute()) if folder else ""
    read_model_folder(path, setting, find_classes)
    return path


def _read(path: str, find_classes: Callable[[Labels], dict[int, int]]) -> TrainedModel:
    """Read a model folder; errors do not name the setting."""
    folder = Path(path)
    if not path or not folder.is_dir():
        raise RefusedInputError(f"expected an nnU-Net model folder, got {path!r}")
    plans, dataset = (_read_json(folder / name) for name in ("plans.json", "dataset.json"))
    classes = find_classes(dict(dataset.get("labels") or {}))
    channels = dataset.get("channel_names") or dataset.get("modality") or {}
    if len(channels) != 1:
        raise RefusedInputError(f"expected one input channel, the CT, got {sorted(channels.values())}")
    paths = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
    if not paths:
        raise RefusedInputError(f"no fold_X/{CHECKPOINT} in {path!r}")
    checkpoints = [load_checkpoint(path) for path in paths]
    names = {checkpoint["init_args"]["configuration"] for checkpoint in checkpoints}
    if len(names) > 1 or not names <= set(plans["configurations"]):
        raise RefusedInputError(f"the folds are of {sorted(names)}, the plans of {sorted(plans['configurations'])}")
    (configuration,) = names
    network = build_network(plans, configuration, dataset)
    parameters = [checkpoint["network_weights"] for checkpoint in checkpoints]
    for weights in reversed(parameters):
        _load_weights(network, weights)
    return TrainedModel(plans, dataset, configuration, classes, network.eval(), parameters)


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
        message = f"{name} cannot be read as data alone ({type(error).__name__})"
        raise RefusedInputError(message) from error
    raise RefusedInputError(f"{name} is not a checkpoint of nnU-Net v2")


def build_network(plans: Mapping[str, Any], name: str, dataset: Mapping[str, Any]) -> torch.nn.Module:
    """Return the planned network of one channel with fresh weights, giving one output of the input's resolution.

    Raises:
        RefusedInputError: If the plans name anything but networks of nnU-Net's package and layers of torch, or a
            configuration that needs another network's output.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(dict(plans))
    configuration = manager.get_configuration(name)
    if configuration.previous_stage_name:
        raise RefusedInputError(f"{name} is the second stage of a cascade, expected one network")
    architecture, arguments = configuration.network_arch_class_name, configuration.network_arch_init_kwargs
    imported = configuration.network_arch_init_kwargs_req_import
    strangers = [arguments[key] for key in imported if arguments[key] and not str(arguments[key]).startswith(_LAYERS)]
    if not architecture.startswith(_NETWORKS) or strangers:
        found = [architecture, *strangers]
        raise RefusedInputError(f"the plans name {found}, allowed are {_NETWORKS}* of {_LAYERS}*")
    network: torch.nn.Module = get_network_from_plans(
        architecture, arguments, imported, 1, _count_outputs(manager, dataset), deep_supervision=False
    )
    return network


def _count_outputs(manager: PlansManager, dataset: Mapping[str, Any]) -> int:
    """Return how many outputs a network with these labels has: one per class, or one per region."""
    try:
        return int(manager.get_label_manager(dict(dataset)).num_segmentation_heads)
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise RefusedInputError(f"the labels are not nnU-Net's ({type(error).__name__})") from error


def _load_weights(network: torch.nn.Module, weights: Mapping[str, Any]) -> None:
    """Load weights into a network, all of them and no others."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise RefusedInputError("the weights are not those of the planned network") from error


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of the model folder."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusedInputError(f"{path.name} cannot be read ({type(error).__name__})") from error
    if not isinstance(values, dict):
        raise RefusedInputError(f"{path.name} is not a JSON object")
    return values


def _harmless_types() -> Iterator[Any]:
    """Give the NumPy types that hold single numbers, under their names before and since NumPy 2."""
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    yield from ((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core"))
    yield np.dtype
    yield from (type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_))
