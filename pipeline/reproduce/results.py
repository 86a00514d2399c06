"""The result of one arm and seed: a small JSON file with counts, and with all that tells whether it is still true."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pipeline
from pipeline.case_results import CaseResult
from pipeline.lesions import IOU_LIMITS, SIZE_BINS_MM, Lesion, equivalent_diameter_mm, size_bin
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.steps import fill_defaults, find_differences, package_versions

Result = Mapping[str, Any]
"""The content of a result file."""


def result_path(folder: Path, arm: str, seed: int) -> Path:
    """Return where the result of an arm and seed lies."""
    return folder / f"{arm}_{seed}.json"


def read_result(path: Path) -> dict[str, Any] | None:
    """Return a result, or None if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_result(path: Path, result: Result) -> None:
    """Write a result by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.write_text(format_result(result), encoding="utf-8")
    os.replace(temporary, path)


def format_result(result: Result) -> str:
    """Lay out a result: sorted, members of a member on a line of their own, so that versions can be compared.

    Example:
        >>> print(format_result({"seed": 0, "cases": {"b": [1, 2], "a": {}}}), end="")
        {
        "cases": {
         "a": {},
         "b": [1, 2]},
        "seed": 0
        }
    """
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {_format_member(result[key])}" for key in sorted(result)) + "\n}\n"


def _format_member(value: Any) -> str:
    """Return one member of a result as text."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value)
    lines = (f" {json.dumps(key)}: {json.dumps(value[key], sort_keys=True)}" for key in sorted(value))
    return "{\n" + ",\n".join(lines) + "}"


def explain_stale(result: Result | None, settings: Mapping[str, Any], inputs: Mapping[str, str] | None) -> str:
    """Return why an arm has to be trained; empty if its result is still true.

    A setting that the result does not know was at its default when the result was made.

    Args:
        result: What there is, or None.
        settings: What `pipeline.reproduce.plan.describe_settings` says now.
        inputs: Hash of each volume's content now; None to look at the settings only.
    """
    if result is None:
        return "no result yet"
    before = _with_defaults(result["settings"], settings)
    for key, (old, new) in find_differences(before, settings).items():
        return f"made with {key} = {old!r}, now it is {new!r}"
    if inputs is not None and result["inputs"] != dict(inputs):
        return "made from other volumes"
    return ""


def _with_defaults(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return earlier settings, what they lack of the sections of today taken from the defaults."""
    complete = fill_defaults(before, now)
    if "teacher" in before and "teacher" in now:
        complete["teacher"] = _with_defaults(before["teacher"], now["teacher"])
    return complete


def describe_case(case: CaseResult) -> dict[str, Any]:
    """Return what the tables need of a volume with a reference: counts, which add up, and its Dice."""
    assert case.lesions is not None, "a benchmark's volumes have references"
    detection = {name: list(vars(case.lesions.detection(limit)).values()) for name, limit in IOU_LIMITS.items()}
    return {
        "split": case.split,
        "voxel_ml": round(case.voxel_ml, 9),
        **asdict(case.masks),
        "dice": round(case.masks.dice(), 4),
        "lesions": detection,
        "sizes": {
            "references": _count_sizes(case.lesions.references, case.voxel_ml),
            "predictions": _count_sizes(case.lesions.predictions, case.voxel_ml),
        },
    }


def _count_sizes(lesions: Iterable[Lesion], voxel_ml: float) -> dict[str, list[int]]:
    """Return the lesions of each size: all of them, then those in a detected pair, by IoU limit."""
    sizes = {name: [0] * (1 + len(IOU_LIMITS)) for name in SIZE_BINS_MM}
    for lesion in lesions:
        counts = sizes[size_bin(equivalent_diameter_mm(lesion.voxels * voxel_ml))]
        for at, limit in enumerate((-math.inf, *IOU_LIMITS.values())):
            counts[at] += lesion.iou > limit
    return {name: counts for name, counts in sizes.items() if counts[0]}


def hash_inputs(volumes: Sequence[VolumeRow]) -> dict[str, str]:
    """Return the hash of each volume's content, by id."""
    return {volume.volume_id: volume.content_sha256 for volume in volumes}


def read_seconds(run: RunFolder, steps: Iterable[str]) -> dict[str, float]:
    """Return how long each committed step took: the passage that completed it."""
    reports = {step: ("reports", f"{step}.json") for step in steps}
    return {step: run.read_json(*path)["seconds"] for step, path in reports.items() if run.exists(*path)}


def describe_project(folder: Path = Path(pipeline.__file__).parent) -> dict[str, str]:
    """Return the version and, in a clone, the commit, which ends in `-dirty` where the package differs from it.

    Results and tables, which a comparison writes into the clone as it goes, are no part of the package.

    Args:
        folder: The package's folder.
    """
    described = {"version": pipeline.__version__}
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "diff", "--name-only", "HEAD", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return described
    return described | {"commit": f"{commit}-dirty" if changed else commit}


def _git(folder: Path, *arguments: str) -> str:
    """Return what git says in a folder."""
    found = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True, check=True, timeout=30)
    return found.stdout.strip()


def assemble(
    arm: str,
    seed: int,
    asked: tuple[str, str],
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    seconds: Mapping[str, Any],
    measured: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the result of an arm.

    Args:
        arm: Name of the arm.
        seed: Its seed.
        asked: Benchmark and budget.
        settings: All settings that shape it.
        inputs: Hash of each volume's content.
        seconds: Seconds by step, and which of them were spent in a folder that arms share.
        measured: `cases`, `pseudo_masks` and `image_labels` by volume.
    """
    return {
        "arm": arm,
        "seed": seed,
        "benchmark": asked[0],
        "budget": asked[1],
        "settings": dict(settings),
        "inputs": dict(inputs),
        "project": describe_project(),
        "versions": package_versions(),
        "seconds": dict(seconds),
        **measured,
    }
