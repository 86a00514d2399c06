"""What one volume contributes to the evaluation: small counts that travel from the workers and add up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray
from pipeline.config import PipelineConfig
from pipeline.lesions import Lesion, LesionMatch, match_lesions
from pipeline.metrics import LabelConfusion, MaskCounts, count_labels, count_masks
from pipeline.pixel_labels import refine_pixel_labels

Rows = Mapping[str, np.ndarray[Any, Any]]
"""Stacked columns of one volume, rows in ascending `slice_index`."""


ARMS = {"none": "no refinement", "ilr": "ILR", "plr": "PLR", "ilr_plr": "ILR + PLR"}
"""The pseudo masks of the paper's Table 1 and how they are called."""
WEAK_LABEL_STEPS = {
    "image_labels": "refine_image_labels",
    "probabilities": "predict_tumors",
    "pseudo_labels": "refine_pixel_labels",
}
"""The tables of weak labels and the steps that write them."""


def own_arms(image_labels: Mapping[str, Any], pixel_labels: Mapping[str, Any]) -> tuple[str, str]:
    """Return which arms the run's own pseudo masks are, before and after PLR; one and the same without PLR.

    Args:
        image_labels: The run's settings of this section.
        pixel_labels: Those of this one.

    Example:
        >>> own_arms({"enabled": False}, {"enabled": True})
        ('none', 'plr')
    """
    before, after = ("ilr", "ilr_plr") if image_labels["enabled"] else ("none", "plr")
    return before, after if pixel_labels["enabled"] else before


def arm_titles(image_labels: Mapping[str, Any], pixel_labels: Mapping[str, Any]) -> dict[str, str]:
    """Return how the pseudo masks of a run are called, without the arms that its kind of slice labels rules out.

    Args:
        image_labels: The run's settings of this section.
        pixel_labels: Those of this one.
    """
    by_lesion = pixel_labels.get("method") == "lesions"
    refined = "lesions" if by_lesion else "PLR"
    if image_labels.get("source") == "reference":
        return {"ilr": "true slice labels", "ilr_plr": f"true labels + {refined}"}
    computed_again = by_lesion and image_labels["enabled"]
    return {**ARMS, "plr": "PLR (continuity)" if computed_again else refined, "ilr_plr": f"ILR + {refined}"}


def label_titles(image_labels: Mapping[str, Any]) -> dict[str, str]:
    """Return how the slice labels `before` and `after` ILR are called; without ILR they are the same.

    Args:
        image_labels: The run's settings of this section.
    """
    if not image_labels["enabled"]:
        return {"before": "without ILR"}
    if image_labels.get("source") == "reference":
        return {"before": "volume labels", "after": "true in training"}
    return {"before": "before ILR", "after": "after ILR"}


@dataclass(frozen=True)
class CaseResult:
    """One volume's prediction against its reference, on the volume's own grid.

    Args:
        volume_id: The volume.
        split: `test` or `validation`.
        voxel_ml: Volume of a voxel.
        masks: Voxel counts; without a reference only those of the prediction mean anything.
        lesions: The matched lesions; None without a reference.
    """

    volume_id: str
    split: str
    voxel_ml: float
    masks: MaskCounts
    lesions: LesionMatch | None

    def to_json(self) -> str:
        """Return the result as text that travels in one column."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> CaseResult:
        """Return the result that `to_json` wrote."""
        values = json.loads(text)
        sides = values.pop("lesions")
        lesions = sides and LesionMatch(**{side: tuple(Lesion(**row) for row in rows) for side, rows in sides.items()})
        return cls(**{**values, "masks": MaskCounts(**values["masks"]), "lesions": lesions})


@dataclass(frozen=True)
class LabelResult:
    """One pathological volume's weak labels against its reference, on the grid of the run.

    Args:
        volume_id: The volume.
        split: `train` or `validation`.
        before: Slices by propagated label and truth; None without slice labels.
        after: Slices by label after ILR and truth; likewise.
        pseudo_masks: Pixel counts by arm; arms that the run did not make are left out, as are all outside `train`.
    """

    volume_id: str
    split: str
    before: LabelConfusion | None
    after: LabelConfusion | None
    pseudo_masks: dict[str, MaskCounts]

    def to_json(self) -> str:
        """Return the result as text that travels in one column."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LabelResult:
        """Return the result that `to_json` wrote."""
        values = json.loads(text)
        confusions = {name: values[name] and LabelConfusion(**values[name]) for name in ("before", "after")}
        masks = {arm: MaskCounts(**counts) for arm, counts in values["pseudo_masks"].items()}
        return cls(**{**values, **confusions, "pseudo_masks": masks})


