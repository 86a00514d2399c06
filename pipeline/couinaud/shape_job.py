"""What `jobs.train_couinaud_shape` does: train a network per fold, keep them together, measure them apart."""

from __future__ import annotations

import dataclasses
import io
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.config import CouinaudShapeConfig, PipelineConfig
from pipeline.couinaud.shape_evaluation import evaluate, split_folds, summarize
from pipeline.couinaud.shape_training import LabeledShape, ShapeTraining
from pipeline.couinaud.shape_vote import ShapeModel
from pipeline.couinaud.shape_weights import WEIGHTS, pack, unpack
from pipeline.run_folder import RunFolder
from pipeline.training_history import write_history

COUINAUD_SHAPE = "couinaud_shape"
"""Folder of the run."""
PROVENANCE = {
    "data": "Couinaud label maps of LiTS livers, xukun-zhang/Couinaud-Segmentation",
    "data_license": "MIT",
    "license": "Apache-2.0",
}
"""Where the committed weights come from."""
_CHECKPOINT = "checkpoint.pt"


def train_folds(run: RunFolder, config: PipelineConfig, shapes: Sequence[LabeledShape]) -> Iterator[dict[str, Any]]:
    """Train one network per fold from the newest checkpoint on; yield a record per epoch.

    Args:
        run: Run folder; receives `couinaud_shape/couinaud_shape.safetensors`, anew with each network that is done, and
            `history.jsonl`.
        config: Settings of the run.
        shapes: Label maps, one per patient.
    """
    settings = config.couinaud_shape
    saved = _read_checkpoint(run)
    trainings = [ShapeTraining(settings, config.seed + fold) for fold in range(settings.folds)]
    for training, state in zip(trainings, saved["trainings"], strict=False):
        training.restore(state)
    history: list[dict[str, Any]] = saved["history"]
    yield from history
    held_out = split_folds(len(shapes), settings.folds, config.seed)
    for fold, training in enumerate(trainings):
        seen = _draw_shapes(shapes, held_out[fold], settings.maximum_shapes, config.seed)
        while training.epochs_done < settings.epochs:
            history.append({"fold": fold, **training.run_epoch(seen)})
            if training.epochs_done % settings.checkpoint_every == 0 or training.epochs_done == settings.epochs:
                _write_checkpoint(run, trainings[: fold + 1], history)
            yield history[-1]
        networks = [done.average for done in trainings[: fold + 1]]
        data = pack(networks, settings.widths, settings.side, describe(config, len(shapes)))
        run.write_bytes(data, COUINAUD_SHAPE, WEIGHTS)


def measure_folds(run: RunFolder, config: PipelineConfig, shapes: Sequence[LabeledShape]) -> dict[str, Any]:
    """Measure each network on the shapes that it has not seen.

    Args:
        run: Run folder with the trained networks; receives `couinaud_shape/cross_validation.json`.
        config: Settings of the run.
        shapes: Label maps, the same that the networks were trained on.

    Returns:
        Means over all shapes.
    """
    model = unpack(str(run.local(COUINAUD_SHAPE, WEIGHTS)))
    held_out = split_folds(len(shapes), len(model.networks), config.seed)
    figures = [
        evaluate(ShapeModel((network,), model.side), shapes[index])
        for network, indices in zip(model.networks, held_out, strict=True)
        for index in indices
    ]
    rows = [dataclasses.asdict(figure) for figure in figures]
    run.write_json({"summary": summarize(figures), "livers": rows}, COUINAUD_SHAPE, "cross_validation.json")
    return summarize(figures)


def describe(config: PipelineConfig, shapes: int) -> dict[str, Any]:
    """Return the metadata of a weights file: provenance, command, settings, seed and commit."""
    settings = dataclasses.asdict(config.couinaud_shape)
    del settings["shapes"]
    defaults = dataclasses.asdict(CouinaudShapeConfig())
    options = [
        f"--couinaud-shape.{name.replace('_', '-')} {' '.join(map(str, value)) if name == 'widths' else value}"
        for name, value in settings.items()
        if value != defaults[name]
    ]
    command = ["python -m jobs.train_couinaud_shape --shapes SHAPES --run RUN", f"--seed {config.seed}", *options]
    return {
        **PROVENANCE,
        "command": " ".join(command),
        "seed": config.seed,
        "commit": _commit(),
        "shapes": shapes,
        "settings": settings,
    }


def _draw_shapes(
    shapes: Sequence[LabeledShape], left_out: Sequence[int], maximum: int, seed: int
) -> list[LabeledShape]:
    """Return the shapes of a fold's training, or at most so many of them, drawn at random; 0 takes all."""
    seen = [shape for index, shape in enumerate(shapes) if index not in left_out]
    if not 0 < maximum < len(seen):
        return seen
    return [seen[index] for index in np.random.default_rng(seed).permutation(len(seen))[:maximum]]


def _commit() -> str:
    """Return the commit of the source tree, with `+` if it was changed since; `unknown` outside a checkout."""
    folder = Path(__file__).parent
    git = ("git", "-C", str(folder))
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed.stdout.strip() else "")


def _read_checkpoint(run: RunFolder) -> dict[str, Any]:
    """Return the newest checkpoint, or an empty one. Nothing in it is executed."""
    if not run.exists(COUINAUD_SHAPE, _CHECKPOINT):
        return {"trainings": [], "history": []}
    data = io.BytesIO(run.read_bytes(COUINAUD_SHAPE, _CHECKPOINT))
    return dict(torch.load(data, map_location="cpu", weights_only=True))


def _write_checkpoint(run: RunFolder, trainings: Sequence[ShapeTraining], history: list[dict[str, Any]]) -> None:
    """Write the states of all networks begun so far."""
    buffer = io.BytesIO()
    torch.save({"trainings": [training.state() for training in trainings], "history": history}, buffer)
    run.write_bytes(buffer.getvalue(), COUINAUD_SHAPE, _CHECKPOINT)
    write_history(run, COUINAUD_SHAPE, history)
