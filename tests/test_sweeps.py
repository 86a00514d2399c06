"""Sweeps without Ray: surfaces against brute force, stability by hand, choosing among points, files that come back."""

import dataclasses
import io
import itertools
import math
import string
import sys
from pathlib import Path

import numpy as np
import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.command_line import load_config, shipped
from pipeline.config import CouinaudNetConfig, PipelineConfig, PixelLabelConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.metrics import count_masks, dice_global, dice_per_case
from pipeline.refinement.levels import effective_levels
from pipeline.run_folder import RunFolder
from pipeline.steps import Step
from pipeline.sweep.combinations import narrow_space
from pipeline.sweep.config_file import recall_settings, replace_settings, to_toml
from pipeline.sweep.picture import draw_surface
from pipeline.sweep.points import (
    PAPER,
    SCALE,
    THRESHOLD,
    Choice,
    Evaluated,
    LogUniform,
    Surface,
    Uniform,
    format_points,
    grid_points,
    pick_best,
    sum_surface,
)
from pipeline.sweep.stability import score_levels, score_masks, sum_probability, sum_stability
from pipeline.sweep.statistics import best_dice
from tests.test_refinement_statistics import draw_case, make_statistics, refine_masks
from tune_spaces import label_refinement, synthesis

TAUS, SCALES = (0.1, 0.5, 0.9), (1.0, 2.0, 5.0, 12.0)


def evaluated(dice, threshold=0.5, scale=5.0):
    return Evaluated({THRESHOLD: threshold, SCALE: scale}, {"dice": dice})


def small_surface(**figures):
    names = {"dice_per_case": np.nan, "dice_global": np.nan, "stability": 0.5, **figures}
    return Surface((0.2, 0.5), (1.0, 5.0, 9.0), {name: np.full((2, 3), value) for name, value in names.items()})


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2))
def test_surface_equals_brute_force(seed, radius):
    rng = np.random.default_rng(seed)
    cases = [draw_case(rng, count) for count in (1, 6, 9)]
    surface = sum_surface([make_statistics(case) for case in cases], TAUS, SCALES, [radius] * 3).divide()
    for point in surface.points():
        masks = [refine_masks(case, point.settings[THRESHOLD], point.settings[SCALE], radius)[1] for case in cases]
        counts = [count_masks(mask, case[3]) for mask, case in zip(masks, cases, strict=True)]
        assert point.figures["dice_per_case"] == dice_per_case(counts)
        assert point.figures["dice_global"] == dice_global(counts)


def plain_stability(masks, levels):
    """D E (1 - F) of masks of consecutive slices, pixel by pixel."""
    both = sum(np.sum(a & b) for a, b in itertools.pairwise(masks))
    size = sum(a.sum() + b.sum() for a, b in itertools.pairwise(masks))
    if not size:
        return 0.0
    soft = levels / 255
    fidelity = 2 * soft[masks].sum() / (masks.sum() + soft.sum())
    return (2 * both / size) * fidelity * (1 - masks.sum() / np.sum((levels > 0) | masks))


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 255))
def test_stability_of_masks_of_any_kind_is_the_plain_sum_over_pixels(seed, count, level):
    rng, index = np.random.default_rng(seed), np.arange(count, dtype=np.int32)
    levels = rng.integers(0, 256, (count, 5, 6)).astype(np.uint8) * (rng.random((count, 1, 1)) < 0.7)
    anywhere = rng.random(levels.shape) < 0.4
    assert score_masks(anywhere, levels, index) == pytest.approx(plain_stability(anywhere, levels))
    case = make_statistics((index, np.ones(count, bool), levels, anywhere))
    (cut,) = score_levels(case, np.full((1, count), level))
    assert score_masks(levels >= level, levels, index) == pytest.approx(cut)  # neighbors of one level: no bound


