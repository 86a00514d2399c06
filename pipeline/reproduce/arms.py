"""The arms of the comparison, which are data: `arms.toml` says what each changes in the settings that all share."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from pipeline.command_line import overlay
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.sweep.config_file import replace_settings


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train a segmenter.

    Args:
        name: Its name on the command line and in file names.
        title: Its name in the tables.
        group: The heading that it stands under.
        main: Whether it is trained where no arm is named.
        settings: Settings by section that differ from the shared ones.
        paper: The paper's Dice per case and Dice global in percent; None if the paper does not have the arm.
        teacher: Arm whose segmenter predicts the training volumes in the place of CouinaudNet; empty for CouinaudNet.
        same_as: Arm that this one is a second name of; empty if it is trained itself.
        left_out: Healthy training volume that is a test volume for this arm, to see what is found where nothing is.
    """

    name: str
    title: str
    group: str
    main: bool = False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    paper: tuple[float, float] | None = None
    teacher: str = ""
    same_as: str = ""
    left_out: str = ""


def read_arms() -> dict[str, Arm]:
    """Return the arms by name, in the order of the tables."""
    text = resources.files("pipeline").joinpath("reproduce", "arms.toml").read_text(encoding="utf-8")
    arms: dict[str, Arm] = {}
    for name, values in tomllib.loads(text).items():
        paper = tuple(values.pop("paper", ())) or None
        if like := values.pop("like", ""):
            values["settings"] = overlay(arms[like].settings, values.get("settings", {}))
        arms[name] = Arm(name=name, paper=paper, **values)
    return arms


def choose_arms(arms: Mapping[str, Arm], names: Sequence[str]) -> list[Arm]:
    """Return the arms to train: those named, each once, an alias standing for the arm that it is a name of.

    Args:
        arms: All arms.
        names: Names; empty means the main arms.

    Raises:
        RefusedInputError: If a name is unknown; it and the known ones are quoted.
    """
    unknown = [name for name in names if name not in arms]
    if unknown:
        raise RefusedInputError(f"reproduce.arms: unknown arm {unknown[0]!r}, known are {', '.join(arms)}")
    wanted = {arms[name].same_as or name for name in names or [arm.name for arm in arms.values() if arm.main]}
    return [arm for arm in arms.values() if arm.name in wanted]


def configure_arm(config: PipelineConfig, arm: Arm, seed: int) -> PipelineConfig:
    """Return the settings of an arm.

    Args:
        config: The settings that all arms share.
        arm: The arm.
        seed: Seed of its trainings.

    Raises:
        RefusedInputError: If the arm names a setting that there is not, or one out of range.
    """
    dotted = {f"{section}.{key}": value for section, values in arm.settings.items() for key, value in values.items()}
    try:
        return replace_settings(config, {**dotted, "seed": seed})
    except (KeyError, ValueError) as error:
        raise RefusedInputError(f"arm {arm.name}: {error}") from error
