"""The evaluation of a run: the segmenter, the pseudo masks it learned from, and the image labels behind those.

Takes the small results of all volumes, merges their counts and divides once. All of it runs on the driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.case_results import ARMS, WEAK_LABEL_STEPS, CaseResult, LabelResult, arm_titles, label_titles
from pipeline.config import PipelineConfig
from pipeline.csv_text import format_csv
from pipeline.evaluation_rows import (
    CASE_COLUMNS,
    LESION_COLUMNS,
    PSEUDO_MASK_COLUMNS,
    case_rows,
    describe_detection,
    lesion_rows,
    pseudo_mask_rows,
)
from pipeline.lesions import IOU_LIMITS, SIZE_BINS_MM, DetectionCounts, equivalent_diameter_mm, size_bin
from pipeline.metrics import LabelConfusion, dice_global, dice_per_case
from pipeline.run_folder import RunFolder
from pipeline.slabs import count_notes, read_volume_rows
from pipeline.text_table import align
from pipeline.volume import PATIENT_IN_SPLITS

EVALUATED_SPLITS = ("test", "validation")
"""Splits with predictions of the segmenter."""


def write_evaluation(
    run: RunFolder, cases: Sequence[CaseResult], labels: Sequence[LabelResult], config: PipelineConfig
) -> None:
    """Write `evaluation/`: one row per case, lesion and pseudo mask, and the summary last.

    Args:
        run: Run folder.
        cases: Test and validation volumes, in any order.
        labels: Pathological train and validation volumes with a reference, in any order.
        config: Settings of the run.
    """
    cases, labels = sorted(cases, key=lambda case: case.volume_id), sorted(labels, key=lambda result: result.volume_id)
    tables = {
        "cases": (CASE_COLUMNS, case_rows(cases)),
        "lesions": (LESION_COLUMNS, lesion_rows(cases)),
        "pseudo_masks": (PSEUDO_MASK_COLUMNS, pseudo_mask_rows(labels)),
    }
    for name, (columns, rows) in tables.items():
        run.write_bytes(format_csv(columns, rows).encode(), "evaluation", f"{name}.csv")
    missing = [step for step in WEAK_LABEL_STEPS.values() if not run.exists("reports", f"{step}.json")]
    notes = dict(count_notes(read_volume_rows(run, *EVALUATED_SPLITS)))
    run.write_json(summarize(cases, labels, config, missing) | {"notes": notes}, "evaluation", "summary.json")


def summarize(
    cases: Sequence[CaseResult], labels: Sequence[LabelResult], config: PipelineConfig, missing: Sequence[str] = ()
) -> dict[str, Any]:
    """Merge the counts and divide once: the content of `evaluation/summary.json`; undefined values are None.

    Args:
        cases: Test and validation volumes.
        labels: Pathological train and validation volumes with a reference.
        config: Settings of the run.
        missing: Those of `WEAK_LABEL_STEPS` that have not completed, as where the segmenter learned no pseudo labels.
    """
    return {
        "segmenter": {
            split: _summarize_split([case for case in cases if case.split == split]) for split in EVALUATED_SPLITS
        },
        "pseudo_masks": _summarize_pseudo_masks(
            [result for result in labels if result.split == "train"], config, missing
        ),
        "image_labels": _summarize_labels(labels),
        "config": {
            "image_labels": asdict(config.image_labels),
            "pixel_labels": asdict(config.pixel_labels),
            "segmenter": {"labels": config.segmenter.labels, "threshold": config.segmenter.threshold},
        },
        "seed": config.seed,
    }


def _summarize_split(cases: Sequence[CaseResult]) -> dict[str, Any]:
    """Return Dice and lesion detection of one split's cases."""
    compared = [case for case in cases if case.lesions is not None]
    masks = [case.masks for case in compared]
    matches = [case.lesions for case in compared if case.lesions is not None]
    return {
        "dice_per_case": dice_per_case(masks),
        "dice_global": dice_global(masks),
        "n_cases": len(compared),
        "n_tumor_free": sum(counts.reference == 0 for counts in masks),
        "n_without_reference": len(cases) - len(compared),
        "lesions": {
            name: describe_detection(sum((match.detection(limit) for match in matches), DetectionCounts()))
            for name, limit in IOU_LIMITS.items()
        },
        "lesions_by_size": _count_sizes(compared),
    }


