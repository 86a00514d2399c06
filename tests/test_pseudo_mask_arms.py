"""The arms of pseudo masks that a run has, and why the others are missing."""

import numpy as np
import pytest

from pipeline.case_results import ARMS, LabelResult, confuse_labels, count_pseudo_masks
from pipeline.config import ImageLabelConfig, PixelLabelConfig
from pipeline.evaluation import summarize
from pipeline.evaluation_rows import pseudo_mask_rows
from pipeline.metrics import LabelConfusion, MaskCounts
from tests.evaluation_cases import make_config


def rows_of(slice_index, **columns):
    return {"slice_index": np.array(slice_index, np.int32), **columns}


def test_without_relabeled_predictions_two_arms_are_missing_and_say_why(tmp_path):
    config = make_config(tmp_path)
    mask = np.ones((2, 1, 1), bool)
    references = rows_of([4, 5], reference_mask=mask)
    probabilities = rows_of([5], tumor_probability=np.full((1, 1, 1), 255, np.uint8))
    pseudo = rows_of([4, 5], pseudo_mask=np.array([[[False]], [[True]]]), refined_mask=~mask)
    counts = count_pseudo_masks(references, probabilities, pseudo, config)
    assert counts == {"ilr": MaskCounts(1, 1, 2), "ilr_plr": MaskCounts(0, 0, 2)}
    result = LabelResult("a", "train", LabelConfusion(), LabelConfusion(), counts)
    summary = summarize([], [result], config)["pseudo_masks"]
    assert summary["none"]["dice_global"] is None
    assert "predict_relabeled" in summary["plr"]["reason"]
    assert summary["ilr"] == {"dice_per_case": pytest.approx(2 / 3), "dice_global": pytest.approx(2 / 3)}
    assert pseudo_mask_rows([result])[0]["dice_none"] is None


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"image_labels": ImageLabelConfig(enabled=False)}, {"none", "plr"}),
        ({"pixel_labels": PixelLabelConfig(enabled=False)}, {"none", "plr", "ilr"}),
    ],
)
def test_arms_that_a_run_did_not_make_are_left_out(tmp_path, changes, made):
    config = make_config(tmp_path, **changes)
    mask = np.ones((1, 1, 1), bool)
    probabilities = rows_of([5], tumor_probability=np.full((1, 1, 1), 255, np.uint8))
    pseudo = rows_of([5], pseudo_mask=mask, refined_mask=mask)
    counts = count_pseudo_masks(rows_of([5], reference_mask=mask), probabilities, pseudo, config)
    assert set(counts) == made
    summary = summarize([], [LabelResult("a", "train", LabelConfusion(), LabelConfusion(), counts)], config)
    assert {arm for arm in ARMS if "reason" not in summary["pseudo_masks"][arm]} == made


def test_without_ilr_the_masks_that_the_segmenter_learned_count(tmp_path):
    config = make_config(
        tmp_path, image_labels=ImageLabelConfig(enabled=False), pixel_labels=PixelLabelConfig(method="lesions")
    )
    references = rows_of([4, 5], reference_mask=np.ones((2, 1, 1), bool))
    certain = rows_of([4, 5], tumor_probability=np.full((2, 1, 1), 255, np.uint8))  # continuity would keep both slices
    pseudo = rows_of([4, 5], pseudo_mask=np.ones((2, 1, 1), bool), refined_mask=np.array([[[True]], [[False]]]))
    counts = count_pseudo_masks(references, certain, pseudo, config)
    assert counts == {"none": MaskCounts(2, 2, 2), "plr": MaskCounts(1, 1, 2)}


def test_true_slice_labels_leave_no_arm_without_them(tmp_path):
    config = make_config(tmp_path, image_labels=ImageLabelConfig(source="reference"))
    mask = np.ones((1, 1, 1), bool)
    probabilities = rows_of([5], tumor_probability=np.full((1, 1, 1), 255, np.uint8))
    pseudo = rows_of([5], pseudo_mask=mask, refined_mask=mask)
    counts = count_pseudo_masks(rows_of([5], reference_mask=mask), probabilities, pseudo, config)
    assert set(counts) == {"ilr", "ilr_plr"}
    summary = summarize([], [LabelResult("a", "train", LabelConfusion(), LabelConfusion(), counts)], config)
    assert "image_labels.source" in summary["pseudo_masks"]["none"]["reason"]


def test_slices_without_reference_row_are_an_error(tmp_path):
    labels = np.zeros((2, 8), bool)
    with pytest.raises(ValueError, match=r"\[9\].*\[4, 5\]"):
        confuse_labels(
            rows_of([4, 5], reference_mask=np.zeros((2, 1, 1), bool)),
            rows_of([5, 9], image_label=labels, refined_label=labels),
        )
