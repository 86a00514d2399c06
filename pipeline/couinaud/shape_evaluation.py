"""How well the shape networks do on livers that they were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, Float64Array, UInt8Array
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
        dice: Dice of segments 1..8; NaN where the annotation has none.
        presence: Share of slice and segment pairs whose presence is right.
        confidence: Mean probability of the chosen segments.
    """

    volume_id: str
    dice: tuple[float, ...]
    presence: float
    confidence: float

    @property
    def mean_dice(self) -> float:
        """Mean over the annotated segments."""
        return float(np.nanmean(self.dice))


def evaluate(model: ShapeModel, shape: LabeledShape) -> ShapeFigures:
    """Divide an annotated liver, seeing only its mask, and compare."""
    liver = shape.labels > 0
    made = model.vote(liver, shape.geometry)
    labels = name_segments(made, liver, shape.geometry)
    pixel_mm2 = shape.geometry.spacing_mm[1] * shape.geometry.spacing_mm[2]
    slices = liver.any(axis=(1, 2))
    found, truth = (
        find_segments_present((_areas(map_)[slices] * pixel_mm2).astype(np.float32), MINIMUM_AREA_MM2)
        for map_ in (labels, shape.labels)
    )
    return ShapeFigures(
        shape.volume_id, segment_dice(labels, shape.labels), float((found == truth).mean()), made.confidence
    )


def segment_dice(labels: UInt8Array, reference: UInt8Array) -> tuple[float, ...]:
    """Return the Dice of segments 1..8 of two maps of the same shape; NaN where the reference has none."""
    pairs = np.bincount(labels.ravel() * 9 + reference.ravel(), minlength=81).reshape(9, 9).astype(np.float64)
    both, sizes, annotated = np.diag(pairs), pairs.sum(axis=0) + pairs.sum(axis=1), pairs.sum(axis=0)
    dice = np.where(annotated > 0, 2 * both / np.maximum(sizes, 1), np.nan)
    return tuple(dice[1:].tolist())


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


def _areas(labels: UInt8Array) -> Float64Array:
    """Return the pixels of segments 1..8 on each slice, shape (z, 8)."""
    return np.stack([np.bincount(plane.ravel(), minlength=SEGMENT_COUNT + 1)[1:] for plane in labels]).astype(float)