def _summarize_labels(results: Sequence[LabelResult]) -> dict[str, Any]:
    """Return the slices by label and truth, or why there are none."""
    before = [result.before for result in results if result.before is not None]
    after = [result.after for result in results if result.after is not None]
    summary: dict[str, Any] = {
        "before": _describe_confusion(sum(before, LabelConfusion())),
        "after": _describe_confusion(sum(after, LabelConfusion())),
        "n_cases": len(before),
    }
    if not results:
        summary["reason"] = "no pathological train or validation volume has a reference mask"
    elif not before:
        summary["reason"] = f"{WEAK_LABEL_STEPS['image_labels']} has not completed"
    return summary


def _describe_confusion(confusion: LabelConfusion) -> dict[str, int]:
    """Return the cells and the number of wrong labels as JSON members."""
    return {**asdict(confusion), "wrong": confusion.wrong}


def _count_sizes(cases: Sequence[CaseResult]) -> dict[str, dict[str, int]]:
    """Count the reference lesions of each size bin, and how many of them lie in a detected pair."""
    sizes = {name: {"lesions": 0, **dict.fromkeys(IOU_LIMITS, 0)} for name in SIZE_BINS_MM}
    for case in cases:
        for lesion in case.lesions.references if case.lesions else ():
            cell = sizes[size_bin(equivalent_diameter_mm(lesion.voxels * case.voxel_ml))]
            cell["lesions"] += 1
            for name, limit in IOU_LIMITS.items():
                cell[name] += lesion.iou > limit
    return sizes


def _summarize_pseudo_masks(
    results: Sequence[LabelResult], config: PipelineConfig, missing: Sequence[str]
) -> dict[str, Any]:
    """Return Dice of each arm, or why there is none."""
    summary: dict[str, Any] = {}
    for arm in ARMS:
        counts = [result.pseudo_masks[arm] for result in results if arm in result.pseudo_masks]
        complete = bool(results) and len(counts) == len(results)
        summary[arm] = {
            "dice_per_case": dice_per_case(counts) if complete else None,
            "dice_global": dice_global(counts) if complete else None,
        }
        if not complete:
            summary[arm]["reason"] = _explain_missing(arm, bool(results), config, missing)
    return {**summary, "n_cases": len(results)}


def _explain_missing(arm: str, has_cases: bool, config: PipelineConfig, missing: Sequence[str]) -> str:
    """Return why an arm has no Dice."""
    labels, computed_again = config.image_labels, config.image_labels.enabled and arm in ("none", "plr")
    table = "probabilities" if computed_again else "pseudo_labels"
    reasons = {
        "no pathological train volume has a reference mask": not has_cases,
        "image_labels.enabled is off": not labels.enabled and arm in ("ilr", "ilr_plr"),
        "slice labels come from the reference masks (image_labels.source)": computed_again
        and labels.source == "reference",
        f"{WEAK_LABEL_STEPS[table]} has not completed": WEAK_LABEL_STEPS[table] in missing,
        "slices without a named segment were not predicted (couinaudnet.predict_relabeled is off)": computed_again,
        "pixel_labels.enabled is off": True,
    }
    return next(reason for reason, holds in reasons.items() if holds)


def format_table(summary: Mapping[str, Any]) -> str:
    """Lay out `evaluation/summary.json` for the console: plain ASCII, at most 80 characters wide."""
    segmenter = [
        [split, values["n_cases"], values["dice_per_case"], values["dice_global"]]
        + [values["lesions"][limit]["f1"] for limit in IOU_LIMITS]
        for split, values in summary["segmenter"].items()
        if values["n_cases"]
    ]
    masks = summary["pseudo_masks"]
    settings = summary["config"]
    titles = arm_titles(settings["image_labels"], settings["pixel_labels"])
    arms = [
        [title, masks["n_cases"], masks[arm]["dice_per_case"], masks[arm]["dice_global"]]
        for arm, title in titles.items()
    ]
    labels = summary["image_labels"]
    slices = sum(labels["before"][cell] for cell in LabelConfusion.__match_args__)
    wrong = [
        [title, slices, labels[when]["wrong"]]
        for when, title in label_titles(settings["image_labels"]).items()
        if labels["n_cases"]
    ]
    bare = sum(values["n_without_reference"] for values in summary["segmenter"].values())
    shared = summary.get("notes", {}).get(PATIENT_IN_SPLITS, 0)
    dice, width = ["cases", "Dice per case", "Dice global"], len(max(titles.values(), key=len))
    tables = [
        align(["segmenter", *dice, "lesion F1", "F1, IoU>0.5"], segmenter, width),
        align(["pseudo masks", *dice], arms, width),
        align(["image labels", "slices", "wrong"], wrong, width),
        *([f"Test and validation volumes without a reference mask: {bare}"] if bare else []),
        *([f"Test and validation volumes of patients in several splits: {shared}"] if shared else []),
    ]
    return "\n\n".join(tables)
