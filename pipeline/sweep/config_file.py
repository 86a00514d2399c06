"""Settings in files: those that a run folder was made with, and the TOML that `--config` takes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from pipeline.command_line import build_config, overlay
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.steps import stored_settings
from pipeline.sweep.points import Settings


def recall_settings(run: RunFolder, config: PipelineConfig, keep: Sequence[str] = ()) -> PipelineConfig:
    """Return the settings that a run folder was made with, and those of `config` where it pins none.

    Args:
        run: Run folder with `settings/SECTION.json` of the steps done so far.
        config: Settings of the job.
        keep: Dotted settings that stay as they are in `config`.

    Raises:
        RefusedInputError: If the run folder holds a setting that this version does not know; both are quoted.
    """
    sections = [name.removesuffix(".json") for name in run.names("settings")]
    values = overlay(dataclasses.asdict(config), stored_settings(run, sections))
    for key in keep:
        section, name = key.split(".")
        values[section] = {**values[section], name: getattr(getattr(config, section), name)}
    try:
        return build_config(PipelineConfig, values)
    except ValueError as error:
        raise RefusedInputError(f"settings of {run.uri}: {error}") from error


def replace_settings(config: PipelineConfig, settings: Settings) -> PipelineConfig:
    """Return a config with other values of some dotted settings.

    Raises:
        ValueError: If a setting is unknown, or cannot take the value.

    Example:
        >>> replace_settings(PipelineConfig(run="r"), {"pixel_labels.scale": 2.0}).pixel_labels.scale
        2.0
    """
    values = dataclasses.asdict(config)
    for key, value in settings.items():
        section, _, name = key.partition(".")
        values[section] = {**values[section], name: value} if name else value
    return build_config(PipelineConfig, values)


def to_toml(config: PipelineConfig) -> str:
    """Return a file that `--config` takes, with every setting but the run folder."""
    values = {key: value for key, value in dataclasses.asdict(config).items() if key != "run"}
    lines = [f"{key} = {_to_value(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for section, settings in values.items():
        if isinstance(settings, dict):
            lines += ["", f"[{section}]", *(f"{key} = {_to_value(value)}" for key, value in settings.items())]
    return "\n".join(lines) + "\n"


def _to_value(value: Any) -> str:
    """Return a TOML value.

    Raises:
        ValueError: If TOML has no such value, or the pipeline no such setting.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(float(value))  # float() as NumPy's numbers, which are floats, show their type
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_to_value(item) for item in value)}]"
    raise ValueError(f"no TOML for {value!r} of type {type(value).__name__}")
