"""The constructor `shape`: invariants on a liver given by formulas, whatever the scanner did to it."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from pipeline.config import CouinaudConfig
from pipeline.couinaud import construct
from pipeline.couinaud.shape import is_cut, vote
from pipeline.couinaud.shape_division import find_caudate, fit_cuts, name_segments
from pipeline.couinaud.shape_frame import ShapeFrame, fit_frame, sample_liver
from pipeline.couinaud.shape_labeling import label_voxels
from pipeline.couinaud.shape_vote import Vote
from pipeline.couinaud.shape_weights import WEIGHTS, bundled_model, read_about
from tests.shape_cases import BOX_MM, is_liver, look_up, make_geometry, make_liver, reindex, segment_at, voxel_points

CONFIG = CouinaudConfig(method="shape")
DATA = Path(os.environ.get("LIVER_DATA", "/nowhere"))
PROBES = np.random.default_rng(0).uniform(*BOX_MM, size=(20000, 3))
PROBES = PROBES[is_liver(PROBES * 1.04) & is_liver(PROBES)]
COARSE = make_geometry((5.0, 3.0, 4.0))


@pytest.fixture(scope="module")
def reference():
    """The map of the liver on a plain grid, at the probes."""
    geometry = make_geometry()
    return look_up(construct(make_liver(geometry), CONFIG).labels, geometry, PROBES)


def agreement(geometry, reference):
    made = construct(make_liver(geometry), CONFIG)
    assert made.method == "shape"
    found = look_up(made.labels, geometry, PROBES)
    known = found > 0
    assert known.mean() > 0.7
    return (found == reference)[known].mean()


@settings(max_examples=6)
@given(st.permutations((0, 1, 2)), st.tuples(*[st.booleans()] * 3))
def test_flipping_and_turning_the_array_leaves_the_map(order, flips):
    volume = make_liver(COARSE)
    mask, geometry = reindex(volume.liver_mask, COARSE, order, flips)
    found = construct(replace(volume, liver_mask=mask, geometry=geometry), CONFIG).labels
    expected, _ = reindex(construct(volume, CONFIG).labels, COARSE, order, flips)
    assert (found == expected)[mask].mean() > 0.995


@settings(max_examples=8)
@given(st.floats(0.5, 10))
def test_resampling_leaves_the_map(reference, slice_mm):
    lowest = 0.934  # for slices of 0.5 to 10 mm in steps of 0.25 mm
    assert agreement(make_geometry((slice_mm, 3.5, 3.0)), reference) > lowest - 0.015


@settings(max_examples=6)
@given(st.tuples(*[st.floats(-40, 40)] * 3))
def test_an_oblique_grid_leaves_the_map(reference, degrees):
    direction = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    assert agreement(make_geometry((4.0, 3.0, 3.0), direction), reference) > 0.93


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.floats(2, 10), st.sampled_from((0.0, 0.3)))
def test_every_liver_voxel_has_one_segment_and_no_other_has_any(seed, slice_mm, holes):
    geometry = make_geometry((slice_mm, 4.0, 4.0))
    volume = make_liver(geometry)
    kept = np.random.default_rng(seed).random(geometry.shape) >= holes
    volume = replace(volume, liver_mask=volume.liver_mask & kept)
    labels = construct(volume, CONFIG).labels
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal((labels >= 1) & (labels <= 8), volume.liver_mask)
    np.testing.assert_array_equal(labels > 0, volume.liver_mask)


def test_sides_are_those_of_the_patient():
    geometry = make_geometry()
    labels = construct(make_liver(geometry), CONFIG).labels
    center = {segment: voxel_points(geometry)[labels == segment].mean(axis=0) for segment in range(1, 9)}
    assert center[2][0] > center[4][0] > center[8][0]
    assert center[7][1] > center[8][1]
    assert center[6][1] > center[5][1]
    assert center[7][2] > center[6][2]
    assert center[8][2] > center[5][2]


@pytest.mark.parametrize(("axis", "end"), list(itertools.product(range(3), (0, 1))))
def test_a_field_of_view_that_ends_inside_the_liver_is_flagged(axis, end):
    low, high = BOX_MM.copy()
    (high if end else low)[axis] = 20.0 if end else -20.0
    cut = make_liver(make_geometry((6.0, 5.0, 5.0), low=low, high=high))
    assert "LIVER_CUT" in construct(cut, CONFIG).flags
    whole = make_liver(make_geometry((6.0, 5.0, 5.0)))
    assert "LIVER_CUT" not in construct(whole, CONFIG).flags


def test_a_tip_at_the_border_is_no_cut():
    mask = np.zeros((10, 20, 20), bool)
    mask[1:9, 2:18, 2:18] = True
    mask[0, 8:12, 8:12] = True
    assert not is_cut(mask)
    mask[0, 2:18, 2:18] = True
    assert is_cut(mask)


def test_the_frame_is_the_box_in_patient_axes():
    frame = fit_frame(make_liver(make_geometry()).liver_mask, make_geometry())
    np.testing.assert_allclose(frame.center_mm, (6.5, 3.5, -5.0), atol=4)
    np.testing.assert_allclose(frame.half_mm, (106.5, 73.5, 75.0), atol=6)


def test_sampling_agrees_with_the_formula():
    geometry = make_geometry((1.5, 1.5, 1.5))
    frame = ShapeFrame((5.0, 0.0, 0.0), (110.0, 80.0, 80.0))
    sampled = sample_liver(make_liver(geometry).liver_mask, geometry, frame, 16)
    assert ((sampled > 0.5) == is_liver(frame.points(16))).mean() > 0.99


def test_labels_are_those_of_interpolated_scores():
    geometry = make_geometry((7.0, 9.0, 8.0), Rotation.from_euler("xyz", (10, -20, 30), degrees=True).as_matrix())
    mask = make_liver(geometry).liver_mask
    scores = np.random.default_rng(1).standard_normal((8, 6, 6, 6)).astype(np.float32)
    frame = ShapeFrame((3.0, 2.0, -4.0), (90.0, 70.0, 60.0))
    place = (voxel_points(geometry)[mask] - frame.center_mm) / frame.half_mm
    index = ((place + 1) * 3 - 0.5).T[::-1]
    expected = [map_coordinates(score, index, order=1, mode="nearest") for score in scores]
    labels = label_voxels(scores, frame, mask, geometry)
    assert (labels[mask] == np.argmax(expected, axis=0) + 1).mean() > 0.999


@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, -10, 30)])
def test_the_caudate_lobe_is_where_its_score_is_largest(degrees):
    geometry = make_geometry((5.0, 4.0, 4.0), Rotation.from_euler("xyz", degrees, degrees=True).as_matrix())
    mask = make_liver(geometry).liver_mask
    made = vote(mask, geometry)
    everywhere = label_voxels(made.scores, made.frame, mask, geometry) == 1
    assert everywhere.any()
    np.testing.assert_array_equal(find_caudate(made, mask, geometry), everywhere)


def test_cuts_come_back_from_sure_scores():
    geometry = make_geometry((2.0, 2.0, 2.0))
    mask = make_liver(geometry).liver_mask
    frame = fit_frame(mask, geometry)
    truth = segment_at(frame.points(48))
    scores = np.log(np.stack([truth == segment for segment in range(1, 9)]) + 1e-3).astype(np.float32)
    coarse = scores.reshape(8, 24, 2, 24, 2, 24, 2).mean(axis=(2, 4, 6))
    cuts = fit_cuts(Vote(coarse, frame, 1.0), mask, geometry)
    np.testing.assert_allclose(cuts.mid.normal, (0.64, -0.77, 0.0), atol=0.1)
    np.testing.assert_allclose((cuts.right_level_mm, cuts.left_level_mm), (0.0, 25.0), atol=4)


def test_a_vote_without_a_cut_is_taken_voxel_by_voxel():
    geometry = make_geometry((5.0, 4.0, 4.0))
    mask = make_liver(geometry).liver_mask
    scores = np.full((8, 12, 12, 12), -9.0, np.float32)
    scores[4, :, :, 6:] = scores[6, :, :, :6] = 0
    labels = name_segments(Vote(scores, fit_frame(mask, geometry), 1.0), mask, geometry)
    assert set(np.unique(labels)) == {0, 5, 7}


def test_probabilities_sum_to_one_and_name_the_map():
    geometry = make_geometry()
    volume = make_liver(geometry)
    probabilities = vote(volume.liver_mask, geometry).probabilities(PROBES)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    labels = look_up(construct(volume, CONFIG).labels, geometry, PROBES)
    assert (probabilities.argmax(axis=1) + 1 == labels).mean() > 0.95


def test_the_weights_are_small_and_say_where_they_come_from():
    path = resources.files("pipeline.couinaud").joinpath("weights", WEIGHTS)
    assert path.stat().st_size <= 4 * 2**20
    about = read_about(str(path))
    assert about["data_license"] == "MIT"
    assert about["command"].startswith("python -m jobs.train_couinaud_shape")
    assert {"data", "seed", "commit", "shapes", "settings"} <= set(about)


@pytest.mark.skipif(not (DATA / "ircadb").is_dir(), reason="LIVER_DATA has no ircadb")
@pytest.mark.parametrize("volume_id", ["ircadb_06", "ircadb_13"])
def test_an_annotated_liver_is_divided_much_as_its_annotation(volume_id):
    from pipeline.couinaud.shape_evaluation import evaluate
    from pipeline.couinaud.shape_maps import read_shape

    figures = evaluate(bundled_model(), read_shape(DATA / "ircadb" / "couinaudTr" / f"{volume_id}.nii.gz"))
    assert figures.mean_dice > 0.65
    assert figures.presence > 0.88