def test_masks_that_are_no_neighbors_do_not_agree():
    full = np.ones((2, 1, 4), bool)
    levels = np.full((2, 1, 5), 255, np.uint8)
    full = np.pad(full, ((0, 0), (0, 0), (0, 1)))
    assert score_masks(full, levels, np.int32([3, 4])) == pytest.approx(8 * 2 / 18 * (1 - 8 / 10))
    assert score_masks(full, levels, np.int32([3, 5])) == 0


def bound_stability(case, threshold, scale):
    """D E (1 - F) pixel by pixel; the overlap of slices as the text of the module bounds it."""
    slice_index, sick, probability, _ = case
    levels = np.where(sick[:, None, None], probability, 0)
    masks = refine_masks(case, threshold, scale)[1]
    cut = effective_levels(scale * best_dice(make_statistics(case), threshold, radius=1), threshold)
    pairs = [k for k in range(len(masks) - 1) if slice_index[k + 1] - slice_index[k] == 1]
    both = sum(np.sum(np.minimum(levels[k], levels[k + 1]) >= max(cut[k], cut[k + 1])) for k in pairs)
    size = sum(masks[k].sum() + masks[k + 1].sum() for k in pairs)
    if not masks.any() or not size:
        return 0.0
    soft = levels / 255
    fidelity = 2 * soft[masks].sum() / (masks.sum() + soft.sum())
    return (2 * both / size) * fidelity * (1 - masks.sum() / np.sum(levels > 0))


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_stability_equals_the_plain_sum_over_pixels(seed):
    rng = np.random.default_rng(seed)
    cases = [draw_case(rng, count) for count in (1, 8)]
    stability = sum_stability([make_statistics(case) for case in cases], TAUS, SCALES, [1, 1])
    expected = [[np.sum([bound_stability(case, tau, c) for case in cases]) for c in SCALES] for tau in TAUS]
    np.testing.assert_allclose(stability, expected, rtol=1e-12, atol=1e-15)


def towers(*heights):
    """A slice per number: so many of its ten pixels at 200, one more at 10 as the region's rest."""
    probability = np.zeros((len(heights), 1, 20), np.uint8)
    for row, height in zip(probability, heights, strict=True):
        row[0, :height], row[0, 19] = 200, 10
    everywhere = np.ones(len(heights), bool)
    return make_statistics((np.arange(len(heights), dtype=np.int32), everywhere, probability, probability > 255))


def test_steady_masks_are_more_stable_than_scattered_ones():
    (steady,) = sum_stability([towers(5, 5, 5)], [0.5], [5.0], [1])[0]
    (scattered,) = sum_stability([towers(9, 1, 5)], [0.5], [5.0], [1])[0]
    assert steady > scattered > 0


def test_vanished_and_flooding_masks_are_not_stable():
    vanished, kept, flooded = sum_stability([towers(5, 5, 5)], [0.5], [0.5, 5.0, 13.0], [1])[0]
    assert vanished == flooded == 0
    assert kept > 0


def test_probability_is_summed_from_each_level_on():
    held = sum_probability(towers(2))[0]
    assert held[[1, 10]] == pytest.approx([(2 * 200 + 10) / 255] * 2)
    assert held[[11, 200]] == pytest.approx([2 * 200 / 255] * 2)
    assert held[[201, 256]].tolist() == [0, 0]


def test_grid_takes_all_combinations_the_last_setting_fastest():
    points = grid_points({"a.x": Choice(("u", "v")), "a.y": Uniform(0, 1, grid=(0.1, 0.2))})
    assert [tuple(point.values()) for point in points] == [("u", 0.1), ("u", 0.2), ("v", 0.1), ("v", 0.2)]


def test_grid_leaves_a_range_without_grid_values_alone():
    assert grid_points({"a.x": LogUniform(1, 10), "a.y": Choice((3,))}) == [{"a.y": 3}]


def test_shipped_space_is_data_that_fits_the_settings_and_holds_the_paper():
    points = grid_points(label_refinement.SPACE)
    assert dict(PAPER) in points
    for point in points:
        replace_settings(PipelineConfig(run="r"), point)


