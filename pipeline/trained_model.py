"""The trained segmenter of one run folder, used in another: the settings that go with it, and a copy of its files.

A copy, so that whatever becomes of the first folder, the other one holds what its predictions were made with.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pipeline.branch_folder import open_run_folder
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.segmenter.weights import DESCRIPTION_PATH, WEIGHTS_PATH
from pipeline.steps import fill_defaults, find_differences, plain_settings, stored_settings
from pipeline.training_history import COUINAUDNET

SECTIONS = ("grid", "synthesis", "couinaudnet", "segmenter")
"""Sections of settings that go with a segmenter."""
RECORD = "model.json"
"""Where the model came from, and its hash."""
_SETTING = "predict.model"
_TRAINED = ("reports", "train_segmenter.json")


def read_model_settings(config: PipelineConfig) -> dict[str, Any]:
    """Return the settings, by section, that go with the segmenter of the run folder `predict.model`.

    Raises:
        RefusedInputError: If it holds no trained segmenter.
    """
    return stored_settings(_open_model(config), SECTIONS)


def take_model(config: PipelineConfig) -> None:
    """Make the segmenter of the run folder `predict.model` that of `run`, for good.

    Raises:
        RefusedInputError: If it holds no trained segmenter, or settings differ from those that go with it; if `run`
            has another one.
    """
    model, run = _open_model(config), open_run_folder(config.run)
    _require_settings(config, model)
    files = _read_files(config, model)
    digest = hashlib.sha256()
    for path, data in files.items():
        digest.update(f"{'/'.join(path)} {len(data)} ".encode() + data)
    _claim(run, model, digest.hexdigest())
    if not run.exists(*_TRAINED):
        for path, data in files.items():
            run.write_bytes(data, *path)
        run.write_bytes(model.read_bytes(*_TRAINED), *_TRAINED)  # last: it says that the segmenter is there


def _open_model(config: PipelineConfig) -> RunFolder:
    """Return the run folder of the model."""
    if not config.predict.model:
        raise RefusedInputError(f"{_SETTING}: expected a run folder with a trained segmenter (--model), got ''")
    model = open_run_folder(config.predict.model)
    if not model.exists(*_TRAINED):
        raise RefusedInputError(f"{_SETTING}: train_segmenter has not completed on {model.uri}")
    return model


def _require_settings(config: PipelineConfig, model: RunFolder) -> None:
    """Refuse settings that are not those that go with the model."""
    made = read_model_settings(config)
    given = {section: plain_settings(getattr(config, section)) for section in made}
    for key, (old, new) in find_differences(fill_defaults(made, given), given).items():
        raise RefusedInputError(f"{key}: the model of {model.uri} goes with {old!r}, given is {new!r}")


def _read_files(config: PipelineConfig, model: RunFolder) -> dict[tuple[str, ...], bytes]:
    """Return the files of the model: weights and descriptions, CouinaudNet's only if it is asked, too."""
    from pipeline.models.checkpoint import DESCRIPTION, NETWORKS

    paths: list[tuple[str, ...]] = [WEIGHTS_PATH, DESCRIPTION_PATH]
    if config.segmenter.couinaudnet_share:
        paths += [(COUINAUDNET, f"{name}.safetensors") for name in NETWORKS] + [(COUINAUDNET, DESCRIPTION)]
    if missing := ["/".join(path) for path in paths if not model.exists(*path)]:
        raise RefusedInputError(f"{_SETTING}: {model.uri} has no {', '.join(missing)}")
    return {path: model.read_bytes(*path) for path in paths}


def _claim(run: RunFolder, model: RunFolder, digest: str) -> None:
    """Write down whose model a run folder has, unless it is there; refuse a folder that has another."""
    if run.exists(RECORD):
        before = run.read_json(RECORD)
        if before["sha256"] != digest:
            raise RefusedInputError(
                f"{_SETTING}: {run.uri} holds predictions of {before['run']} (model {before['sha256'][:12]}), now it is"
                f" {model.uri} (model {digest[:12]}); use another --run"
            )
    elif run.exists(*_TRAINED) or run.exists("segmenter"):
        raise RefusedInputError(f"{_SETTING}: {run.uri} has a segmenter of its own; use another --run")
    else:
        run.write_json({"run": model.uri, "sha256": digest}, RECORD)
