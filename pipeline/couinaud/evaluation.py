"""The comparison of constructors with annotations: one result per volume and method, and what they sum up to."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.couinaud.agreement import SEGMENTS, Agreement
from pipeline.metrics import divide
from pipeline.text_table import align

CASE_COLUMNS = (
    "volume_id",
    "split",
    "method",
    "code",
    "dice",
    "surface_mm",
    "presence_accuracy",
    "tumors",
    "tumors_right",
    "labels",
    "labels_changed",
    "slices",
    "slices_changed",
    "seconds",
    "flags",
    *(f"dice_{segment}" for segment in SEGMENTS),
    *(f"surface_mm_{segment}" for segment in SEGMENTS),
)
"""Columns of `couinaud_evaluation/cases.csv`; see `pipeline.couinaud.agreement.Agreement`."""


@dataclass(frozen=True)
class MethodResult:
    """What one method made of one volume.

    Args:
        volume_id: The volume.
        split: Its split.
        method: Name of the constructor; empty if the volume could not be read.
        seconds: What the construction took.
        flags: What is doubtful about the map.
        agreement: Against the annotation; None if there is no map.
        code: Reason if there is none.
    """

    volume_id: str
    split: str
    method: str
    seconds: float = 0.0
    flags: tuple[str, ...] = ()
    agreement: Agreement | None = None
    code: str = ""

    def to_json(self) -> str:
        """Return the result as text that travels in one column."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> MethodResult:
        """Return the result that `to_json` wrote."""
        values = json.loads(text)
        agreement = values["agreement"]
        if agreement:
            lists = {name: tuple(agreement[name]) for name in ("dice", "surface_mm")}
            values["agreement"] = Agreement(**{**agreement, **lists})
        return cls(**{**values, "flags": tuple(values["flags"])})


def case_rows(results: Iterable[MethodResult]) -> list[dict[str, Any]]:
    """Return one row of `CASE_COLUMNS` per result; what is not defined is None."""
    return [_case_row(result) for result in results]


def _case_row(result: MethodResult) -> dict[str, Any]:
    """Describe one result."""
    named = ("volume_id", "split", "method", "code", "seconds")
    row = dict.fromkeys(CASE_COLUMNS) | {name: getattr(result, name) for name in named}
    if result.agreement is None:
        return row
    row |= {"flags": ";".join(result.flags)}
    for name, value in asdict(result.agreement).items():
        if isinstance(value, tuple):
            row |= {f"{name}_{segment}": part for segment, part in zip(SEGMENTS, value, strict=True)}
        row[name] = _mean(value) if isinstance(value, tuple) else value
    return row


def summarize(results: Sequence[MethodResult]) -> dict[str, Any]:
    """Return the content of `couinaud_evaluation/summary.json`: figures of each method, undefined ones None.

    A volume's `dice` is the mean over its segments; `dice`, `surface_mm` and `presence_accuracy` are means over
    volumes, `tumors_right` is a share of all tumors, and the changed labels are those of the train split.
    """
    methods = sorted({result.method for result in results if result.agreement})
    return {method: _summarize([result for result in results if result.method == method]) for method in methods}


def _summarize(results: Sequence[MethodResult]) -> dict[str, Any]:
    """Return the figures of one method."""
    compared = [result.agreement for result in results if result.agreement]
    dice = [_mean(agreement.dice) or 0.0 for agreement in compared]
    train = [result.agreement for result in results if result.agreement and result.split == "train"]
    return {
        "volumes": len(compared),
        "rejected": dict(Counter(result.code for result in results if result.code)),
        "dice": _mean(dice),
        "dice_worst": min(dice),
        "dice_by_segment": [_mean(agreement.dice[n - 1] for agreement in compared) for n in SEGMENTS],
        "surface_mm": _mean(_mean(agreement.surface_mm) for agreement in compared),
        "surface_mm_by_segment": [_mean(agreement.surface_mm[n - 1] for agreement in compared) for n in SEGMENTS],
        "presence_accuracy": _mean(agreement.presence_accuracy for agreement in compared),
        "tumors": sum(agreement.tumors for agreement in compared),
        "tumors_right": divide(
            sum(agreement.tumors_right for agreement in compared), sum(agreement.tumors for agreement in compared)
        ),
        "train_labels": sum(agreement.labels for agreement in train),
        "train_labels_changed": sum(agreement.labels_changed for agreement in train),
        "train_slices": sum(agreement.slices for agreement in train),
        "train_slices_changed": sum(agreement.slices_changed for agreement in train),
        "seconds_median": statistics.median(result.seconds for result in results if result.agreement),
        "flags": dict(Counter(flag for result in results for flag in result.flags).most_common()),
    }


def format_summary(summary: Mapping[str, Mapping[str, Any]]) -> str:
    """Lay out the summary for the console: agreement, Dice by segment, and what changes for ILR."""
    agreement = ["volumes", "dice", "dice_worst", "surface_mm", "presence_accuracy", "tumors_right", "seconds_median"]
    labels = ["train_labels", "train_labels_changed", "train_slices", "train_slices_changed"]
    titles = ["volumes", "Dice", "worst", "surface mm", "presence", "tumors right", "seconds"]
    changes = ["labels", "changed", "slices", "changed"]
    tables = [
        align(["method", *titles], [[name, *(row[key] for key in agreement)] for name, row in summary.items()]),
        align(["Dice of segment", *map(str, SEGMENTS)], [[n, *row["dice_by_segment"]] for n, row in summary.items()]),
        align(["after ILR, train", *changes], [[name, *(row[key] for key in labels)] for name, row in summary.items()]),
    ]
    return "\n\n".join(tables)


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are defined; None if none is."""
    defined = [value for value in values if value is not None]
    return statistics.fmean(defined) if defined else None
