"""How well the shape networks do on livers that they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.couinaud.agreement import measure_areas, measure_dice
from pipeline.couinaud.shape_division import name_segments
from pipeline.couinaud.shape_training import LabeledShape
from pipeline.couinaud.shape_vote import ShapeModel
from pipeline.image_labels import find_segments_present

MINIMUM_AREA_MM2 = 50.0
"""A segment is present on a slice from this area on, as in image-level label refinement."""


@dataclass(frozen=True)
class ShapeFigures:
    """Figures of one liver.

    Args:
        volume_id: Its id.
        dice: Dice of segments 1..8; NaN where neither side has the segment.
        presence: Share of slice and segment pairs whose presence is right.
        confidence: Mean probability of the chosen segments.
    """

    volume_id: str
    dice: tuple[float, ...]
    presence: float
    confidence: float

    @property
    def mean_dice(self) -> float:
        """Mean over the segments that there are."""
        return float(np.nanmean(self.dice))


def evaluate(model: ShapeModel, shape: LabeledShape) -> ShapeFigures:
    """Divide an annotated liver, seeing only its mask, and compare."""
    liver = shape.labels > 0
    made = model.vote(liver, shape.geometry)
    labels = name_segments(made, liver, shape.geometry)
    slices, spacing_mm = liver.any(axis=(1, 2)), shape.geometry.spacing_mm
    found, truth = (
        find_segments_present(measure_areas(map_[slices], spacing_mm), MINIMUM_AREA_MM2)
        for map_ in (labels, shape.labels)
    )
    dice = tuple(np.nan if value is None else value for value in measure_dice(labels, shape.labels))
    return ShapeFigures(shape.volume_id, dice, float((found == truth).mean()), made.confidence)


def summarize(figures: Sequence[ShapeFigures]) -> dict[str, object]:
    """Return means over livers: overall, per segment, the worst liver, and presence."""
    means = [figure.mean_dice for figure in figures]
    return {
        "livers": len(figures),
        "mean_dice": round(float(np.mean(means)), 4),
        "worst_dice": round(min(means), 4),
        "dice_per_segment": np.nanmean([figure.dice for figure in figures], axis=0).round(4).tolist(),
        "presence_accuracy": round(float(np.mean([figure.presence for figure in figures])), 4),
        "least_confidence": round(min(figure.confidence for figure in figures), 4),
    }


def split_folds(count: int, folds: int, seed: int) -> list[list[int]]:
    """Return the indices of each fold, drawn at random, sizes as equal as can be."""
    order = np.random.default_rng(seed).permutation(count)
    return [sorted(order[fold::folds].tolist()) for fold in range(folds)]
