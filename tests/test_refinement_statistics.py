"""Counts at all levels, and PLR from them, against the masks themselves: equal bit for bit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.metrics import MaskCounts, count_masks, dice_global, dice_per_case
from pipeline.pixel_labels import effective_levels, refine_pixel_labels, threshold_level
from pipeline.sweep.grid import StackedStatistics, evaluate_grid, solve_levels
from pipeline.sweep.level_counts import count_statistics
from pipeline.sweep.statistics import VolumeStatistics

RADIUS = 3


def draw_case(rng, count):
    """A volume with gaps and relabeled slices: slice indices, pathological or not, levels, reference."""
    shape = tuple(rng.integers(1, 8, 2))
    slice_index = np.cumsum(rng.choice([1, 1, 1, 2, 4], count)).astype(np.int32)
    blob = rng.integers(0, 256, shape) * (rng.random(shape) < 0.7)
    probability = np.clip(blob + rng.integers(-60, 60, (count, *shape)) * (blob > 0), 0, 255).astype(np.uint8)
    return slice_index, rng.random(count) < 0.8, probability, (blob > 100) & (rng.random((count, *shape)) < 0.8)


def pack(masks):
    """Masks packed to bits, as they lie on disk."""
    return np.packbits(masks.reshape(len(masks), math.prod(masks.shape[1:])), axis=1)


def make_statistics(case, radius=RADIUS, volume_id="v", has_reference=True):
    """Statistics of a whole volume, as the stage writes them: rows of relabeled slices are zero."""
    slice_index, sick, probability, reference = case
    counts = count_statistics(
        probability[sick], slice_index[sick], pack(reference[sick]) if has_reference else None, radius
    )
    columns = {}
    for name, values in vars(counts).items():
        columns[name] = np.zeros((len(slice_index), *values.shape[1:]), np.int32)
        columns[name][sick] = values
    area = reference.sum(axis=(1, 2)).astype(np.int32) * has_reference
    return VolumeStatistics(
        volume_id, "train", slice_index, **columns, reference_area=area, has_reference=has_reference
    )


def refine_masks(case, threshold, scale, radius=1):
    """Pseudo and refined masks of every slice by the direct way."""
    slice_index, sick, probability, _ = case
    before, after = np.zeros((2, *probability.shape), bool)
    masks = refine_pixel_labels(probability[sick], slice_index[sick], threshold, scale, radius)
    before[sick], after[sick] = masks.pseudo_mask, masks.refined_mask
    return before, after


def random_points(rng, count):
    """Any tau and c, some of them where rounding decides: at stored levels and quotients of small integers."""
    taus = np.where(rng.random(count) < 0.5, rng.uniform(0.001, 1, count), rng.integers(1, 256, count) / 255)
    scales = np.where(rng.random(count) < 0.5, rng.uniform(0.1, 20, count), rng.integers(1, 40, count) / 4)
    return list(zip(taus.tolist(), scales.tolist(), strict=True))


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, RADIUS))
def test_counts_equal_the_masks(seed, count, radius):
    rng = np.random.default_rng(seed)
    case = draw_case(rng, count)
    statistics = make_statistics(case, radius)
    for threshold, scale in random_points(rng, 5):
        before, after = refine_masks(case, threshold, scale, radius)
        level, drawn = threshold_level(threshold), statistics.reference_area.sum()
        counts = MaskCounts(statistics.inside[:, level].sum(), statistics.above[:, level].sum(), drawn)
        assert counts == count_masks(before, case[3])
        found = evaluate_grid([statistics], [threshold], [scale], radius)
        counts = MaskCounts(found.intersection.item(), found.prediction.item(), found.reference)
        assert counts == count_masks(after, case[3])


def test_two_hundred_random_points_equal_brute_force():
    rng = np.random.default_rng(7)
    cases = [draw_case(rng, count) for count in (1, 12, 7, 25)]
    volumes = [make_statistics(case) for case in cases]
    stack = StackedStatistics(volumes, radius=2)
    for threshold, scale in random_points(rng, 200):
        brute = [count_masks(refine_masks(case, threshold, scale, 2)[1], case[3]) for case in cases]
        grid = stack.evaluate([threshold], [scale])
        assert grid.dice_per_case.item() == dice_per_case(brute)
        assert grid.dice_global.item() == dice_global(brute)


def test_levels_of_a_hand_made_pair():
    first, second = np.array([[[0, 10, 200, 255]]], np.uint8), np.array([[[5, 0, 100, 255]]], np.uint8)
    reference = np.array([[[False, True, True, False]], [[False, False, False, True]]])
    counts = count_statistics(np.concatenate([first, second]), np.array([3, 4]), pack(reference), 1)
    assert counts.above[0, [0, 1, 10, 11, 200, 201, 255, 256]].tolist() == [4, 3, 3, 2, 2, 1, 1, 0]
    assert counts.shared[0, 0, [0, 1, 100, 101, 255, 256]].tolist() == [4, 2, 2, 1, 1, 0]
    assert counts.inside[0, [0, 1, 11, 201]].tolist() == [2, 2, 1, 0]
    assert counts.shared[1].sum() == 0
    assert counts.inside[1, [0, 255, 256]].tolist() == [1, 1, 0]


@pytest.mark.parametrize("cuts", [[4], [4, 5], [1, 2, 3, 4, 5, 6, 7, 8]])
def test_slices_beyond_are_neighbors_only(cuts):
    slice_index, _, probability, reference = draw_case(np.random.default_rng(3), 9)
    whole = count_statistics(probability, slice_index, pack(reference), RADIUS)
    parts = list(zip(np.split(probability, cuts), np.split(slice_index, cuts), strict=True))
    part = count_statistics(*parts[0], pack(reference[: cuts[0]]), RADIUS, beyond=parts[1:])
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[: cuts[0]])


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_solved_levels_equal_the_trial_of_all(seed):
    rng = np.random.default_rng(seed)
    for threshold, scale in random_points(rng, 10):
        dice = np.concatenate([[0.0, 1.0], rng.random(50), rng.integers(1, 99, 50) / rng.integers(99, 200, 50)])
        exact = threshold * 255 / rng.integers(1, 256, 100)  # CI at which a level begins to pass, and its neighbors
        index = np.concatenate([scale * dice, exact, np.nextafter(exact, 0), np.nextafter(exact, np.inf), [1e-300]])
        np.testing.assert_array_equal(solve_levels(index, threshold), effective_levels(index, threshold))


def test_grid_of_cases_equals_the_single_masks():
    rng = np.random.default_rng(11)
    cases = [draw_case(rng, int(count)) for count in rng.integers(1, 20, 9)]
    volumes = [make_statistics(case) for case in cases]
    thresholds, scales = [0.2, 0.5, 128 / 255, 1.0], [0.5, 2.0, 5.0]
    grid = evaluate_grid(iter(volumes), thresholds, scales, radius=RADIUS)
    for row, threshold in enumerate(thresholds):
        for column, scale in enumerate(scales):
            counts = [count_masks(refine_masks(case, threshold, scale, RADIUS)[1], case[3]) for case in cases]
            assert grid.dice_per_case[row, column] == dice_per_case(counts)
            assert grid.dice_global[row, column] == dice_global(counts)


def test_results_of_groups_add_up(monkeypatch):
    rng = np.random.default_rng(12)
    volumes = [make_statistics(draw_case(rng, int(count))) for count in rng.integers(1, 20, 9)]
    whole = evaluate_grid(volumes, [0.3, 0.6], [1.0, 5.0])
    monkeypatch.setattr("pipeline.sweep.grid.GROUP_SLICES", 15)
    parts = evaluate_grid(volumes, [0.3, 0.6], [1.0, 5.0])
    np.testing.assert_allclose(parts.dice_per_case, whole.dice_per_case, rtol=1e-14)
    np.testing.assert_array_equal(parts.dice_global, whole.dice_global)


def test_each_volume_may_have_its_own_window():
    rng = np.random.default_rng(13)
    cases, radii = [draw_case(rng, 15) for _ in range(RADIUS)], [1, 3, 2]
    grid = evaluate_grid([make_statistics(case) for case in cases], [0.4], [1.5], radius=radii)
    masks = [refine_masks(case, 0.4, 1.5, reach)[1] for case, reach in zip(cases, radii, strict=True)]
    counts = [count_masks(mask, case[3]) for mask, case in zip(masks, cases, strict=True)]
    assert grid.dice_per_case.item() == dice_per_case(counts)


def test_volumes_without_reference_are_no_cases():
    rng = np.random.default_rng(14)
    with_reference, without = (make_statistics(draw_case(rng, 8), has_reference=value) for value in (True, False))
    alone = evaluate_grid([with_reference], [0.5], [5.0])
    both = evaluate_grid([without, with_reference], [0.5], [5.0])
    assert both.dice_per_case == alone.dice_per_case
    assert both.dice_global == alone.dice_global
    assert np.isnan(evaluate_grid([without], [0.5], [5.0]).dice_global).all()


def test_black_volume_has_no_masks():
    slice_index = np.arange(3, dtype=np.int32)
    black = make_statistics((slice_index, np.ones(3, bool), np.zeros((3, 4, 4), np.uint8), np.zeros((3, 4, 4), bool)))
    assert evaluate_grid([black], [0.5], [5.0]).dice_per_case.item() == 1.0


def test_no_volumes_are_an_error():
    with pytest.raises(ValueError, match="no volumes"):
        evaluate_grid([], [0.5], [5.0])


def test_window_beyond_the_counts_is_an_error():
    statistics = make_statistics(draw_case(np.random.default_rng(0), 5), radius=1)
    with pytest.raises(ValueError, match=r"v: radius 2, but the statistics are of 1\.\.1"):
        evaluate_grid([statistics], [0.5], [5.0], radius=2)


@pytest.mark.parametrize("point", [(0.0, 5.0), (0.5, 0.0)])
def test_point_that_passes_every_pixel_is_an_error(point):
    statistics = make_statistics(draw_case(np.random.default_rng(0), 5))
    with pytest.raises(ValueError, match="positive"):
        evaluate_grid([statistics], [point[0]], [point[1]])


def test_unordered_slices_and_other_shapes_are_errors():
    probability = np.zeros((2, 3, 3), np.uint8)
    with pytest.raises(ValueError, match="ascend"):
        count_statistics(probability, np.array([2, 1]), None, 1)
    with pytest.raises(ValueError, match="reference"):
        count_statistics(probability, np.array([1, 2]), np.zeros((2, 3), np.uint8), 1)
    with pytest.raises(ValueError, match="3 slice indices"):
        count_statistics(probability, np.array([1, 2, 3]), None, 1)