def evaluate_case(
    volume_id: str, split: str, voxel_ml: float, prediction: BoolArray, reference: BoolArray | None
) -> CaseResult:
    """Compare a prediction with its reference, both of shape (z, y, x), or only measure it if there is none."""
    if reference is None:
        counts = MaskCounts(prediction=int(np.count_nonzero(prediction)))
        return CaseResult(volume_id, split, voxel_ml, counts, None)
    lesions = match_lesions(prediction, reference)
    return CaseResult(volume_id, split, voxel_ml, count_masks(prediction, reference), lesions)


def confuse_labels(references: Rows, image_labels: Rows) -> tuple[LabelConfusion, LabelConfusion]:
    """Compare the slices' labels with the truth, as in the paper's Fig. 5a.

    Args:
        references: `slice_index` and `reference_mask`.
        image_labels: `slice_index`, `image_label` and `refined_label` of the same slices.

    Returns:
        The confusion before and after ILR. A label is pathological if it names any segment, a slice holds tumor if its
        reference mask has a pixel.

    Raises:
        ValueError: If the rows are not those of the same slices; both are quoted.
    """
    position = _find_rows(image_labels["slice_index"], references["slice_index"])
    has_tumor = np.any(references["reference_mask"], axis=(1, 2))[position]
    before, after = (np.any(image_labels[name], axis=1) for name in ("image_label", "refined_label"))
    return count_labels(before, has_tumor), count_labels(after, has_tumor)


def count_pseudo_masks(
    references: Rows, probabilities: Rows | None, pseudo_labels: Rows | None, config: PipelineConfig, radius: int = 1
) -> dict[str, MaskCounts]:
    """Compare the arms of the paper's Table 1 with the reference.

    Two of them are the run's own pseudo masks before and after PLR: `ilr` and `ilr_plr`, or without ILR `none` and
    `plr`. Beside ILR the latter two are computed again: every slice is taken for pathological, `none` thresholds the
    probabilities of all slices, `plr` refines those by the continuity index, whatever the run's method.

    Args:
        references: `slice_index` and `reference_mask` of every slice of a volume.
        probabilities: `slice_index` and `tumor_probability` of the predicted slices, if there are any.
        pseudo_labels: `slice_index`, `pseudo_mask` and `refined_mask` of every slice, if there are any.
        config: Threshold, scale, and whether the run used ILR and PLR, and from which labels.
        radius: Window of the volume's PLR in slices; see `pipeline.pixel_labels.window_radius`.

    Returns:
        Counts over the whole volume by arm. What is computed again is left out unless every slice was predicted, and
        where true slice labels (`image_labels.source = reference`) say on which slices and where.

    Raises:
        ValueError: If there are rows of slices that the reference does not know.
    """
    labels, plr, counts = config.image_labels, config.pixel_labels, {}
    if pseudo_labels is not None:
        columns = ("pseudo_mask", "refined_mask")
        for arm, column in zip(own_arms(vars(labels), vars(plr)), columns, strict=True):
            counts[arm] = count_rows(pseudo_labels[column], pseudo_labels["slice_index"], references)
    if probabilities is None or not labels.enabled or labels.source == "reference":
        return counts
    index = probabilities["slice_index"]
    if len(index) == len(references["slice_index"]):
        masks = refine_pixel_labels(probabilities["tumor_probability"], index, plr.threshold, plr.scale, radius)
        counts["none"] = count_rows(masks.pseudo_mask, index, references)
        counts["plr"] = count_rows(masks.refined_mask, index, references)
    return counts


def count_rows(masks: BoolArray, slice_index: np.ndarray[Any, Any], references: Rows) -> MaskCounts:
    """Count the masks of some slices against the reference of all."""
    position = _find_rows(slice_index, references["slice_index"])
    truth = references["reference_mask"]
    return MaskCounts(
        intersection=int(np.count_nonzero(masks & truth[position])),
        prediction=int(np.count_nonzero(masks)),
        reference=int(np.count_nonzero(truth)),
    )


def _find_rows(wanted: np.ndarray[Any, Any], known: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return where each wanted slice is among the known ones."""
    strangers = np.setdiff1d(wanted, known)
    if strangers.size:
        raise ValueError(f"slices {strangers.tolist()} have no reference row; the reference has {known.tolist()}")
    return np.searchsorted(known, wanted)