def test_largest_value_wins_and_nan_never_does():
    points = [evaluated(math.nan), evaluated(0.2), evaluated(0.7, scale=1.0), evaluated(math.nan)]
    assert pick_best(points, "dice") is points[2]


def test_of_equals_the_nearest_to_the_origin_in_ratios_wins():
    far, near = evaluated(0.7, threshold=0.25), evaluated(0.7, threshold=0.75)
    assert pick_best([far, near, evaluated(0.6)], "dice", PAPER) is near


def test_of_equals_the_first_wins_without_an_origin():
    points = [evaluated(0.7, scale=1.0), evaluated(0.7)]
    assert pick_best(points, "dice") is points[0]


def test_no_point_with_a_value_is_an_error():
    with pytest.raises(ValueError, match="none of 2 points has a dice"):
        pick_best([evaluated(math.nan)] * 2, "dice")


def test_points_of_a_surface_run_through_scales_first():
    surface = dataclasses.replace(small_surface(), figures={"dice": np.arange(6.0).reshape(2, 3)})
    assert [point.figures["dice"] for point in surface.points()] == [0, 1, 2, 3, 4, 5]
    assert [point.settings[SCALE] for point in surface.points()] == [1, 5, 9, 1, 5, 9]
    assert surface.find({THRESHOLD: 0.5, SCALE: 1.0}).figures == {"dice": 3}
    assert surface.find({THRESHOLD: 0.5, SCALE: 1.5}) is None
    assert surface.to_table().column("scale").to_pylist() == [1, 5, 9, 1, 5, 9]
    assert surface.to_table().column("threshold").to_pylist() == [0.2] * 3 + [0.5] * 3


def test_unknown_figures_are_dashes_and_nulls():
    point = next(small_surface().points())
    assert point.to_json()["dice_global"] is None
    assert format_points({"best": point}).splitlines()[1].split() == ["best", "0.2", "1", "-", "-", "0.5000"]


@pytest.mark.parametrize(("figures", "panels"), [({}, 1), ({"dice_per_case": 0.4, "dice_global": 0.5}, 3)])
def test_picture_has_a_panel_per_figure_with_values(figures, panels):
    from matplotlib.image import imread

    surface = small_surface(**figures)
    between = Evaluated({THRESHOLD: 0.3, SCALE: 30.0}, {})
    data = draw_surface(surface, {"best": between, "paper": Evaluated(PAPER, {})})
    height, width = imread(io.BytesIO(data)).shape[:2]
    assert width / height == pytest.approx(panels * 5.2 / 4.6, rel=0.02)


def written(config, folder):
    path = folder / "settings.toml"
    path.write_bytes(to_toml(config).encode())
    return load_config(str(path))


@pytest.mark.parametrize("name", shipped())
def test_shipped_settings_come_back_from_a_file(name, tmp_path):
    assert written(load_config(name), tmp_path) == load_config(name)


@settings(max_examples=60)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(string.printable),
    st.floats(1e-9, 1),
    st.floats(0, sys.float_info.max, exclude_min=True),
    st.lists(st.integers(1, 2**40), min_size=2, max_size=4),
    st.booleans(),
)
def test_any_settings_come_back_from_a_file(tmp_path_factory, text, threshold, scale, widths, flag):
    config = PipelineConfig(
        run=tyro.MISSING,
        seed=7,
        source=SourceConfig(path=text),
        pixel_labels=PixelLabelConfig(threshold=threshold, scale=np.float64(scale), enabled=flag),
        couinaudnet=CouinaudNetConfig(inpainting_widths=tuple(widths)),
    )
    assert written(config, tmp_path_factory.mktemp("config")) == config


def test_setting_that_toml_does_not_know_is_an_error():
    with pytest.raises(ValueError, match="no TOML for None of type NoneType"):
        to_toml(dataclasses.replace(PipelineConfig(run="r"), source=SourceConfig(path=None)))


