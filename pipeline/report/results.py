"""The page's figures: the segmenter's cases and lesions, the weak labels behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.case_results import arm_titles, label_titles, own_arms
from pipeline.evaluation_rows import read_rows
from pipeline.report.tables import format_number, make_cards, make_details, make_note, make_table
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow


def make_headlines(run: RunFolder, summary: Mapping[str, Any], volumes: Sequence[VolumeRow]) -> str:
    """Return the figures at the top of the page; only the counts before the evaluation."""
    slices, rejected = sum(volume.slice_count for volume in volumes), len(run.names("quarantine"))
    cards = []
    for split, values in summary.get("segmenter", {}).items():
        if values["n_cases"]:
            basis = f"{split}, cases: {values['n_cases']}"
            cards.append(("Dice per case", format_number(values["dice_per_case"]), basis))
            cards.append(("Dice global", format_number(values["dice_global"]), basis))
            cards.append(("Lesion F1, IoU > 0", format_number(values["lesions"]["iou_0"]["f1"]), basis))
    cards += _make_label_cards(summary) if summary else []
    return make_cards([*cards, ("Volumes", str(len(volumes)), f"{slices:,} liver slices; cases set aside: {rejected}")])


def _make_label_cards(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the figures of the weak labels that were counted, without refinement and as the segmenter learned them."""
    masks, labels, settings = summary["pseudo_masks"], summary["image_labels"], summary["config"]
    sections = settings["image_labels"], settings["pixel_labels"]
    titles, own = arm_titles(*sections), own_arms(*sections)[1]
    arms = {titles[arm]: masks[arm]["dice_global"] for arm in (next(iter(titles)), own)}
    wrong = {title: labels[when]["wrong"] for when, title in label_titles(sections[0]).items()}
    return [
        (name, " → ".join(map(format_number, figures.values())), f"{' → '.join(figures)}, cases: {cases}")
        for name, figures, cases, counted in (
            ("Pseudo mask Dice global", arms, masks["n_cases"], masks[own]["dice_global"] is not None),
            ("Wrong slice labels", wrong, labels["n_cases"], labels["n_cases"]),
        )
        if counted
    ]


def make_segmenter_section(run: RunFolder, summary: Mapping[str, Any]) -> str:
    """Return the segmenter's tables: splits, cases, sizes and, folded, lesions."""
    splits = {name: values for name, values in summary.get("segmenter", {}).items() if values["n_cases"]}
    cases = read_rows(run, "cases")
    if not cases:
        return ""
    parts = [make_note(_SEGMENTER_NOTE)]
    for name, values in splits.items():
        detection = [{"limit": title, **values["lesions"][key]} for key, title in _LIMITS.items()]
        sizes = [{"size": size, **counts} for size, counts in values["lesions_by_size"].items()]
        parts.append(make_table(f"Lesions, {name}: all cases together", _DETECTION_COLUMNS, detection))
        parts.append(make_table(f"Reference lesions by equivalent diameter, {name}", _SIZE_COLUMNS, sizes))
    parts.insert(1, make_table("Cases", _CASE_COLUMNS, cases))
    lesions = read_rows(run, "lesions")
    shown = [row for row in lesions if row["side"] == "reference"]
    table = make_table("Reference lesions; predicted ones are in evaluation/lesions.csv", _LESION_COLUMNS, shown)
    return "\n".join([*parts, make_details(f"All {len(shown)} reference lesions", table) if shown else ""])


_SEGMENTER_NOTE = (
    "Dice per case is the mean over cases (both masks empty 1, one empty 0), Dice global pools all voxels. A lesion is"
    " a connected component; a prediction that spans several reference lesions is compared with all of them together"
    " and counts once, likewise several predictions in one reference lesion."
)
_LIMITS = {"iou_0": "IoU > 0", "iou_50": "IoU > 0.5"}
_CASE_COLUMNS = {
    "volume_id": "Volume",
    "split": "Split",
    "dice": "Dice",
    "reference_ml": "Reference, ml",
    "prediction_ml": "Prediction, ml",
    "reference_lesions": "Reference lesions",
    "predicted_lesions": "Predicted lesions",
    "recall_iou_0": "Recall, IoU > 0",
    "precision_iou_0": "Precision, IoU > 0",
    "f1_iou_0": "F1, IoU > 0",
    "f1_iou_50": "F1, IoU > 0.5",
}
_DETECTION_COLUMNS = {
    "limit": "Detected if",
    "true_positive": "True positive",
    "false_positive": "False positive",
    "false_negative": "False negative",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
_SIZE_COLUMNS = {"size": "Diameter", "lesions": "Lesions", "iou_0": "Found, IoU > 0", "iou_50": "Found, IoU > 0.5"}
_LESION_COLUMNS = {
    "volume_id": "Volume",
    "lesion": "Lesion",
    "center_slice": "Slice",
    "volume_ml": "Volume, ml",
    "diameter_mm": "Diameter, mm",
    "best_iou": "IoU",
}


def make_labels_section(run: RunFolder, summary: Mapping[str, Any]) -> str:
    """Return the tables of image labels and pseudo masks."""
    if not summary:
        return ""
    masks, labels = summary["pseudo_masks"], summary["image_labels"]
    settings = summary["config"]
    titles = arm_titles(settings["image_labels"], settings["pixel_labels"])
    arms = [{"arm": title, **masks[arm]} for arm, title in titles.items()]
    confusion = [
        {"when": title, **labels[when]}
        for when, title in label_titles(settings["image_labels"]).items()
        if labels["n_cases"]
    ]
    reasons = sorted({f"{row['arm']}: {row['reason']}." for row in arms if "reason" in row})
    columns = {"volume_id": "Volume", **{f"dice_{arm}": title for arm, title in titles.items()}}
    basis = "pathological volumes with a reference"
    return "\n".join(
        [
            make_table(f"Slice labels against the truth, {labels['n_cases']} {basis}", _CONFUSION_COLUMNS, confusion),
            make_note(f"No slice labels: {labels['reason']}.") if "reason" in labels else "",
            make_table(f"Pseudo masks against the reference, {masks['n_cases']} train volumes", _ARM_COLUMNS, arms),
            make_note(" ".join(reasons)) if reasons else "",
            make_table("Pseudo mask Dice by volume", columns, read_rows(run, "pseudo_masks")),
        ]
    )


_CONFUSION_COLUMNS = {
    "when": "Labels",
    "wrong": "Wrong",
    "true_positive": "Tumor, labeled so",
    "false_positive": "No tumor, labeled pathological",
    "false_negative": "Tumor, labeled healthy",
    "true_negative": "No tumor, labeled so",
}
_ARM_COLUMNS = {"arm": "Refinement", "dice_per_case": "Dice per case", "dice_global": "Dice global"}
