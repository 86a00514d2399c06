import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipeline.lesions import (
    DetectionCounts,
    equivalent_diameter_mm,
    match_lesions,
    pair_lesions,
    size_bin,
)


def plane(*rows):
    """One axial slice as a volume; `#` is tumor."""
    return np.array([[[cell == "#" for cell in row] for row in rows]])


def detection(prediction, reference, iou_limit=0.0):
    counts = match_lesions(prediction, reference).detection(iou_limit)
    return counts.true_positive, counts.false_positive, counts.false_negative


def test_found_missed_and_false():
    reference = plane("##....##", "##....##")
    prediction = plane("##......", "##..#...")
    assert detection(prediction, reference) == (1, 1, 1)
    assert detection(prediction, reference, 0.5) == (1, 1, 1)


def test_touching_only_at_a_corner_are_two_lesions():
    reference = plane("##..", "##..", "..##", "..##")
    assert len(match_lesions(reference, reference).references) == 2
    joined = plane("##..", "###.", "..##", "..##")
    assert len(match_lesions(joined, joined).references) == 1


def test_slices_connect_through_a_face_only():
    mask = np.zeros((3, 2, 2), bool)
    mask[0, 0, 0] = mask[1, 0, 0] = mask[2, 1, 1] = True
    assert [lesion.voxels for lesion in match_lesions(mask, mask).references] == [2, 1]


def test_iou_of_exactly_one_half_is_not_above_it():
    prediction, reference = plane("##.."), plane("####")
    assert match_lesions(prediction, reference).references[0].iou == 0.5
    assert detection(prediction, reference, 0.5) == (0, 1, 1)
    assert detection(prediction, reference, 0.0) == (1, 0, 0)


def test_one_prediction_over_two_references_is_one_pair():
    reference, prediction = plane("###.###"), plane("#######")
    match = match_lesions(prediction, reference)
    assert [lesion.pair for lesion in match.references] == [1, 1]
    assert match.references[0].iou == pytest.approx(6 / 7)
    assert detection(prediction, reference, 0.5) == (1, 0, 1)


def test_two_predictions_in_one_reference_are_one_pair():
    reference, prediction = plane("#######"), plane("###.###")
    match = match_lesions(prediction, reference)
    assert [lesion.pair for lesion in match.predictions] == [1, 1]
    assert match.predictions[0].iou == pytest.approx(6 / 7)
    assert detection(prediction, reference, 0.5) == (1, 1, 0)


def test_a_reference_goes_to_the_prediction_that_covers_most_of_it():
    reference, prediction = plane("#####"), plane("#.###")
    overlap = np.array([[1], [3]])
    assert [values.tolist() for values in pair_lesions(overlap)] == [[1, 1], [1]]
    assert match_lesions(prediction, reference).references[0].iou == pytest.approx(4 / 5)


def test_a_prediction_that_fits_another_reference_better_leaves_its_first_unmatched():
    # Lesion 1 is touched by prediction 1 only, which overlaps lesion 2 more; lesion 2 prefers prediction 2.
    overlap = np.array([[5, 10], [0, 20]])
    prediction_pair, reference_pair = pair_lesions(overlap)
    assert prediction_pair.tolist() == [2, 2]
    assert reference_pair.tolist() == [0, 2]


def test_equal_overlap_goes_to_the_lower_number():
    prediction_pair, reference_pair = pair_lesions(np.array([[3, 0], [3, 3]]))
    assert prediction_pair.tolist() == [1, 1]
    assert reference_pair.tolist() == [1, 0]


def test_a_failed_merged_pair_is_taken_off_once():
    reference = plane("#.#", "...", "...")
    prediction = plane("###", "###", "###")
    assert detection(prediction, reference, 0.0) == (1, 0, 1)
    assert detection(prediction, reference, 0.5) == (0, 1, 2)


@pytest.mark.parametrize("limit", [0.0, 0.5])
def test_empty_masks(limit):
    empty, lesion = plane("...", "..."), plane("##.", "...")
    assert detection(empty, empty, limit) == (0, 0, 0)
    assert detection(lesion, empty, limit) == (0, 1, 0)
    assert detection(empty, lesion, limit) == (0, 0, 1)


def test_undefined_ratios_are_none():
    assert DetectionCounts().f1() is None
    assert DetectionCounts(0, 2, 0).recall() is None
    assert DetectionCounts(0, 2, 0).precision() == 0
    assert DetectionCounts(0, 0, 2).precision() is None
    assert DetectionCounts(0, 0, 2).f1() == 0


def test_counts_are_pooled_before_they_are_divided():
    pooled = DetectionCounts(1, 0, 0) + DetectionCounts(0, 1, 3)
    assert (pooled.precision(), pooled.recall(), pooled.f1()) == (1 / 2, 1 / 4, 2 / 6)


def test_center_slice_counts_from_the_volume():
    mask = np.zeros((9, 4, 4), bool)
    mask[5:8, 1:3, 1:3] = True
    (lesion,) = match_lesions(mask, mask).references
    assert (lesion.center_slice, lesion.voxels) == (6, 12)


def test_diameter_uses_the_volume_so_that_anisotropic_voxels_count_in_full():
    voxels, spacing_mm = 100, (5.0, 0.7, 0.7)
    volume_ml = voxels * math.prod(spacing_mm) / 1000
    diameter = equivalent_diameter_mm(volume_ml)
    assert math.pi / 6 * diameter**3 == pytest.approx(245.0)
    assert equivalent_diameter_mm(4 / 3 * math.pi) == pytest.approx(20.0)


def test_size_bins_start_at_their_lower_bound():
    assert [size_bin(value) for value in (0.1, 9.99, 10.0, 19.9, 20.0, 49.9, 50.0, 200.0)] == [
        "<10 mm",
        "<10 mm",
        "10-20 mm",
        "10-20 mm",
        "20-50 mm",
        "20-50 mm",
        ">=50 mm",
        ">=50 mm",
    ]


def plain_true_positives(prediction, reference, limit):
    """The evaluator's procedure on label images, step by step."""
    found, found_count = ndimage.label(prediction)
    drawn, drawn_count = ndimage.label(reference)
    owner = {}
    for r in range(1, drawn_count + 1):
        shared = [np.sum((drawn == r) & (found == p)) for p in range(1, found_count + 1)]
        if shared and max(shared):
            owner.setdefault(1 + int(np.argmax(shared)), []).append(r)
    groups = [np.isin(drawn, members) for _, members in sorted(owner.items(), key=lambda item: item[1])]
    members = [np.zeros(found.shape, bool) for _ in groups]
    for p in range(1, found_count + 1):
        shared = [np.sum(group & (found == p)) for group in groups]
        if shared and max(shared):
            members[int(np.argmax(shared))] |= found == p
    pairs = zip(groups, members, strict=True)
    return sum(np.sum(group & member) / np.sum(group | member) > limit for group, member in pairs)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), density=st.sampled_from([0.1, 0.25, 0.4]))
def test_equals_a_plain_loop_over_label_images(seed, density):
    prediction, reference = np.random.default_rng(seed).random((2, 4, 6, 6)) < density
    for limit in (0.0, 0.3):
        counts = match_lesions(prediction, reference).detection(limit)
        expected = plain_true_positives(prediction, reference, limit)
        assert counts.true_positive == expected
        assert counts.false_positive == ndimage.label(prediction)[1] - expected
        assert counts.false_negative == ndimage.label(reference)[1] - expected


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(1, 1, 2\).*\(1, 1, 3\)"):
        match_lesions(plane(".."), plane("..."))
