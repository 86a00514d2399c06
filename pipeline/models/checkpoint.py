"""CouinaudNet on disk: weights as safetensors with a JSON description, and checkpoints from which training goes on.

A checkpoint is a folder `couinaudnet/checkpoints/epoch-00003` whose `training.json` is written last: the folder counts
only with it. So a checkpoint is whole or absent on any file system, object stores included.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import optim

from pipeline.config import CouinaudNetConfig
from pipeline.models.couinaudnet import CouinaudNet
from pipeline.run_folder import RunFolder
from pipeline.training_history import COUINAUDNET

CHECKPOINTS = "checkpoints"
NETWORKS = ("inpainting_network", "difference_spotting_network")
DESCRIPTION = "couinaudnet.json"


@dataclass(frozen=True)
class TrainingState:
    """How far training has come.

    Args:
        epochs_done: Completed epochs.
        history: One record per completed epoch.
        num_workers: Workers that train, by which the length of an epoch in steps is fixed; None if that is not known.
    """

    epochs_done: int = 0
    history: tuple[dict[str, Any], ...] = ()
    num_workers: int | None = None

    def after(self, record: dict[str, Any]) -> TrainingState:
        """Return the state one epoch later."""
        history = (*self.history, {"epoch": self.epochs_done, **record})
        return replace(self, epochs_done=self.epochs_done + 1, history=history)


def build_couinaudnet(config: CouinaudNetConfig, seed: int) -> CouinaudNet:
    """Return a network with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CouinaudNet(
            config.inpainting_widths, config.spotting_widths, config.segment_input, config.context_slices
        )


def write_weights(run: RunFolder, model: CouinaudNet, *folder: str) -> None:
    """Write one safetensors file per network."""
    from safetensors.torch import save

    for name in NETWORKS:
        tensors = {key: value.detach().cpu().contiguous() for key, value in getattr(model, name).state_dict().items()}
        run.write_bytes(save(tensors), *folder, f"{name}.safetensors")


def read_weights(run: RunFolder, model: CouinaudNet, *folder: str) -> None:
    """Load the weights of both networks into a model of the same widths, on whatever device it is."""
    from safetensors.torch import load

    for name in NETWORKS:
        getattr(model, name).load_state_dict(load(run.read_bytes(*folder, f"{name}.safetensors")))


def write_checkpoint(
    run: RunFolder, model: CouinaudNet, optimizer: optim.Optimizer, state: TrainingState
) -> tuple[str, ...]:
    """Write a checkpoint and return its path inside the run folder."""
    folder = (COUINAUDNET, CHECKPOINTS, f"epoch-{state.epochs_done:05d}")
    write_weights(run, model, *folder)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    run.write_bytes(buffer.getvalue(), *folder, "optimizer.pt")
    run.write_json(asdict(state), *folder, "training.json")
    return folder


def newest_checkpoint(run: RunFolder) -> str | None:
    """Return the name of the newest whole checkpoint, or None."""
    names = [name for name in run.names(COUINAUDNET, CHECKPOINTS) if name.startswith("epoch-")]
    whole = [name for name in names if run.exists(COUINAUDNET, CHECKPOINTS, name, "training.json")]
    return whole[-1] if whole else None


def discard_stale_checkpoints(run: RunFolder) -> None:
    """Keep the newest whole checkpoint only: no partial ones, and no list of checkpoints that an earlier start kept."""
    newest = newest_checkpoint(run)
    for name in run.names(COUINAUDNET, CHECKPOINTS):
        if name != newest:
            run.remove(COUINAUDNET, CHECKPOINTS, name)


def read_state(run: RunFolder, name: str | None) -> TrainingState:
    """Return how far a checkpoint is; the beginning for None."""
    if name is None:
        return TrainingState()
    record = run.read_json(COUINAUDNET, CHECKPOINTS, name, "training.json")
    return TrainingState(record["epochs_done"], tuple(record["history"]), record.get("num_workers"))


def restore(run: RunFolder, name: str, model: CouinaudNet, optimizer: optim.Optimizer) -> None:
    """Load weights and optimizer state of a checkpoint. Nothing in it is executed."""
    read_weights(run, model, COUINAUDNET, CHECKPOINTS, name)
    data = io.BytesIO(run.read_bytes(COUINAUDNET, CHECKPOINTS, name, "optimizer.pt"))
    optimizer.load_state_dict(torch.load(data, map_location="cpu", weights_only=True))


def publish(run: RunFolder, config: CouinaudNetConfig, name: str, description: dict[str, Any]) -> None:
    """Make a checkpoint the trained CouinaudNet of the run: weights, then the description that stands for them.

    Args:
        run: Run folder.
        config: With which the checkpoint was made.
        name: Checkpoint.
        description: Further JSON values, such as seed and versions.
    """
    model = build_couinaudnet(config, seed=0)
    read_weights(run, model, COUINAUDNET, CHECKPOINTS, name)
    write_weights(run, model, COUINAUDNET)
    network = {
        "inpainting_widths": config.inpainting_widths,
        "spotting_widths": config.spotting_widths,
        "segment_input": config.segment_input,
        "context_slices": config.context_slices,
        "normalization": config.normalization,
        "smoothing_sigma_px": config.smoothing_sigma_px,
    }
    run.write_json({"network": network, **description}, COUINAUDNET, DESCRIPTION)


def load_couinaudnet(run: RunFolder) -> tuple[CouinaudNet, dict[str, Any]]:
    """Return the trained network of a run, ready to predict, and the `network` part of its description."""
    network = run.read_json(COUINAUDNET, DESCRIPTION)["network"]
    architecture = ("inpainting_widths", "spotting_widths", "segment_input", "context_slices")
    model = CouinaudNet(*(network[name] for name in architecture))
    read_weights(run, model, COUINAUDNET)
    return model.eval(), network
