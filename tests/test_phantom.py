"""The phantom cohort against independent recomputation, anatomy and hand-checkable pictures."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import measure

from pipeline.config import PhantomConfig
from pipeline.phantom import list_phantoms, make_phantom
from pipeline.phantom.patient import draw_patient
from pipeline.phantom.shapes import Ellipsoid, PatientGrid, Plane, RandomField, Tube, as_points, window
from pipeline.phantom.tumors import name_segments
from pipeline.volume import Volume

SMALL = PhantomConfig(
    train_pathological=5,
    train_healthy=2,
    validation=1,
    test=2,
    slices=28,
    height=72,
    width=88,
    slice_spacing_mm=7.0,
    pixel_spacing_mm=3.6,
)
SEED = 7
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cohort() -> list[Volume]:
    return [make_phantom(SMALL, SEED, case.volume_id) for case in list_phantoms(SMALL, SEED)]


def digest(volume: Volume) -> str:
    arrays = (volume.hu, volume.liver_mask, volume.couinaud_map, volume.reference_mask, volume.image_label)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_cohort_is_listed_in_order_of_split():
    cases = list_phantoms(SMALL, SEED)
    assert [case.volume_id for case in cases] == [f"phantom_00{i}" for i in range(10)]
    assert [case.split for case in cases] == ["train"] * 7 + ["validation"] + ["test"] * 2
    assert [case.healthy for case in cases] == [False] * 5 + [True] * 2 + [False] * 3


def test_volume_is_as_configured(cohort):
    volume = cohort[-1]
    assert (volume.volume_id, volume.split, volume.hu.dtype) == ("phantom_009", "test", np.int16)
    assert volume.geometry.spacing_mm == (7.0, 3.6, 3.6)
    assert volume.geometry.native_orientation == "LPS"
    for array in (volume.hu, volume.liver_mask, volume.couinaud_map, volume.reference_mask):
        assert array.shape == volume.geometry.shape == (28, 72, 88)


def test_unknown_case_is_named():
    with pytest.raises(ValueError, match="'phantom_010' is not one of the cohort's 10 cases"):
        make_phantom(SMALL, SEED, "phantom_010")


def test_case_does_not_depend_on_what_was_made_before(cohort):
    again = make_phantom(SMALL, SEED, "phantom_003")
    assert digest(again) == digest(cohort[3])
    assert again.content_sha256 == cohort[3].content_sha256


def test_case_does_not_depend_on_the_process(cohort):
    code = (
        "from tests.test_phantom import SEED, SMALL, digest, make_phantom\n"
        "import sys; sys.stdout.write(digest(make_phantom(SMALL, SEED, 'phantom_001')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout == digest(cohort[1])


def test_content_hash_tells_cases_seeds_and_settings_apart(cohort):
    hashes = {volume.content_sha256 for volume in cohort}
    hashes.add(make_phantom(SMALL, SEED + 1, "phantom_000").content_sha256)
    hashes.add(make_phantom(replace(SMALL, noise_hu=11.0), SEED, "phantom_000").content_sha256)
    assert len(hashes) == len(cohort) + 2


def test_every_liver_voxel_has_one_of_all_eight_segments(cohort):
    for volume in cohort:
        np.testing.assert_array_equal(volume.couinaud_map > 0, volume.liver_mask)
        assert set(np.unique(volume.couinaud_map)) == set(range(9))


def test_no_slice_shows_all_eight_segments(cohort):
    for volume in cohort:
        assert max(len(set(np.unique(plane)) - {0}) for plane in volume.couinaud_map) < 8


def test_segments_lie_where_anatomy_has_them(cohort):
    for volume in cohort:
        z, y, x = np.array([np.argwhere(volume.couinaud_map == s).mean(0) for s in range(1, 9)]).T
        s1, s2, s3, s4, s5, s6, s7, s8 = range(8)
        assert max(x[s5], x[s6], x[s7], x[s8]) < x[s4] < min(x[s2], x[s3])
        assert z[s2] > z[s3]
        assert min(z[s7], z[s8]) > max(z[s5], z[s6])
        assert y[s6] > y[s5]
        assert y[s7] > y[s8]
        assert y[s1] > max(y[s2], y[s4])


def test_transverse_cuts_are_axial(cohort):
    for volume in cohort:
        slices = [np.flatnonzero((volume.couinaud_map == s).any((1, 2))) for s in range(9)]
        assert max(slices[5].max(), slices[6].max()) < min(slices[7].min(), slices[8].min())
        assert slices[3].max() < slices[2].min()


def test_liver_is_one_piece_of_human_size_away_from_the_rim(cohort):
    for volume in cohort:
        labels, _ = ndimage.label(volume.liver_mask)
        sizes = np.bincount(labels.ravel())[1:]
        assert sizes.max() > 0.99 * sizes.sum()
        assert 800 < sizes.sum() * volume.geometry.voxel_ml < 2200
        inner = volume.liver_mask[1:-1, 1:-1, 1:-1]
        assert inner.sum() == volume.liver_mask.sum()


def test_tumors_lie_in_the_livers_of_the_pathological_only(cohort):
    for volume, case in zip(cohort, list_phantoms(SMALL, SEED), strict=True):
        assert volume.reference_mask.any() != case.healthy
        assert volume.image_label.any() != case.healthy
        assert not (volume.reference_mask & ~volume.liver_mask).any()


def test_label_agrees_with_an_independent_recomputation(cohort):
    for volume in cohort:
        named = set()
        for region in measure.regionprops(measure.label(volume.reference_mask, connectivity=3)):
            held = [volume.couinaud_map[tuple(voxel)] for voxel in region.coords]
            named |= {segment for segment in range(1, 9) if held.count(segment) / len(held) >= 0.25}
        assert {i + 1 for i in np.flatnonzero(volume.image_label)} == named


def test_each_component_names_the_segments_that_hold_a_quarter():
    couinaud_map = np.array([[[2, 2, 2, 3, 0, 5, 5, 5, 5, 6]]], np.uint8)
    tumor_mask = np.array([[[1, 1, 1, 1, 0, 1, 1, 1, 1, 1]]], bool)
    assert (np.flatnonzero(name_segments(tumor_mask, couinaud_map)) + 1).tolist() == [2, 3, 5]


def test_widely_spread_component_names_the_largest_share():
    couinaud_map = np.array([[[1] * 4 + [2] * 5 + [3] * 4 + [4] * 4 + [5] * 4]], np.uint8)
    assert (np.flatnonzero(name_segments(couinaud_map > 0, couinaud_map)) + 1).tolist() == [2]


def test_patients_differ(cohort):
    medians = [np.median(volume.hu[volume.liver_mask]) for volume in cohort]
    volumes = [volume.liver_mask.sum() * volume.geometry.voxel_ml for volume in cohort]
    boxes = [np.ptp(np.argwhere(volume.liver_mask), axis=0) for volume in cohort]
    assert np.std(medians) > 8
    assert np.std(volumes) > 80
    assert (np.std(boxes, axis=0) > 1).all()


def test_tumors_stand_out_from_the_parenchyma_but_no_threshold_finds_them(cohort):
    contrasts, dices = [], []
    for volume in (volume for volume in cohort if volume.image_label.any()):
        tumor, healthy = volume.reference_mask, volume.liver_mask & ~volume.reference_mask
        contrasts.append((volume.hu[tumor].mean() - np.median(volume.hu[healthy])) / volume.hu[healthy].std())
        masks = [volume.liver_mask & (volume.hu < level) for level in range(-50, 150, 10)]
        dices.append(max(2 * (mask & tumor).sum() / (mask.sum() + tumor.sum()) for mask in masks))
    assert np.median(np.abs(contrasts)) > 0.5
    assert np.mean(dices) < 0.6


def test_vessels_are_brighter_than_parenchyma():
    config = replace(SMALL, noise_hu=0.0, height=150, width=180, pixel_spacing_mm=1.8)
    volume = make_phantom(config, SEED, "phantom_005")
    patient = draw_patient(config, (SEED, 5), healthy=True)
    wide = [tube.start for tube in patient.vessels.portal + patient.vessels.hepatic if tube.start_radius > 2.5]
    scan = np.array(wide) * patient.grid.squeeze + patient.grid.offset_mm
    z, y, x = np.floor(scan / patient.grid.spacing_mm).astype(int).T
    inside = ndimage.binary_erosion(volume.liver_mask, np.ones((1, 3, 3)))[z, y, x]
    excess = volume.hu[z, y, x][inside] - np.median(volume.hu[volume.liver_mask])
    assert inside.sum() > 10
    assert np.median(excess) > 15


def test_noise_has_the_configured_deviation():
    noisy, clean = (make_phantom(replace(SMALL, noise_hu=noise), SEED, "phantom_000") for noise in (12.0, 0.0))
    difference = (noisy.hu.astype(float) - clean.hu)[clean.hu > -900]
    assert difference.std() == pytest.approx(12.0, rel=0.03)
    np.testing.assert_array_equal(noisy.reference_mask, clean.reference_mask)


@settings(max_examples=8)
@given(
    slices=st.integers(14, 40),
    height=st.integers(40, 80),
    width=st.integers(40, 80),
    seed=st.integers(0, 2**31),
)
def test_any_field_of_view_holds_a_complete_patient(slices, height, width, seed):
    config = replace(SMALL, slices=slices, height=height, width=width)
    volume = make_phantom(config, seed, "phantom_000")
    assert set(np.unique(volume.couinaud_map)) == set(range(9))
    assert volume.image_label.any()
    assert volume.liver_mask[1:-1, 1:-1, 1:-1].sum() == volume.liver_mask.sum()


def test_ellipsoid_depth_is_exact_for_a_sphere_and_a_cylinder():
    points = as_points(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 3.0, 4.0], [9.0, 0.0, 0.0]]))
    np.testing.assert_allclose(Ellipsoid((0, 0, 0), (4, 4, 4)).depth(points), [4, 2, -1, -5], atol=1e-6)
    np.testing.assert_allclose(Ellipsoid((0, 0, 0), (np.inf, 4, 4)).depth(points), [4, 2, -1, 4], atol=1e-6)


def test_tube_tapers_and_has_round_ends():
    tube = Tube((0, 0, 0), (0, 0, 10), 3.0, 1.0)
    points = as_points(np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 5.0], [0.0, 0.0, 12.0]]))
    np.testing.assert_allclose(tube.depth(points), [3, 0, -1], atol=1e-6)


def test_plane_is_positive_on_the_side_of_its_normal():
    plane = Plane((0.0, -1.0, 0.0), -5.0)
    np.testing.assert_allclose(plane.height(as_points(np.array([[0.0, 2.0, 9.0], [0.0, 8.0, 9.0]]))), [3, -3])


def test_random_field_interpolates_its_lattice():
    values = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    axes = (np.array([[[1.0]]]), np.array([[[1.0]]]), np.array([[[0.0, 1.0]]]))
    np.testing.assert_allclose(RandomField(values, (0, 0, 0), 2.0).at(axes), [[[3.0, 3.5]]])


def test_snapped_positions_are_voxel_centers():
    grid = PatientGrid((10, 10, 10), (2.0, 1.0, 1.0), (4.0, 0.0, 0.0), (1.0, 1.0, 0.5))
    z, y, x = (axis.ravel() for axis in grid.axes(0, 10))
    assert (z[0], y[0], x[1]) == (-3.0, 0.5, 3.0)
    np.testing.assert_allclose(grid.snap(np.array([[-2.4, 0.9, 3.9], [99.0, 0.5, 1.0]])), [[-3, 0.5, 3], [15, 0.5, 1]])


def test_window_cuts_a_box_out_of_a_grid():
    axes = (np.arange(5.0)[:, None, None], np.arange(5.0)[None, :, None], np.arange(5.0)[None, None, :])
    place, inner = window(axes, (0.5, -9.0, 3.5), (2.5, 9.0, 9.0))
    assert place == (slice(1, 3), slice(0, 5), slice(4, 5))
    assert [axis.ravel().tolist() for axis in inner] == [[1, 2], [0, 1, 2, 3, 4], [4]]
