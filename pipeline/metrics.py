"""Dice and label confusion as counts that add up across a cluster and are divided once.

Conventions of the LiTS evaluator, which the paper's authors use (their public code: SR-TTT, `segment_utils.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray


@dataclass(frozen=True)
class MaskCounts:
    """Voxels of a predicted and a reference mask; counts of disjoint parts add up to those of the whole.

    Args:
        intersection: Voxels in both masks.
        prediction: Voxels of the predicted mask.
        reference: Voxels of the reference mask.

    Example:
        >>> (MaskCounts(1, 2, 2) + MaskCounts(0, 0, 2)).dice()
        0.3333333333333333
    """

    intersection: int = 0
    prediction: int = 0
    reference: int = 0

    def __add__(self, other: MaskCounts) -> MaskCounts:
        """Return the counts of both parts together."""
        return MaskCounts(
            self.intersection + other.intersection,
            self.prediction + other.prediction,
            self.reference + other.reference,
        )

    def dice(self) -> float:
        """Return 2 |P and R| / (|P| + |R|) in [0, 1]: 1 if both masks are empty, 0 if exactly one is."""
        size = self.prediction + self.reference
        return 2 * self.intersection / size if size else 1.0


def count_masks(prediction: BoolArray, reference: BoolArray) -> MaskCounts:
    """Count the voxels of two masks of the same shape.

    Raises:
        ValueError: If the shapes differ; both are quoted.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"predicted mask of shape {prediction.shape}, reference mask of shape {reference.shape}")
    intersection = np.count_nonzero(prediction & reference)
    return MaskCounts(int(intersection), int(np.count_nonzero(prediction)), int(np.count_nonzero(reference)))


def dice_per_case(counts: Sequence[MaskCounts]) -> float | None:
    """Return the mean Dice of the cases, each weighing the same; None without cases.

    A case with an empty reference counts 1 if nothing was predicted, else 0.
    """
    return sum(case.dice() for case in counts) / len(counts) if counts else None


def dice_global(counts: Sequence[MaskCounts]) -> float | None:
    """Return the Dice of all cases' voxels pooled, so that large tumors weigh more; None without cases.

    The LiTS evaluator divides zero by zero where every mask is empty; here that is 1, as for a single case.
    """
    return sum(counts, MaskCounts()).dice() if counts else None


@dataclass(frozen=True)
class LabelConfusion:
    """Slices by image-level label (pathological or not) and truth (holds tumor or not); counts add up.

    Args:
        true_positive: Labeled pathological, holds tumor.
        false_positive: Labeled pathological, holds none.
        false_negative: Labeled healthy, holds tumor.
        true_negative: Labeled healthy, holds none.
    """

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    def __add__(self, other: LabelConfusion) -> LabelConfusion:
        """Return the confusion of both sets of slices together."""
        return LabelConfusion(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def wrong(self) -> int:
        """Slices with a wrong label: the quantity of the paper's Fig. 5a."""
        return self.false_positive + self.false_negative


def count_labels(pathological: BoolArray, has_tumor: BoolArray) -> LabelConfusion:
    """Count slices by label and truth, both `bool[n]`.

    Raises:
        ValueError: If the lengths differ; both are quoted.
    """
    if pathological.shape != has_tumor.shape:
        raise ValueError(f"labels of {pathological.shape} slices, references of {has_tumor.shape} slices")
    cells = np.bincount(2 * pathological.astype(np.int64) + has_tumor, minlength=4)
    true_negative, false_negative, false_positive, true_positive = (int(cell) for cell in cells)
    return LabelConfusion(true_positive, false_positive, false_negative, true_negative)


def divide(numerator: float, denominator: float) -> float | None:
    """Return the quotient, or None where it is not defined: an empty CSV cell, a JSON null."""
    return numerator / denominator if denominator else None
