"""Which work there is, and which of it arms have in common: a tree of run folders, each a branch of the one above.

At the root is a cohort, ingested once. Networks branch off it: whatever arms train the same CouinaudNet share its
folder. Segmenters branch off their network, off the cohort if they need none, or off the segmenter that is their
teacher; arms, which only predict, branch off their segmenter. A folder is named by a hash of all that shapes what is in
it, so that other settings are other folders and nothing is mixed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pipeline.branch_folder import make_branch
from pipeline.config import PipelineConfig, SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.reproduce.arms import Arm, configure_arm
from pipeline.run_folder import RunFolder, join_uri
from pipeline.run_lock import hold_run_folder
from pipeline.steps import default_settings, plain_settings

COHORT_MEMBERS: tuple[str, ...] = ("volumes", "slices", "references", "reports/ingest.json")
"""What all branches share with the cohort."""
NETWORK_STEPS = ("refine_image_labels", "train_couinaudnet", "predict_tumors")
NETWORK_MEMBERS = (
    *COHORT_MEMBERS,
    *("quarantine", "image_labels", "couinaudnet", "probabilities"),
    *(f"reports/{step}.json" for step in NETWORK_STEPS),
)
"""What a segmenter shares with its network, and which volumes are set aside there."""
TEACHER_STEP = "predict_as_teacher"
SEGMENTER_STEPS = ("refine_pixel_labels", "train_segmenter")
SEGMENTER_MEMBERS = (
    *NETWORK_MEMBERS,
    *("pseudo_labels", "segmenter"),
    *(f"reports/{step}.json" for step in SEGMENTER_STEPS),
)
"""What an arm shares with its segmenter."""
RESULT_STEP = "write_result"
ARM_STEPS = ("predict_segmentation", RESULT_STEP)
PREDICTION_SETTINGS = (
    *("mirroring", "smoothing_mm", "couinaudnet_share", "fill_holes", "threshold"),
    *("lesion_peak", "lesion_agreement", "lesion_relative_hu", "lesion_hu"),
)
"""Settings of the segmenter that its training does not look at."""
_COHORT_SECTIONS = ("grid", "couinaud")
_NETWORK_SECTIONS = ("image_labels", "synthesis", "couinaudnet")


@dataclass(frozen=True)
class Node:
    """A run folder of the tree and what is done in it.

    Args:
        name: Place below the run folder of the job, such as `arms/ilr_0-1a2b3c4d`.
        config: Settings; `run` is the folder.
        steps: What is done, in this order.
        parent: Name of the node that it branches off; empty for a cohort.
        shared: Members of the parent that it shares.
        arm: The arm that is predicted in it; None for what arms share.
        teacher: Settings of the arm above, if that is the teacher.
        left_out: For a cohort, the training volume that is a test volume in it; empty for none.
    """

    name: str
    config: PipelineConfig
    steps: tuple[str, ...]
    parent: str = ""
    shared: tuple[str, ...] = ()
    arm: Arm | None = None
    teacher: PipelineConfig | None = None
    left_out: str = ""

    @contextmanager
    def hold(self) -> Iterator[RunFolder]:
        """Make the folder a branch of the one above, and keep other jobs out of it."""
        run = make_branch(self.config.run, f"../../{self.parent}", self.shared)
        with hold_run_folder(run, "jobs.reproduce"):
            yield run


def plan_arm(config: PipelineConfig, arms: Mapping[str, Arm], arm: Arm, seed: int) -> list[Node]:
    """Return the nodes of an arm, from its cohort down to itself.

    Args:
        config: The settings that all arms share; `run` is the job's run folder.
        arms: All arms.
        arm: The arm.
        seed: Seed of its trainings.

    Raises:
        RefusedInputError: If an arm's settings are not allowed.
    """
    tuned = configure_arm(config, arm, seed)
    above = _plan_segmenter(config, arms, arm, seed)
    name = _name_node(f"arms/{arm.name}_{seed}", describe_settings(config, arms, arm))
    return [*above, Node(name, _at(config, tuned, name), ARM_STEPS, above[-1].name, SEGMENTER_MEMBERS, arm)]


def _plan_segmenter(config: PipelineConfig, arms: Mapping[str, Arm], arm: Arm, seed: int) -> list[Node]:
    """Return the nodes of an arm's segmenter, from its cohort down to itself."""
    tuned = configure_arm(config, arm, seed)
    shared, teacher = COHORT_MEMBERS, None
    steps: tuple[str, ...] = SEGMENTER_STEPS
    if arm.teacher:
        above = _plan_segmenter(config, arms, arms[arm.teacher], seed)
        teacher = configure_arm(config, arms[arm.teacher], seed)
        _require_same_cohort(arm, tuned, teacher)
        steps = ("refine_image_labels", TEACHER_STEP, *steps)
    elif needs_pseudo_masks(tuned):
        above = [_plan_cohort(config, tuned, arm.left_out), _plan_network(config, tuned, arm.left_out)]
        shared = NETWORK_MEMBERS
    else:
        above = [_plan_cohort(config, tuned, arm.left_out)]
        steps = ("train_segmenter",)
    usual = {setting: getattr(SegmenterConfig(), setting) for setting in PREDICTION_SETTINGS}
    settings = describe_settings(config, arms, arm)
    settings["segmenter"] |= usual
    name = _name_node(f"segmenters/seed{seed}", settings | {"parent": above[-1].name})
    trained = replace(tuned, segmenter=replace(tuned.segmenter, **usual))
    return [*above, Node(name, _at(config, trained, name), steps, above[-1].name, shared, teacher=teacher)]