def test_settings_are_replaced_by_their_dotted_names():
    config = replace_settings(PipelineConfig(run="r"), {THRESHOLD: 0.3, "synthesis.style": "textured", "seed": 4})
    assert (config.pixel_labels.threshold, config.synthesis.style, config.seed) == (0.3, "textured", 4)
    assert config.pixel_labels.scale == 5.0


@pytest.mark.parametrize(("name", "value"), [("pixel_labels.tau", 0.5), (THRESHOLD, 1.5)])
def test_unknown_or_impossible_settings_are_errors(name, value):
    with pytest.raises(ValueError, match=r"pixel_labels\.(tau|threshold)"):
        replace_settings(PipelineConfig(run="r"), {name: value})


def test_settings_of_a_run_folder_come_before_those_of_the_job(tmp_path):
    made = PipelineConfig(run=str(tmp_path), pixel_labels=PixelLabelConfig(scale=2.0), seed=3)
    Step.begin(made, "refine_pixel_labels", uses=("pixel_labels", "couinaudnet"))
    now = PipelineConfig(run=str(tmp_path), couinaudnet=CouinaudNetConfig(epochs=3, num_workers=2))
    recalled = recall_settings(RunFolder(now.run), now)
    assert recalled == dataclasses.replace(made, couinaudnet=CouinaudNetConfig(num_workers=2))
    kept = recall_settings(RunFolder(now.run), now, keep=[SCALE])
    assert kept.pixel_labels == PixelLabelConfig(scale=5.0)


STYLES = Choice(("superpixel", "textured"))


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("search", ["grid", "random", "optuna"])
def test_shipped_space_goes_with_every_shipped_configuration(name, search):
    config = dataclasses.replace(load_config(name), run="r")
    space, lines = narrow_space(config, synthesis.SPACE, search)
    if name == "standard":
        assert lines == [
            "synthesis.style superpixel: couinaudnet.context_slices: 1 needs tumors that go on along z (synthesis.style"
            " textured), got superpixel; it is left out"
        ]
        assert space == {**synthesis.SPACE, "synthesis.style": Choice(("textured",))}
    else:
        assert (space, lines) == (synthesis.SPACE, [])
    for point in grid_points(space):
        replace_settings(config, point)


def test_value_that_goes_with_some_point_stays():
    """The run's largest radius, 35 mm, is below 40 mm; those of the space are not, or not all."""
    space = {
        "synthesis.minimum_radius_mm": LogUniform(2, 80, grid=(40.0, 80.0)),
        "synthesis.maximum_radius_mm": LogUniform(30, 60, grid=(30.0, 60.0, 70.0)),
    }
    left = {name: values.grid for name, values in narrow_space(PipelineConfig(run="r"), space, "grid")[0].items()}
    assert list(left.values()) == [(40.0,), (60.0, 70.0)]
    with pytest.raises(RefusedInputError, match=r"minimum_radius_mm 80, synthesis.maximum_radius_mm 30: synthesis.min"):
        narrow_space(PipelineConfig(run="r"), space, "random")


def test_values_of_a_space_that_exclude_each_other_are_refused():
    space = {"synthesis.style": STYLES, "couinaudnet.context_slices": Choice((0, 1))}
    with pytest.raises(RefusedInputError, match=r"not go together: synthesis.style superpixel, .*context_slices 1: "):
        narrow_space(PipelineConfig(run="r"), space, "grid")


def test_space_with_one_point_left_is_refused():
    config = dataclasses.replace(load_config("standard"), run="r")
    for values in (STYLES, Choice(("superpixel",))):
        with pytest.raises(RefusedInputError, match=r"nothing is left to compare: synthesis.style superpixel: "):
            narrow_space(config, {"synthesis.style": values}, "grid")


def test_spaces_need_no_ray():
    folder = Path(label_refinement.__file__).parent
    assert not [path.name for path in folder.glob("*.py") if "ray" in path.read_text(encoding="utf-8").split()]
