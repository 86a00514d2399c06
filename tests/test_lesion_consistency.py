"""Refinement lesion by lesion: what stays, what goes, and what the label demands."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import PixelLabelConfig
from pipeline.refinement.lesion_consistency import refine_lesions
from pipeline.smoothing import smooth_inside

SHAPE, SPACING_MM = (12, 40, 40), (3.0, 2.0, 2.0)
CONFIG = PixelLabelConfig(method="lesions")
LEFT, RIGHT = np.s_[:, :, :20], np.s_[:, :, 20:]


def ball(center, radius_mm):
    """A ball around a voxel."""
    offsets = [(grid - middle) * step for grid, middle, step in zip(np.indices(SHAPE), center, SPACING_MM, strict=True)]
    return np.sqrt(sum(offset**2 for offset in offsets)) <= radius_mm


def named_map():
    """Segment 4 on the left, segment 5 on the right."""
    segments = np.full(SHAPE, 4, np.uint8)
    segments[RIGHT] = 5
    return segments


def refine(probability, named=None, hu=None, config=CONFIG):
    named = named_map() if named is None else named
    hu = np.zeros(SHAPE, np.float32) if hu is None else hu
    return refine_lesions(np.where(named > 0, probability, 0).astype(np.float32), named, hu, SPACING_MM, config)


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_certain_lesions_stay_as_they_are():
    truth = ball((6, 20, 10), 10) | ball((6, 20, 30), 12)
    assert dice(refine(0.9 * truth), truth) > 0.95


def test_single_slice_between_black_neighbors_goes():
    truth = ball((6, 20, 10), 12) | ball((6, 20, 30), 12)
    alone = np.zeros(SHAPE, bool)
    alone[1, 4:9, 4:9] = True
    assert not (refine(0.9 * (truth | alone)) & alone).any()


def test_slice_missed_inside_a_lesion_is_filled():
    truth = ball((6, 20, 10), 12) | ball((6, 20, 30), 12)
    probability = 0.9 * truth
    probability[6] = 0.3 * truth[6]
    refined = refine(probability)
    assert refined[6][truth[6]].mean() > 0.85


def test_fat_is_no_tumor():
    truth, fat = ball((6, 20, 30), 12), ball((6, 20, 8), 10)
    hu = np.where(fat, np.float32(-140), np.float32(0))
    refined = refine(0.9 * (truth | fat), named=named_map() // 5 * 5, hu=hu)
    assert dice(refined, truth) > 0.9
    everything = refine(0.9 * (truth | fat), hu=hu, config=replace(CONFIG, minimum_relative_hu=-1000.0))
    assert everything[fat].mean() > 0.9


def test_faint_lesion_stays_only_where_its_segment_has_nothing_better():
    strong, faint = ball((6, 20, 10), 12), ball((6, 10, 30), 8)
    assert refine(0.9 * strong + 0.3 * faint)[faint].mean() > 0.8
    both = 0.9 * (strong | ball((6, 30, 30), 12)) + 0.3 * faint
    assert not refine(both)[faint].any()


def test_nothing_is_found_outside_the_named_segments():
    named = named_map()
    named[LEFT] = 0
    refined = refine(np.full(SHAPE, 0.9), named)
    assert refined[RIGHT].all()
    assert not refined[LEFT].any()


@pytest.mark.parametrize("probability", [0.0, 0.01])
def test_next_to_no_probability_finds_nothing(probability):
    assert not refine(np.full(SHAPE, probability)).any()
    assert not refine(np.ones(SHAPE), named=np.zeros(SHAPE, np.uint8)).any()


def test_smoothing_keeps_a_flat_region_flat():
    region = ball((6, 20, 20), 14)
    smoothed = smooth_inside(0.4 * region.astype(np.float32), region, (1.0, 2.0, 2.0))
    np.testing.assert_allclose(smoothed[region], 0.4, rtol=1e-4)
    assert not smoothed[~region].any()


def test_dark_core_of_a_lesion_belongs_to_it_if_asked():
    truth, core = ball((6, 20, 10), 12), ball((6, 20, 10), 6)
    hu = np.where(core, -100, 0).astype(np.float32)
    named = np.where(named_map() == 4, named_map(), 0)
    kept, filled = (refine(0.9 * truth, named, hu, replace(CONFIG, fill_holes=fill)) for fill in (False, True))
    assert not kept[6, 20, 10]  # between slices the Gaussian blurs the core's border
    assert np.array_equal(filled, kept | core)
