"""The CSV tables of an evaluation: one row per case, per lesion and per pseudo mask."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.case_results import ARMS, CaseResult, LabelResult
from pipeline.lesions import IOU_LIMITS, DetectionCounts, Lesion, equivalent_diameter_mm, size_bin
from pipeline.run_folder import RunFolder

CASE_COLUMNS = (
    "volume_id",
    "split",
    "dice",
    "reference_ml",
    "prediction_ml",
    "reference_lesions",
    "predicted_lesions",
    *(
        f"{value}_{limit}"
        for limit in IOU_LIMITS
        for value in (*DetectionCounts.__match_args__, "precision", "recall", "f1")
    ),
)
"""Columns of `evaluation/cases.csv`."""

LESION_COLUMNS = (
    "volume_id",
    "split",
    "side",
    "lesion",
    "pair",
    "center_slice",
    "volume_ml",
    "diameter_mm",
    "size_bin",
    "best_iou",
    *(f"detected_{limit}" for limit in IOU_LIMITS),
)
"""Columns of `evaluation/lesions.csv`."""

PSEUDO_MASK_COLUMNS = ("volume_id", "reference_pixels", *(f"dice_{arm}" for arm in ARMS))
"""Columns of `evaluation/pseudo_masks.csv`."""

_NAMES = ("volume_id", "split", "side", "size_bin")


def case_rows(cases: Sequence[CaseResult]) -> list[dict[str, Any]]:
    """Return one row of `CASE_COLUMNS` per volume; metrics that are not defined, as without a reference, are None."""
    return [_case_row(case) for case in cases]


def _case_row(case: CaseResult) -> dict[str, Any]:
    """Describe one case."""
    row: dict[str, Any] = dict.fromkeys(CASE_COLUMNS)
    row |= {"volume_id": case.volume_id, "split": case.split, "prediction_ml": case.masks.prediction * case.voxel_ml}
    if case.lesions is None:
        return row
    row |= {
        "dice": case.masks.dice(),
        "reference_ml": case.masks.reference * case.voxel_ml,
        "reference_lesions": len(case.lesions.references),
        "predicted_lesions": len(case.lesions.predictions),
    }
    for name, limit in IOU_LIMITS.items():
        detection = describe_detection(case.lesions.detection(limit))
        row |= {f"{key}_{name}": value for key, value in detection.items()}
    return row


def lesion_rows(cases: Sequence[CaseResult]) -> list[dict[str, Any]]:
    """Return one row of `LESION_COLUMNS` per reference lesion and per predicted lesion of the cases with a reference.

    Lesions are numbered from 1 in raster order on each `side`. Those with the same `pair` were compared together and
    have the same `best_iou`; `detected` says for a reference lesion that it was found, for a predicted one that it is
    true, and such a pair counts once as true positive. `center_slice` counts from the feet.
    """
    rows = []
    for case in cases:
        if case.lesions is None:
            continue
        for side, lesions in (("reference", case.lesions.references), ("prediction", case.lesions.predictions)):
            rows += [_lesion_row(case, side, number, lesion) for number, lesion in enumerate(lesions, start=1)]
    return rows


def _lesion_row(case: CaseResult, side: str, number: int, lesion: Lesion) -> dict[str, Any]:
    """Describe one lesion."""
    volume_ml = lesion.voxels * case.voxel_ml
    diameter_mm = equivalent_diameter_mm(volume_ml)
    return {
        "volume_id": case.volume_id,
        "split": case.split,
        "side": side,
        "lesion": number,
        "pair": lesion.pair or None,
        "center_slice": lesion.center_slice,
        "volume_ml": volume_ml,
        "diameter_mm": diameter_mm,
        "size_bin": size_bin(diameter_mm),
        "best_iou": lesion.iou,
        **{f"detected_{name}": lesion.iou > limit for name, limit in IOU_LIMITS.items()},
    }


def pseudo_mask_rows(labels: Sequence[LabelResult]) -> list[dict[str, Any]]:
    """Return one row of `PSEUDO_MASK_COLUMNS` per train volume; the Dice of an arm that was not made is None."""
    rows = []
    for result in labels:
        if result.split == "train":
            dice = {f"dice_{arm}": counts.dice() for arm, counts in result.pseudo_masks.items()}
            reference = max((counts.reference for counts in result.pseudo_masks.values()), default=None)
            rows.append(
                dict.fromkeys(PSEUDO_MASK_COLUMNS)
                | {"volume_id": result.volume_id, "reference_pixels": reference}
                | dice
            )
    return rows


def read_rows(run: RunFolder, name: str) -> list[dict[str, Any]]:
    """Return the rows of `evaluation/NAME.csv`, names as text, numbers as numbers; no rows before the evaluation."""
    if not run.exists("evaluation", f"{name}.csv"):
        return []
    text = io.StringIO(run.read_bytes("evaluation", f"{name}.csv").decode())
    return [
        {key: value if key in _NAMES else _parse_number(value) for key, value in row.items()}
        for row in csv.DictReader(text)
    ]


def _parse_number(text: str) -> int | float | None:
    """Return the value of one cell's text."""
    if not text:
        return None
    return int(text) if text.lstrip("-").isdigit() else float(text)


def describe_detection(counts: DetectionCounts) -> dict[str, float | None]:
    """Return counts and ratios as JSON members."""
    return {**asdict(counts), "precision": counts.precision(), "recall": counts.recall(), "f1": counts.f1()}
