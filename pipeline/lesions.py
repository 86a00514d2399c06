"""Lesion-wise detection: which tumors were found, and which findings are no tumor.

What is implemented is the LiTS evaluator's `detect_lesions`, as the paper's authors run it:

1. A lesion is a 3-D connected component of a mask, neighbors sharing a face (6-connectivity).
2. Each reference lesion belongs to the predicted lesion that covers most of it. Reference lesions of the same predicted
   lesion are merged: one prediction that spans several tumors is compared with all of them together.
3. Each predicted lesion that touches a reference is matched with the one merged reference that it overlaps most, and
   predicted lesions with the same match are merged: several predictions inside one tumor are compared together. On
   equal overlap the lower number wins, numbers following the raster order.
4. A pair of a merged reference and its merged prediction is a true positive if its intersection over union (IoU) is
   above the limit, 0 or 0.5. With P predicted and R reference lesions and T such pairs, FP = P - T and FN = R - T: a
   pair counts once, so merged tumors cost recall and split ones precision.

Two slips of the evaluator are not repeated: it takes the union with the voxels of another label once labels have been
renamed, and takes off a failed pair once per merged reference, by which T can become negative. Both concern the limit
0.5 only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import BoolArray, Float64Array, Int64Array
from pipeline.metrics import divide

IOU_LIMITS = {"iou_0": 0.0, "iou_50": 0.5}
"""A pair counts as detected above these values; the keys name columns and JSON members."""

SIZE_BINS_MM = {"<10 mm": 10.0, "10-20 mm": 20.0, "20-50 mm": 50.0, ">=50 mm": math.inf}
"""Bins of the equivalent diameter, and the upper bound (exclusive) of each."""


@dataclass(frozen=True)
class DetectionCounts:
    """True positive, false positive and false negative lesions; counts of several cases add up."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0

    def __add__(self, other: DetectionCounts) -> DetectionCounts:
        """Return the counts of both sets of cases together."""
        return DetectionCounts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
        )

    def precision(self) -> float | None:
        """Return TP / (TP + FP); None if nothing was predicted."""
        return divide(self.true_positive, self.true_positive + self.false_positive)

    def recall(self) -> float | None:
        """Return TP / (TP + FN); None if there is no reference lesion."""
        return divide(self.true_positive, self.true_positive + self.false_negative)

    def f1(self) -> float | None:
        """Return 2 TP / (2 TP + FP + FN); None if there is neither a prediction nor a reference."""
        return divide(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


@dataclass(frozen=True)
class Lesion:
    """One connected component.

    Args:
        voxels: Its size.
        center_slice: The axial slice next to its centroid.
        pair: Number of the matched pair that it belongs to, from 1; 0 if it has no match.
        iou: Intersection over union of that pair; 0 without a match.
    """

    voxels: int
    center_slice: int
    pair: int
    iou: float


@dataclass(frozen=True)
class LesionMatch:
    """The lesions of a case in raster order, matched."""

    predictions: tuple[Lesion, ...]
    references: tuple[Lesion, ...]

    def detection(self, iou_limit: float) -> DetectionCounts:
        """Count the pairs whose IoU is above the limit, and the lesions that remain on either side."""
        true_positive = len({lesion.pair for lesion in self.references if lesion.iou > iou_limit})
        return DetectionCounts(
            true_positive, len(self.predictions) - true_positive, len(self.references) - true_positive
        )


def match_lesions(prediction: BoolArray, reference: BoolArray) -> LesionMatch:
    """Find the lesions of two masks and match them; the module's docstring says how.

    Args:
        prediction: Predicted tumor, shape (z, y, x).
        reference: Reference tumor, same shape.

    Returns:
        Lesions of both masks; empty tuples for empty masks.

    Raises:
        ValueError: If the shapes differ; both are quoted.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"predicted mask of shape {prediction.shape}, reference mask of shape {reference.shape}")
    box = _bounding_box(prediction | reference)
    found, drawn = _label(prediction[box]), _label(reference[box])
    overlap = overlap_matrix(found.labels, len(found.voxels), drawn.labels, len(drawn.voxels))
    prediction_pair, reference_pair = pair_lesions(overlap)
    shared = np.where((prediction_pair[:, None] == reference_pair) & (reference_pair > 0), overlap, 0)
    intersection = _sum_by_pair(reference_pair, shared.sum(axis=0), len(overlap))
    size = _sum_by_pair(reference_pair, drawn.voxels, len(overlap)) + _sum_by_pair(
        prediction_pair, found.voxels, len(overlap)
    )
    iou = np.divide(intersection, size - intersection, out=np.zeros(len(size)), where=intersection > 0)
    offset = box[0].start
    return LesionMatch(_lesions(found, prediction_pair, iou, offset), _lesions(drawn, reference_pair, iou, offset))


def measure_lesions(mask: BoolArray) -> list[int]:
    """Return the size in voxels of each lesion of a mask, shape (z, y, x), in raster order; none of an empty one."""
    return _label(mask[_bounding_box(mask)]).voxels.tolist()


def overlap_matrix(
    prediction_labels: np.ndarray, prediction_count: int, reference_labels: np.ndarray, reference_count: int
) -> Int64Array:
    """Return the voxels that predicted lesion i + 1 and reference lesion j + 1 share, shape (P, R)."""
    both = (prediction_labels > 0) & (reference_labels > 0)
    cells = (prediction_labels[both].astype(np.int64) - 1) * reference_count + (reference_labels[both] - 1)
    counts = np.bincount(cells, minlength=prediction_count * reference_count)
    return counts.reshape(prediction_count, reference_count).astype(np.int64)


def pair_lesions(overlap: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Merge and match lesions by their overlap, steps 2 and 3 of the module's docstring.

    Args:
        overlap: Shared voxels, shape (predictions, references).

    Returns:
        The pair of each predicted and of each reference lesion, numbered from 1; 0 for none.
    """
    prediction_pair = np.zeros(overlap.shape[0], dtype=np.int64)
    reference_pair = np.zeros(overlap.shape[1], dtype=np.int64)
    if not overlap.any():
        return prediction_pair, reference_pair
    touched = np.flatnonzero(overlap.any(axis=0))
    owner = overlap[:, touched].argmax(axis=0)
    groups = list(dict.fromkeys(owner.tolist()))
    group = np.array([groups.index(value) for value in owner.tolist()])
    merged = np.stack([overlap[:, touched[group == g]].sum(axis=1) for g in range(len(groups))], axis=1)
    touching = merged.any(axis=1)
    prediction_pair[touching] = merged[touching].argmax(axis=1) + 1
    reference_pair[touched] = np.where(np.isin(group + 1, prediction_pair), group + 1, 0)
    return prediction_pair, reference_pair


def equivalent_diameter_mm(volume_ml: float) -> float:
    """Return the diameter of the sphere with this volume: (6 V / pi) ** (1 / 3), 1 ml being 1000 cubic millimeters."""
    return (6 * volume_ml * 1000 / math.pi) ** (1 / 3)


def size_bin(diameter_mm: float) -> str:
    """Return the name of the size bin of a lesion."""
    return next(name for name, bound in SIZE_BINS_MM.items() if diameter_mm < bound)


@dataclass(frozen=True)
class _Components:
    """Labels from 1 in raster order, and size and centroid slice of each component."""

    labels: np.ndarray
    voxels: Int64Array
    center_slice: Float64Array


def _label(mask: BoolArray) -> _Components:
    """Find the 6-connected components of a mask."""
    import cc3d

    labels, count = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=6, return_N=True)
    if not count:
        return _Components(labels, np.zeros(0, np.int64), np.zeros(0))
    statistics = cc3d.statistics(labels, no_slice_conversion=True)
    voxels = np.asarray(statistics["voxel_counts"], dtype=np.int64)[1:]
    return _Components(labels, voxels, np.asarray(statistics["centroids"], dtype=np.float64)[1:, 0])


def _sum_by_pair(pair: Int64Array, voxels: Int64Array, pair_limit: int) -> Float64Array:
    """Add up voxels by pair number 0..pair_limit."""
    return np.bincount(pair, voxels, minlength=pair_limit + 1).astype(np.float64)


def _lesions(components: _Components, pair: Int64Array, iou: Float64Array, first_slice: int) -> tuple[Lesion, ...]:
    """Describe the components in numbers that leave the worker."""
    centers = np.rint(components.center_slice).astype(int) + first_slice
    rows = zip(components.voxels.tolist(), centers.tolist(), pair.tolist(), strict=True)
    return tuple(Lesion(voxels, center, number, float(iou[number])) for voxels, center, number in rows)


def _bounding_box(mask: BoolArray) -> tuple[slice, ...]:
    """Return the smallest box with all true voxels, one voxel wide where there are none."""
    box = []
    for axis in range(mask.ndim):
        inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        box.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 1))
    return tuple(box)
