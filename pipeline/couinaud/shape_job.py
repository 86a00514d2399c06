"""The two ways of `jobs.train_couinaud_shape`: train the networks that are kept, or cross-validate."""

from __future__ import annotations

import dataclasses
import io
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from pipeline.config import CouinaudShapeConfig, PipelineConfig
from pipeline.couinaud.shape_evaluation import evaluate, split_folds, summarize
from pipeline.couinaud.shape_training import LabeledShape, ShapeTraining
from pipeline.couinaud.shape_vote import ShapeModel
from pipeline.couinaud.shape_weights import WEIGHTS, pack
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


def train_members(run: RunFolder, config: PipelineConfig, shapes: Sequence[LabeledShape]) -> Iterator[dict[str, Any]]:
    """Train all networks from the newest checkpoint on and write them; yield a record per epoch.

    Args:
        run: Run folder; receives `couinaud_shape/couinaud_shape.safetensors` and `history.jsonl`.
        config: Settings of the run.
        shapes: Label maps.
    """
    settings = config.couinaud_shape
    saved = _read_checkpoint(run)
    trainings = [ShapeTraining(settings, config.seed + member) for member in range(settings.members)]
    for training, state in zip(trainings, saved["trainings"], strict=False):
        training.restore(state)
    history: list[dict[str, Any]] = saved["history"]
    yield from history
    for member, training in enumerate(trainings):
        while training.epochs_done < settings.epochs:
            history.append({"member": member, **training.run_epoch(shapes)})
            if training.epochs_done % settings.checkpoint_every == 0 or training.epochs_done == settings.epochs:
                _write_checkpoint(run, trainings[: member + 1], history)
            yield history[-1]
    networks = [training.average for training in trainings]
    data = pack(networks, settings.widths, settings.side, describe(config, len(shapes)))
    run.write_bytes(data, COUINAUD_SHAPE, WEIGHTS)


def cross_validate(run: RunFolder, config: PipelineConfig, shapes: Sequence[LabeledShape]) -> dict[str, Any]:
    """Train on all folds but one, in turn, and measure on that one.

    Args:
        run: Run folder; receives `couinaud_shape/cross_validation.json` with the figures of every liver.
        config: Settings of the run.
        shapes: Label maps, one per patient.

    Returns:
        Means over all livers.
    """
    settings = config.couinaud_shape
    figures = []
    for held_out in split_folds(len(shapes), settings.folds, config.seed):
        seen = [shape for index, shape in enumerate(shapes) if index not in held_out]
        networks = []
        for member in range(settings.members):
            training = ShapeTraining(settings, config.seed + member)
            while training.epochs_done < settings.epochs:
                training.run_epoch(seen[: settings.maximum_shapes or None])
            networks.append(training.average.eval())
        model = ShapeModel(tuple(networks), settings.side)
        figures += [evaluate(model, shapes[index]) for index in held_out]
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