def _require_same_cohort(arm: Arm, tuned: PipelineConfig, teacher: PipelineConfig) -> None:
    """Refuse a student on another grid or with other Couinaud maps than its teacher: it reads its teacher's slices."""
    for section in _COHORT_SECTIONS:
        if getattr(tuned, section) != getattr(teacher, section):
            raise RefusedInputError(
                f"arm {arm.name}: settings.{section} differs from that of its teacher {arm.teacher}"
            )


def needs_pseudo_masks(config: PipelineConfig) -> bool:
    """Tell whether the segmenter learns pseudo masks."""
    return config.segmenter.labels == "pseudo"


def describe_settings(config: PipelineConfig, arms: Mapping[str, Arm], arm: Arm) -> dict[str, Any]:
    """Return all settings that shape an arm's result but its seed, as JSON values, by section.

    Settings of steps that the arm does not take are left out: to change them does not make its result stale.
    """
    tuned = configure_arm(config, arm, seed=0)
    sections = [*_COHORT_SECTIONS, "segmenter"]
    if needs_pseudo_masks(tuned):
        sections += ["image_labels", "pixel_labels"] if arm.teacher else [*_NETWORK_SECTIONS, "pixel_labels"]
    if tuned.segmenter.synthetic_copies:
        sections.append("synthesis")
    settings = {section: plain_settings(getattr(tuned, section)) for section in sorted(set(sections))}
    settings |= _describe_phantom(config) | _describe_left_out(arm.left_out)
    if arm.teacher:
        settings["teacher"] = describe_settings(config, arms, arms[arm.teacher])
    return settings


def _describe_phantom(config: PipelineConfig) -> dict[str, Any]:
    """Return what the synthetic cohort is made from, if it is the benchmark."""
    if config.reproduce.benchmark != "phantom":
        return {}
    return {"phantom": {**plain_settings(config.phantom), "seed": config.seed}}


def _describe_left_out(volume_id: str) -> dict[str, str]:
    """Return which training volume is left out of the training, if one is."""
    return {"left_out": volume_id} if volume_id else {}


def _plan_cohort(config: PipelineConfig, tuned: PipelineConfig, left_out: str) -> Node:
    """Return the cohort of an arm: the same for all seeds."""
    settings = {section: plain_settings(getattr(tuned, section)) for section in _COHORT_SECTIONS}
    settings |= _describe_phantom(config) | _describe_left_out(left_out)
    name = _name_node(f"cohorts/{config.reproduce.benchmark}", settings)
    return Node(name, _at(config, _take(config, tuned, _COHORT_SECTIONS), name), (), left_out=left_out)


def _plan_network(config: PipelineConfig, tuned: PipelineConfig, left_out: str) -> Node:
    """Return the CouinaudNet of an arm, with its probabilities."""
    cohort = _plan_cohort(config, tuned, left_out).name
    settings = {section: plain_settings(getattr(tuned, section)) for section in _NETWORK_SECTIONS}
    name = _name_node(f"networks/seed{tuned.seed}", settings | {"cohort": cohort})
    made = _take(config, tuned, ("seed", *_COHORT_SECTIONS, *_NETWORK_SECTIONS))
    return Node(name, _at(config, made, name), NETWORK_STEPS, cohort, COHORT_MEMBERS)


def _take(config: PipelineConfig, tuned: PipelineConfig, sections: Sequence[str]) -> PipelineConfig:
    """Return the shared settings with some sections of an arm: equal for all arms that share the folder."""
    return replace(config, **{section: getattr(tuned, section) for section in sections})


def _at(config: PipelineConfig, tuned: PipelineConfig, name: str) -> PipelineConfig:
    """Return settings whose run folder is the node's."""
    return replace(tuned, run=join_uri(config.run, name))


def _name_node(prefix: str, settings: Mapping[str, Any]) -> str:
    """Return a folder's name, equal for equal settings.

    Settings at their defaults do not enter: a version that knows more of them finds the folders of an earlier one.
    """
    text = json.dumps(_without_defaults(settings), sort_keys=True)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _without_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not at their defaults, by section."""
    defaults = default_settings()
    changed: dict[str, Any] = {}
    for section, values in settings.items():
        if section == "teacher":
            changed[section] = _without_defaults(values)
        elif isinstance(values, dict):
            usual = defaults.get(section, {})
            changed[section] = {key: value for key, value in values.items() if key not in usual or usual[key] != value}
        else:
            changed[section] = values
    return changed
