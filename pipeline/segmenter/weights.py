"""The trained segmenter as two files without code in them: `segmenter.safetensors` and `segmenter.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pipeline.run_folder import RunFolder

if TYPE_CHECKING:
    import torch

WEIGHTS_PATH = ("segmenter", "segmenter.safetensors")
DESCRIPTION_PATH = ("segmenter", "segmenter.json")
_PACKAGES = ("nnunetv2", "torch", "numpy")


@dataclass(frozen=True)
class SegmenterDescription:
    """What weights must be used with. JSON values only.

    Args:
        plans: nnU-Net's plans.
        dataset_json: nnU-Net's channel and label names; without the list of cases, which is nobody's business.
        configuration: Name of the configuration of the plans that the network has.
        mirroring_axes: Spatial axes that training mirrored, so that prediction may mirror them too.
        normalization: As `pipeline.intensity.normalize` knows it.
        grid: The run's grid and window.
        epochs: Epochs trained.
        seed: Seed of the training.
    """

    plans: dict[str, Any]
    dataset_json: dict[str, Any]
    configuration: str
    mirroring_axes: list[int]
    normalization: str
    grid: dict[str, Any]
    epochs: int
    seed: int

    @property
    def context_slices(self) -> int:
        """Neighbor slices on each side among the channels."""
        return len(self.dataset_json["channel_names"]) // 2


def write_segmenter(run: RunFolder, network: torch.nn.Module, description: SegmenterDescription) -> None:
    """Write weights, then their description, whose presence says that both are there.

    nnU-Net's state dict names shared tensors several times; the named parameters are each tensor once.
    """
    from safetensors.torch import save

    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in network.named_parameters()}
    run.write_bytes(save(weights), *WEIGHTS_PATH)
    versions = {package: metadata.version(package) for package in _PACKAGES}
    run.write_json({**asdict(description), "versions": versions}, *DESCRIPTION_PATH)


def read_segmenter(run: RunFolder) -> tuple[torch.nn.Module, SegmenterDescription]:
    """Return the trained network, on the CPU and ready to predict, and its description.

    Raises:
        ValueError: If the weights are not those of the described network; names on one side only are quoted.
    """
    import torch
    from safetensors.torch import load

    values = run.read_json(*DESCRIPTION_PATH)
    values.pop("versions")
    description = SegmenterDescription(**values)
    network = build_network(description)
    weights = load(run.read_bytes(*WEIGHTS_PATH))
    parameters = dict(network.named_parameters())
    if weights.keys() != parameters.keys():
        raise ValueError(f"weights do not fit the plans: {sorted(weights.keys() ^ parameters.keys())[:4]} differ")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    return network.eval(), description


def build_network(description: SegmenterDescription) -> torch.nn.Module:
    """Return the network of the plans with fresh weights, giving one output of the input's resolution."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    configuration = PlansManager(description.plans).get_configuration(description.configuration)
    network: torch.nn.Module = get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        len(description.dataset_json["channel_names"]),
        len(description.dataset_json["labels"]),
        deep_supervision=False,
    )
    return network
