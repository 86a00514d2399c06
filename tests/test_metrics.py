import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.metrics import (
    LabelConfusion,
    MaskCounts,
    count_labels,
    count_masks,
    dice_global,
    dice_per_case,
    divide,
)

CASES = st.lists(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)), min_size=1, max_size=4)


def picture(*rows):
    return np.array([[cell == "#" for cell in row] for row in rows])


def plain_dice(prediction, reference):
    size = int(prediction.sum()) + int(reference.sum())
    return 2 * int((prediction & reference).sum()) / size if size else 1.0


def test_counts_of_a_picture():
    prediction = picture("##..", "##..")
    reference = picture(".##.", ".##.")
    assert count_masks(prediction, reference) == MaskCounts(intersection=2, prediction=4, reference=4)
    assert count_masks(prediction, reference).dice() == 0.5


def test_dice_of_empty_masks():
    assert MaskCounts(0, 0, 0).dice() == 1
    assert MaskCounts(0, 5, 0).dice() == 0
    assert MaskCounts(0, 0, 5).dice() == 0


def test_per_case_weighs_cases_and_global_weighs_voxels():
    large, small = MaskCounts(90, 100, 100), MaskCounts(0, 5, 5)
    assert dice_per_case([large, small]) == pytest.approx((0.9 + 0) / 2)
    assert dice_global([large, small]) == pytest.approx(180 / 210)


def test_no_cases_have_no_dice():
    assert dice_per_case([]) is None
    assert dice_global([]) is None


def test_only_empty_cases():
    assert dice_global([MaskCounts(), MaskCounts()]) == 1


@settings(max_examples=50)
@given(references=CASES, seed=st.integers(0, 2**32 - 1))
def test_merged_counts_equal_the_concatenated_volume(references, seed):
    generator = np.random.default_rng(seed)
    predictions = [generator.random(reference.shape) < 0.5 for reference in references]
    counts = [count_masks(p, r) for p, r in zip(predictions, references, strict=True)]
    whole = [np.concatenate([mask.ravel() for mask in masks]) for masks in (predictions, references)]
    assert dice_global(counts) == pytest.approx(plain_dice(*whole))
    singles = [plain_dice(p, r) for p, r in zip(predictions, references, strict=True)]
    assert dice_per_case(counts) == pytest.approx(np.mean(singles))


@settings(max_examples=30)
@given(hnp.arrays(bool, st.tuples(st.just(2), st.integers(2, 6), st.integers(1, 4))), st.integers(1, 5))
def test_counts_do_not_depend_on_where_a_volume_is_cut(masks, cut):
    prediction, reference = masks
    parts = count_masks(prediction[:cut], reference[:cut]) + count_masks(prediction[cut:], reference[cut:])
    assert parts == count_masks(prediction, reference)


def test_different_shapes_are_refused_with_both():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(3, 2\)"):
        count_masks(np.zeros((2, 3), bool), np.zeros((3, 2), bool))
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        count_labels(np.zeros(2, bool), np.zeros(3, bool))


def test_label_confusion_names_each_cell():
    pathological = np.array([1, 1, 1, 0, 0, 0, 0], bool)
    has_tumor = np.array([1, 0, 0, 1, 0, 0, 0], bool)
    confusion = count_labels(pathological, has_tumor)
    assert confusion == LabelConfusion(true_positive=1, false_positive=2, false_negative=1, true_negative=3)
    assert confusion.wrong == 3
    assert confusion + LabelConfusion(1, 1, 1, 1) == LabelConfusion(2, 3, 2, 4)


def test_label_confusion_of_no_slices():
    assert count_labels(np.zeros(0, bool), np.zeros(0, bool)) == LabelConfusion()


def test_divide():
    assert divide(1, 4) == 0.25
    assert divide(1, 0) is None
