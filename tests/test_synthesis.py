"""Synthetic tumors: where they may be, what they look like, and that drawing decides everything."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import SynthesisConfig
from pipeline.synthesis import TumorParameters, apply_tumors, draw_tumors, slice_generator
from pipeline.synthesis.superpixel import SuperpixelTumor, draw_superpixel_tumor, fit_ellipse
from pipeline.synthesis.textured import TexturedTumor, draw_contrast

from .couinaudnet_cases import HEIGHT, SPACING_MM, WIDTH, draw_couinaud_map

LIVER_HU = 100.0
STYLES = ("superpixel", "textured")
PLAIN_DISC = TexturedTumor(
    center_px=(0.0, 20.0, 24.0),
    radii_px=(8.0, 8.0, 8.0),
    slice_px=2.0,
    angle=0.0,
    wobble=((0.0, 0.0),) * 4,
    edge_px=0.05,
    contrast_hu=-40.0,
    rim_hu=0.0,
    core_hu=0.0,
    core_radius=0.5,
    texture_std_hu=0.0,
    texture_sigma_px=1.0,
    vessel_retention=0.0,
    liver_median_hu=LIVER_HU,
    seed=0,
)
PLAIN_SUPERPIXEL = SuperpixelTumor(
    superpixels=1,
    choice=0.0,
    displacement_px=0.0,
    displacement_sigma_px=2.0,
    contrast_hu=30.0,
    noise_std_hu=0.0,
    blur_sigma_px=0.01,
    seed=0,
)


def flat_liver(slices=1):
    return np.full((slices, HEIGHT, WIDTH), LIVER_HU, np.float32)


def liver_map(slices=1):
    return np.stack([draw_couinaud_map()] * slices)


def draw(style, seed=0, epoch=0, index=0, couinaud_map=None, **changes):
    couinaud_map = liver_map() if couinaud_map is None else couinaud_map
    config = SynthesisConfig(style=style, healthy_fraction=0.0, **changes)
    return draw_tumors(slice_generator(seed, epoch, "case", index), couinaud_map, LIVER_HU, (5.0, SPACING_MM), config)


@pytest.mark.parametrize("style", STYLES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_tumor_stays_in_the_chosen_segments(style, seed):
    couinaud_map = liver_map()
    hu = flat_liver() + np.random.default_rng(seed).normal(0, 10, (1, HEIGHT, WIDTH)).astype(np.float32)
    before = hu.copy()
    parameters = draw(style, seed)
    image, tumor, segments = apply_tumors(hu, couinaud_map, parameters)
    assert np.array_equal(hu, before)
    assert np.array_equal(segments, np.isin(couinaud_map, parameters.segments))
    assert not (tumor & ~segments).any()
    assert np.array_equal(image[~segments], hu[~segments])
    assert image.dtype == np.float32
    assert np.isfinite(image).all()


@pytest.mark.parametrize("style", STYLES)
def test_same_keys_give_the_same_slice(style):
    first, again = (apply_tumors(flat_liver(), liver_map(), draw(style)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("other", [{"seed": 1}, {"epoch": 1}, {"index": 1}])
def test_other_keys_give_other_tumors(other):
    assert draw("textured") != draw("textured", **other)


def test_plain_disc_has_its_area_and_contrast():
    parameters = TumorParameters((3, 4, 5, 6), (PLAIN_DISC,))
    image, tumor, _ = apply_tumors(flat_liver(), liver_map(), parameters)
    assert tumor.sum() == pytest.approx(np.pi * 8**2, rel=0.03)
    assert image[0, 20, 24] == pytest.approx(LIVER_HU - 40)
    assert np.allclose(image[~tumor], LIVER_HU, atol=25)
    assert image[0, 20, 34] == pytest.approx(LIVER_HU)


def test_rim_and_core_lie_where_they_should():
    tumor = replace(PLAIN_DISC, rim_hu=20.0, core_hu=-10.0)
    row = tumor.paint(flat_liver(), liver_map() > 0)[0][0, 20] - LIVER_HU
    assert row[24] == pytest.approx(-50)
    assert row[24 + 5] == pytest.approx(-40)
    assert row[24 + 7] == pytest.approx(-20)
    assert row[24 + 10] == pytest.approx(0)


@pytest.mark.parametrize(("retention", "expected"), [(0.0, 115 - 40), (1.0, 160 - 40)])
def test_vessels_fade_inside_a_tumor(retention, expected):
    hu = flat_liver()
    hu[0, 20, 24] = 160
    painted, _ = replace(PLAIN_DISC, vessel_retention=retention).paint(hu, liver_map() > 0)
    assert painted[0, 20, 24] == pytest.approx(expected)


def test_wobble_moves_the_edge():
    region = liver_map() > 0
    round_mask = PLAIN_DISC.paint(flat_liver(), region)[1]
    wobbling = replace(PLAIN_DISC, wobble=((0.2, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)))
    mask = wobbling.paint(flat_liver(), region)[1]
    assert mask[0, :, 24].sum() > round_mask[0, :, 24].sum()
    assert mask[0, 20].sum() < round_mask[0, 20].sum()


def test_ball_is_a_ball_on_neighboring_slices():
    ball = replace(PLAIN_DISC, center_px=(3.0, 20.0, 24.0))
    mask = ball.paint(flat_liver(7), liver_map(7) > 0)[1]
    for layer, offset in enumerate((-6, -4, -2, 0, 2, 4, 6)):
        assert mask[layer].sum() == pytest.approx(np.pi * (64 - offset**2), rel=0.1)


def test_tumor_beyond_the_slices_paints_nothing():
    painted, mask = replace(PLAIN_DISC, center_px=(30.0, 20.0, 24.0)).paint(flat_liver(3), liver_map(3) > 0)
    assert np.array_equal(painted, flat_liver(3))
    assert not mask.any()


def test_slice_without_neighbors_gets_the_same_tumors_whatever_the_slice_spacing():
    config = SynthesisConfig(style="textured", healthy_fraction=0.0)
    painted = []
    for slice_mm in (1.0, 8.0):
        drawn = draw_tumors(slice_generator(0, 0, "case", 0), liver_map(), LIVER_HU, (slice_mm, SPACING_MM), config)
        painted.append(apply_tumors(flat_liver(), liver_map(), drawn)[1])
    assert np.array_equal(*painted)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_tumors_cross_the_middle_slice_and_go_on_beside_it(seed):
    drawn = draw("textured", seed, couinaud_map=liver_map(3), minimum_radius_mm=16.0)
    tumor = apply_tumors(flat_liver(3), liver_map(3), drawn)[1]
    assert tumor[1].any()
    assert (tumor[1] & (tumor[0] | tumor[2])).any()
    assert all(abs(one.center_px[0] - 1) * one.slice_px < one.radii_px[0] for one in drawn.tumors)


def test_contrasts_are_mostly_dark_and_reach_down_to_hardly_visible():
    rng = np.random.default_rng(0)
    contrast = np.array([draw_contrast(rng) for _ in range(4000)])
    dark = contrast[contrast < 0]
    assert len(dark) / len(contrast) == pytest.approx(0.88, abs=0.02)
    assert dark.min() >= -85
    assert dark.max() <= -8
    assert (dark > -12).mean() == pytest.approx(0.5 * np.log(12 / 8) / np.log(80 / 8), abs=0.02)


def test_superpixel_tumor_is_the_ellipse_of_a_small_region():
    region = np.zeros((1, HEIGHT, WIDTH), bool)
    region[0, 10:30, 10:40] = True
    painted, tumor = PLAIN_SUPERPIXEL.paint(flat_liver(), region)
    assert tumor[0, 20, 25]
    assert not tumor[0, 10, 10]
    assert np.allclose(painted[tumor], LIVER_HU + 30, atol=1e-3)
    assert np.array_equal(painted[~tumor], flat_liver()[~tumor])


def test_superpixels_get_smaller_with_their_number():
    region = liver_map() > 0
    hu = flat_liver() + np.random.default_rng(0).normal(0, 5, region.shape).astype(np.float32)
    areas = [replace(PLAIN_SUPERPIXEL, superpixels=n, choice=0.5).paint(hu, region)[1].sum() for n in (2, 8, 30)]
    assert areas[0] > areas[1] > areas[2] > 0


def test_superpixel_contrast_has_the_authors_range():
    rng = np.random.default_rng(0)
    tumors = [draw_superpixel_tumor(rng, 0.3, 1.0) for _ in range(3000)]
    gray = np.array([tumor.contrast_hu for tumor in tumors]) * 255 / 450
    assert gray.mean() == pytest.approx(-100 + 150 * 0.6, abs=2)
    assert gray.min() >= -100
    assert gray.max() <= 50
    assert {tumor.superpixels for tumor in tumors} == set(range(1, 14))


def test_ellipse_of_a_disc_is_the_disc():
    disc = draw_couinaud_map() > 0
    assert (fit_ellipse(disc) ^ disc).sum() <= 0.03 * disc.sum()


def test_ellipse_of_a_line_is_the_line():
    line = np.zeros((9, 9), bool)
    line[4, 1:8] = True
    assert np.array_equal(fit_ellipse(line), line)


def test_small_segments_get_no_tumor_but_are_shown():
    parameters = draw("textured", minimum_segment_area_mm2=1e6)
    assert parameters.tumors == ()
    assert len(parameters.segments) in (1, 2)


def test_slice_without_liver_stays_as_it_is():
    empty = np.zeros((1, HEIGHT, WIDTH), np.uint8)
    parameters = draw("superpixel", couinaud_map=empty)
    image, tumor, segments = apply_tumors(flat_liver(), empty, parameters)
    assert parameters == TumorParameters((), ())
    assert np.array_equal(image, flat_liver())
    assert not tumor.any()
    assert not segments.any()


def test_one_segment_is_chosen_most_of_the_time_and_all_sometimes():
    counts = [len(draw("textured", index=index).segments) for index in range(600)]
    there = len(set(draw_couinaud_map().ravel()) - {0})
    assert counts.count(1) / 600 == pytest.approx(0.60, abs=0.06)
    assert counts.count(there) / 600 >= 0.1


def test_share_of_healthy_slices():
    config = SynthesisConfig(style="textured", healthy_fraction=0.25)
    drawn = [
        draw_tumors(slice_generator(0, 0, "case", index), liver_map(), LIVER_HU, (5.0, SPACING_MM), config)
        for index in range(600)
    ]
    assert sum(not parameters.tumors for parameters in drawn) / 600 == pytest.approx(0.25, abs=0.05)
