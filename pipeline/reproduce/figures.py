"""The figures of one arm from its results: means over seeds with their spread, and intervals over cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.lesions import IOU_LIMITS
from pipeline.metrics import LabelConfusion, MaskCounts, dice_global, dice_per_case, divide

RESAMPLES = 10_000
"""Draws of the bootstrap."""
_BOOTSTRAP_SEED = 0

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Spread:
    """A figure over seeds.

    Args:
        mean: Mean over the seeds.
        low: The lowest seed.
        high: The highest.
        seeds: How many there are.
    """

    mean: float
    low: float
    high: float
    seeds: int

    @classmethod
    def over(cls, values: Iterable[float | None]) -> Spread | None:
        """Return the spread of values, one per seed; None if a seed has none, or there is no seed."""
        known = list(values)
        if not known or None in known:
            return None
        numbers = [value for value in known if value is not None]
        return cls(sum(numbers) / len(numbers), min(numbers), max(numbers), len(numbers))


def read_counts(result: Result, splits: Sequence[str]) -> dict[str, MaskCounts]:
    """Return the voxel counts of the predicted volumes of some splits, by id."""
    cases = {name: case for name, case in sorted(result["cases"].items()) if case["split"] in splits}
    return {
        name: MaskCounts(case["intersection"], case["prediction"], case["reference"]) for name, case in cases.items()
    }


def measure_cases(results: Sequence[Result], *splits: str) -> tuple[Spread | None, Spread | None]:
    """Return Dice per case and Dice global of an arm's results on some splits."""
    counts = [list(read_counts(result, splits).values()) for result in results]
    return Spread.over(map(dice_per_case, counts)), Spread.over(map(dice_global, counts))


def mean_case_dice(results: Sequence[Result], *splits: str) -> dict[str, float]:
    """Return the Dice of each volume of some splits, mean over an arm's results."""
    seeds = [{name: counts.dice() for name, counts in read_counts(result, splits).items()} for result in results]
    common = sorted(set.intersection(*(set(values) for values in seeds))) if seeds else []
    return {name: sum(values[name] for values in seeds) / len(seeds) for name in common}


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of cases, which are drawn anew with replacement; None below two cases.

    The draws are the same for all arms, so that intervals of arms on the same cases can be compared.

    Args:
        values: One figure per case, already the mean over seeds: a case drawn brings all of its seeds.
    """
    if len(values) < 2:
        return None
    draws = np.random.default_rng(_BOOTSTRAP_SEED).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(np.asarray(values, dtype=np.float64)[draws].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def lesion_f1(result: Result, limit: str, splits: Sequence[str]) -> float | None:
    """Return the lesion F1 over all cases of some splits at a limit of `pipeline.lesions.IOU_LIMITS`."""
    cells = [case["lesions"][limit] for case in result["cases"].values() if case["split"] in splits]
    true_positive, false_positive, false_negative = np.sum([[0, 0, 0], *cells], axis=0).tolist()
    return divide(2 * true_positive, 2 * true_positive + false_positive + false_negative)


def lesion_f1_by_size(result: Result, size: str, splits: Sequence[str]) -> float | None:
    """Return the F1 at IoU > 0 of the recall of reference and the precision of predicted lesions of one size.

    None where it is not defined: there is no reference lesion of the size, or there are some, of which predictions of
    other sizes found a part, but no prediction of the size.
    """
    cases = [case for case in result["cases"].values() if case["split"] in splits]
    empty = [0] * (1 + len(IOU_LIMITS))
    sides = [
        np.sum([empty, *(case["sizes"][side].get(size, empty) for case in cases)], axis=0).tolist()
        for side in ("references", "predictions")
    ]
    recall, precision = (divide(counts[1], counts[0]) for counts in sides)
    if recall is None or (recall > 0 and precision is None):
        return None
    return 2 * recall * precision / (recall + precision) if precision else 0.0


def measure_pseudo_masks(
    results: Sequence[Result], stage: str, apart: Sequence[str] = ()
) -> tuple[Spread | None, Spread | None]:
    """Return Dice per case and Dice global of the pseudo masks.

    Args:
        results: Results of an arm.
        stage: `before` or `after` refinement.
        apart: Volumes to leave out.
    """
    counts = [
        [MaskCounts(*masks[stage]) for name, masks in sorted(result["pseudo_masks"].items()) if name not in apart]
        for result in results
    ]
    return Spread.over(map(dice_per_case, counts)), Spread.over(map(dice_global, counts))


def count_wrong_labels(result: Result, stage: str) -> int | None:
    """Return the slices of the pathological training volumes with a wrong label, `before` or `after` ILR."""
    cells = [labels[stage] for labels in result["image_labels"].values()]
    return sum((LabelConfusion(*cell) for cell in cells), LabelConfusion()).wrong if cells else None
