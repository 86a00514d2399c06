"""PLR against a plain loop that follows the paper's equations pixel by pixel."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.config import PixelLabelConfig
from pipeline.pixel_labels import (
    compute_continuity_index,
    effective_levels,
    pack_masks,
    quantize_probability,
    refine_pixel_labels,
    threshold_level,
    window_radius,
)
from pipeline.refinement.walk import RefinementWalk


def dice(a, b):
    total = a.sum() + b.sum()
    return 2.0 * (a & b).sum() / total if total else 0.0


def loop_plr(probability, slice_index, threshold, scale, radius=1):
    """Eq. 3-6 as they are written, one slice after the other; the neighbors are those within the radius."""
    o = {int(k): p / 255.0 for k, p in zip(slice_index, probability.astype(np.float64), strict=True)}
    m = {k: value >= threshold for k, value in o.items()}
    refined, index = {}, {}
    for k, value in o.items():
        around = [k + d for d in range(-radius, radius + 1) if d != 0]
        index[k] = scale * max(dice(m[k], m[n]) if n in m else 0.0 for n in around)
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


thresholds = st.sampled_from([0.1, 0.3, 0.5, 0.9, 1.0])
scales = st.sampled_from([0.5, 1.0, 2.0, 5.0, 10.0])


@settings(max_examples=300)
@given(volumes(), thresholds, scales, st.integers(1, 4))
def test_equals_the_loop_on_gapped_volumes(volume, threshold, scale, radius):
    probability, slice_index = volume
    masks = refine_pixel_labels(probability, slice_index, threshold, scale, radius)
    before, after, index = loop_plr(probability, slice_index, threshold, scale, radius)
    np.testing.assert_array_equal(masks.pseudo_mask, before)
    np.testing.assert_array_equal(masks.refined_mask, after)
    np.testing.assert_array_equal(masks.continuity_index, index)


@settings(max_examples=200)
@given(volumes(), thresholds, scales, st.integers(1, 4), st.lists(st.integers(0, 3), max_size=7), st.integers(1, 3))
def test_walk_in_steps_of_any_size_equals_the_loop(volume, threshold, scale, radius, steps, at_once):
    probability, slice_index = volume
    pixels = probability[0].size
    walk = RefinementWalk(pixels, threshold, scale, radius, window_bytes=at_once * pixels)
    cuts = [0, *np.minimum(np.cumsum([0, *steps]), len(probability)).tolist(), len(probability)]
    parts = [walk.push(probability[a:b], slice_index[a:b]) for a, b in pairwise(cuts)] + [walk.finish()]
    before, after, index = loop_plr(probability, slice_index, threshold, scale, radius)
    for name, expected in (("pseudo_mask", before), ("refined_mask", after)):
        packed = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(packed, np.packbits(expected.reshape(len(expected), pixels), axis=1))
    np.testing.assert_array_equal(np.concatenate([part.slice_index for part in parts]), slice_index)
    np.testing.assert_array_equal(np.concatenate([part.continuity_index for part in parts]), index)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(1, 1), (3, 5), (16, 16), (61, 67), (256, 256)]), st.integers(1, 3))
def test_equals_the_loop_on_slices_of_many_blocks(seed, shape, radius):
    rng = np.random.default_rng(seed)
    drift = rng.integers(-60, 60, (24, *shape))
    probability = np.clip(rng.integers(0, 256, shape) + drift, 0, 255).astype(np.uint8)
    slice_index = np.cumsum(rng.integers(1, 3, 24)).astype(np.int32)
    masks = refine_pixel_labels(probability, slice_index, 0.5, 2.0, radius)
    _, after, index = loop_plr(probability, slice_index, 0.5, 2.0, radius)
    np.testing.assert_array_equal(masks.refined_mask, after)
    np.testing.assert_array_equal(masks.continuity_index, index)


def test_walk_that_is_switched_off_keeps_the_thresholded_masks():
    walk = RefinementWalk(2, 0.5, 5.0, enabled=False)
    given_up = [walk.push(np.array([[[200, 0]]], np.uint8), np.array([3], np.int32)), walk.finish()]
    assert [part.refined_mask.tolist() for part in given_up] == [[], [[0b10000000]]]
    assert given_up[1].continuity_index.tolist() == [0.0]


def test_walk_refuses_slices_below_those_before():
    walk = RefinementWalk(1, 0.5, 5.0)
    walk.push(np.zeros((2, 1, 1), np.uint8), np.array([4, 5], np.int32))
    with pytest.raises(ValueError, match="ascend"):
        walk.push(np.zeros((1, 1, 1), np.uint8), np.array([5], np.int32))


def test_wider_window_reaches_over_a_black_slice():
    probability = strips(20)[[0, 0, 1]]
    probability[1] = 0
    index = np.array([4, 5, 6], np.int32)
    assert not refine_pixel_labels(probability, index, 0.5, 5.0, 1).refined_mask.any()
    assert refine_pixel_labels(probability, index, 0.5, 5.0, 2).continuity_index.tolist() == [5.0, 0.0, 5.0]


@pytest.mark.parametrize(
    ("radius_mm", "spacing", "expected"),
    [(0.0, 5.0, 4), (5.0, 2.5, 2), (5.0, 10.0, 1), (5.0, 0.6, 4), (2.1, np.float64(np.float32(0.7)), 3)],
)
def test_window_in_millimeters_depends_on_the_slice_spacing(radius_mm, spacing, expected):
    assert window_radius(PixelLabelConfig(radius=4, radius_mm=radius_mm), spacing) == expected


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30), st.floats(0.001, 1.0))
def test_effective_levels_are_the_first_that_pass(indices, threshold):
    passing = [[q for q in range(256) if q / 255.0 * index >= threshold] for index in indices]
    expected = [levels[0] if levels else 256 for levels in passing]
    assert effective_levels(np.array(indices), threshold).tolist() == expected


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
