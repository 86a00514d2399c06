"""PLR against a plain loop that follows the paper's equations pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.pixel_labels import (
    compute_continuity_index,
    effective_levels,
    pack_masks,
    quantize_probability,
    refine_pixel_labels,
    threshold_level,
)


def dice(a, b):
    total = a.sum() + b.sum()
    return 2.0 * (a & b).sum() / total if total else 0.0


def loop_plr(probability, slice_index, threshold, scale):
    """Eq. 3-6 as they are written, one slice after the other."""
    o = {int(k): p / 255.0 for k, p in zip(slice_index, probability.astype(np.float64), strict=True)}
    m = {k: value >= threshold for k, value in o.items()}
    refined, index = {}, {}
    for k, value in o.items():
        index[k] = scale * max(dice(m[k], m[n]) if n in m else 0.0 for n in (k - 1, k + 1))
        refined[k] = value * index[k] >= threshold
    keys = [int(k) for k in slice_index]
    return np.stack([m[k] for k in keys]), np.stack([refined[k] for k in keys]), np.array([index[k] for k in keys])


@st.composite
def volumes(draw):
    count = draw(st.integers(1, 7))
    gaps = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    shape = (count, draw(st.integers(1, 5)), draw(st.integers(1, 9)))
    levels = st.sampled_from([0, 1, 64, 127, 128, 129, 200, 255])
    return draw(hnp.arrays(np.uint8, shape, elements=levels)), np.cumsum(gaps).astype(np.int32)


@settings(max_examples=300, deadline=None)
@given(volumes(), st.sampled_from([0.1, 0.3, 0.5, 0.9, 1.0]), st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0]))
def test_equals_the_loop_on_gapped_volumes(volume, threshold, scale):
    probability, slice_index = volume
    masks = refine_pixel_labels(probability, slice_index, threshold, scale)
    before, after, index = loop_plr(probability, slice_index, threshold, scale)
    np.testing.assert_array_equal(masks.pseudo_mask, before)
    np.testing.assert_array_equal(masks.refined_mask, after)
    np.testing.assert_array_equal(masks.continuity_index, index)


def strips(*overlaps, length=20):
    """Masks of two slices that overlap by the given pixels out of `length` each."""
    (overlap,) = overlaps
    first, second = np.zeros((1, 2 * length), np.uint8), np.zeros((1, 2 * length), np.uint8)
    first[0, :length] = 200
    second[0, length - overlap : 2 * length - overlap] = 200
    return np.stack([first, second])


def test_neighbor_dice_under_a_tenth_deletes_the_mask():
    masks = refine_pixel_labels(strips(1), np.array([4, 5], np.int32), 0.5, 5.0)
    assert masks.pseudo_mask.any()
    assert not masks.refined_mask.any()


def test_neighbor_dice_over_a_fifth_grows_the_mask():
    probability = strips(20)
    probability[:, 0, 30] = 26  # o = 0.102, CI = 5: 0.51 >= 0.5
    masks = refine_pixel_labels(probability, np.array([4, 5], np.int32), 0.5, 5.0)
    assert not masks.pseudo_mask[:, 0, 30].any()
    assert masks.refined_mask[:, 0, 30].all()


def test_single_slice_has_index_zero_and_is_black():
    masks = refine_pixel_labels(np.full((1, 2, 2), 255, np.uint8), np.array([7], np.int32), 0.5, 5.0)
    assert masks.continuity_index.tolist() == [0.0]
    assert not masks.refined_mask.any()


def test_gap_separates_equal_masks():
    masks = np.ones((2, 3, 3), bool)
    assert compute_continuity_index(masks, np.array([1, 3], np.int32), 5.0).tolist() == [0.0, 0.0]


def test_empty_neighbors_do_not_continue_each_other():
    masks = np.zeros((2, 3, 3), bool)
    assert compute_continuity_index(masks, np.array([1, 2], np.int32), 5.0).tolist() == [0.0, 0.0]


def test_unordered_rows_are_an_error():
    with pytest.raises(ValueError, match="ascend"):
        compute_continuity_index(np.ones((2, 1, 1), bool), np.array([2, 1], np.int32), 5.0)


@given(st.floats(0.001, 1.0))
def test_threshold_level_is_the_first_that_passes(threshold):
    passing = [q for q in range(256) if q / 255.0 >= threshold]
    assert threshold_level(threshold) == (passing[0] if passing else 256)


def test_deleted_slices_have_a_level_that_no_pixel_reaches():
    assert effective_levels(np.array([0.0, 0.49, 0.5, 5.0]), 0.5).tolist() == [256, 256, 255, 26]


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=12)))
def test_packed_bits_count_the_mask(masks):
    assert np.bitwise_count(pack_masks(masks)).sum(axis=1).tolist() == masks.sum(axis=(1, 2)).tolist()


def test_quantization_rounds_to_the_nearest_level():
    assert quantize_probability(np.array([0.0, 0.5, 0.001, 0.002, 1.2])).tolist() == [0, 128, 0, 1, 255]
