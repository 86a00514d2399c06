"""Veins move the planes of a liver to where they run, each vein its own plane; and a real patient."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import CouinaudConfig
from pipeline.couinaud import construct
from pipeline.couinaud.division import Plane, physical_points, voxel_indices
from pipeline.couinaud.evidence import BELIEVED, SHAPE_DEVIATIONS, SHAPE_LEVEL_MM, Evidence, move_level, move_plane
from pipeline.couinaud.hepatic_veins import CavalAxis, expect_axis, find_axis, find_trunks
from pipeline.couinaud.liver_vessels import read_vessels
from pipeline.couinaud.planes import divide_by_vessels, fit_prior, move_division
from pipeline.couinaud.portal_vein import find_landmarks, root_portal
from pipeline.couinaud.skeleton import CenterLines, resample_isotropic, root, trace
from pipeline.couinaud.vessel_division import find_hepatic
from pipeline.errors import CaseError
from pipeline.volume import Geometry, Vessels, to_lps, to_native_image
from tests.vessel_cases import (
    CAVA,
    TRUTH,
    draw,
    guess_from_shape,
    hepatic_tubes,
    make_case,
    make_grid,
    on,
    portal_tubes,
    upright,
)

DATA = Path(os.environ.get("LIVER_DATA", "/nowhere"))
RIGHT_HANDED_TILT = np.array([[0.9553, -0.2896, 0.0590], [0.2955, 0.9363, -0.1898], [0.0, 0.1987, 0.9801]])


@pytest.fixture(scope="module")
def case():
    return make_case()


@pytest.fixture(scope="module")
def made(case):
    return divide_by_vessels(case, guess_from_shape(case))


def agreement(made, volume):
    """Return the share of the liver that has its true segment."""
    return np.mean((made.labels == volume.couinaud_map)[volume.liver_mask])


def line(*points):
    """Return a center line of radius 2 mm through touching points."""
    pairs = np.column_stack([np.arange(len(points) - 1), np.arange(1, len(points))])
    return CenterLines(np.array(points, float), np.full(len(points), 2.0), pairs, 1.0)


def test_veins_correct_every_cut(case, made):
    assert agreement(guess_from_shape(case), case) < 0.85
    assert agreement(made, case) > 0.94
    assert (made.method, made.flags) == ("planes", ("LOW_CONFIDENCE",))


def test_planes_and_levels_come_near_the_truth(case):
    prior = fit_prior(case, guess_from_shape(case))
    division, flags = move_division(prior, read_vessels(case, prior))
    assert flags == []
    assert division.right_level_mm == pytest.approx(TRUTH.right_level_mm, abs=3)
    assert division.left_level_mm == pytest.approx(TRUTH.left_level_mm, abs=3)
    for name in ("mid", "right", "left"):
        plane, truth = getattr(division, name), getattr(TRUTH, name)
        assert abs(plane.offset_mm - truth.offset_mm) < 4
        assert plane.azimuth_deg == pytest.approx(truth.azimuth_deg, abs=5)


@pytest.mark.parametrize("vein", ["mid", "right"])
def test_a_removed_hepatic_vein_leaves_its_plane_to_the_shape(vein):
    volume = make_case(hepatic=hepatic_tubes(without=(vein,)))
    prior = fit_prior(volume, guess_from_shape(volume))
    division, flags = move_division(prior, read_vessels(volume, prior))
    assert flags == [f"{vein.upper()}_PLANE_FROM_SHAPE"]
    assert getattr(division, vein) == getattr(prior, vein)
    assert division.left != prior.left


def test_without_the_left_portal_branch_the_left_vein_tells_the_left_plane():
    volume = make_case(portal=portal_tubes(without=("left",)))
    prior = fit_prior(volume, guess_from_shape(volume))
    division, flags = move_division(prior, read_vessels(volume, prior))
    assert flags == ["LEFT_LEVEL_FROM_SHAPE"]
    assert division.left_level_mm == prior.left_level_mm
    assert abs(division.left.offset_mm - TRUTH.left.offset_mm) < 4


def test_without_the_right_portal_branch_the_trunk_is_not_taken_for_it():
    volume = make_case(portal=portal_tubes(without=("right",)))
    assert "RIGHT_LEVEL_FROM_SHAPE" in divide_by_vessels(volume, guess_from_shape(volume)).flags


@pytest.mark.parametrize(
    ("kept", "flags"),
    [
        ("hepatic", {"RIGHT_LEVEL_FROM_SHAPE", "LEFT_LEVEL_FROM_SHAPE"}),
        ("portal", {"MID_PLANE_FROM_SHAPE", "RIGHT_PLANE_FROM_SHAPE"}),
    ],
)
def test_either_tree_alone_moves_its_own_cuts(case, kept, flags):
    volume = replace(case, vessels=Vessels(**{kept: getattr(case.vessels, kept)}))
    shape = guess_from_shape(volume)
    made = divide_by_vessels(volume, shape)
    assert set(made.flags) == flags | {"LOW_CONFIDENCE"}
    assert agreement(made, volume) > agreement(shape, volume) + 0.04


def test_an_undivided_mask_is_told_apart(case):
    both = case.vessels.hepatic | case.vessels.portal
    volume = replace(case, vessels=Vessels(undivided=both))
    shape = guess_from_shape(volume)
    made = divide_by_vessels(volume, shape)
    assert {"VESSELS_UNDIVIDED", "LEFT_PLANE_FROM_SHAPE", "LEFT_LEVEL_FROM_SHAPE"} <= set(made.flags)
    assert agreement(made, volume) > agreement(shape, volume) + 0.03


def test_most_points_of_an_undivided_mask_go_to_their_tree(case):
    prior = fit_prior(case, guess_from_shape(case))
    whole = tuple(slice(0, size) for size in case.geometry.shape)
    mask, grid = resample_isotropic(case.vessels.hepatic | case.vessels.portal, case.geometry, whole)
    lines = trace(mask, grid)
    hepatic = find_hepatic(lines, prior, CAVA, np.array([-14.0, 5.0, 0.0]))
    truth, other = draw(hepatic_tubes(), lines.points), draw(portal_tubes(), lines.points)
    known = truth != other
    assert np.mean((hepatic == truth)[known]) > 0.9


@pytest.mark.parametrize(
    "geometry",
    [make_grid((6.0, 2.0, 2.0)), make_grid((2.5, 2.5, 2.5), RIGHT_HANDED_TILT)],
    ids=["thick slices", "oblique"],
)
def test_the_map_follows_the_patient_not_the_grid(case, made, geometry):
    other = make_case(geometry)
    second = divide_by_vessels(other, guess_from_shape(other))
    points = physical_points(np.argwhere(case.liver_mask)[::53], case.geometry)
    voxels = [tuple(voxel_indices(points, volume.geometry).T) for volume in (case, other)]
    there = second.labels[voxels[1]] > 0
    assert np.mean((made.labels[voxels[0]] == second.labels[voxels[1]])[there]) > 0.93


def test_a_file_of_another_orientation_gives_the_same_map(case, made):
    native = replace(case.geometry, native_orientation="PIR")
    masks = [case.liver_mask, case.vessels.hepatic, case.vessels.portal]
    liver, hepatic, portal = (to_lps(to_native_image(mask, native))[0] > 0 for mask in masks)
    _, geometry = to_lps(to_native_image(case.liver_mask, native))
    flipped = replace(case, liver_mask=liver, geometry=geometry, vessels=Vessels(hepatic=hepatic, portal=portal))
    np.testing.assert_array_equal(divide_by_vessels(flipped, guess_from_shape(case)).labels, made.labels)


def test_every_liver_voxel_has_one_segment_and_no_other_voxel_any(case, made):
    assert made.labels.dtype == np.uint8
    np.testing.assert_array_equal(made.labels > 0, case.liver_mask)


@pytest.mark.parametrize(
    ("vessels", "code"),
    [(None, "VESSELS_MISSING"), (Vessels(), "VESSELS_MISSING"), ("empty", "VESSELS_EMPTY")],
)
def test_66_a_case_without_vessels_is_set_aside(case, vessels, code):
    if vessels == "empty":
        vessels = Vessels(undivided=np.zeros(case.liver_mask.shape, bool))
    with pytest.raises(CaseError) as refused:
        divide_by_vessels(replace(case, vessels=vessels), guess_from_shape(case))
    assert (refused.value.code, refused.value.step) == (code, "construct_couinaud")


def test_a_shape_without_segments_is_set_aside(case):
    shape = guess_from_shape(case)
    shape.labels[shape.labels > 4] = 4
    with pytest.raises(CaseError, match="no mid") as refused:
        divide_by_vessels(case, shape)
    assert refused.value.code == "SHAPE_INCOMPLETE"


@pytest.mark.parametrize("code", ["VESSELS_EMPTY", "SHAPE_INCOMPLETE"])
def test_auto_keeps_the_map_of_the_shape_where_vessels_cannot_divide(case, monkeypatch, code):
    shape, nothing = guess_from_shape(case), np.zeros(case.liver_mask.shape, bool)
    vessels = Vessels(undivided=nothing) if code == "VESSELS_EMPTY" else case.vessels
    if code == "SHAPE_INCOMPLETE":
        shape.labels[shape.labels > 4] = 4
    monkeypatch.setattr("pipeline.couinaud.shape.build_shape_map", lambda volume, config: shape)
    volume = replace(case, couinaud_map=None, vessels=vessels)
    made = construct(volume, CouinaudConfig(method="auto"))
    assert made.method == "shape"
    assert set(made.flags) >= {code, "LOW_CONFIDENCE"}
    np.testing.assert_array_equal(made.labels, shape.labels)
    with pytest.raises(CaseError, match=code):
        construct(volume, CouinaudConfig(method="planes"))


def test_a_left_portal_branch_that_runs_backward_is_no_evidence():
    left = np.column_stack([np.arange(0.0, 81), np.linspace(0, 12, 81), np.zeros(81)])
    right = np.column_stack([-np.arange(1.0, 81), np.zeros((80, 2))])
    lines = line(*right[::-1], *left)
    lines.radius_mm[:] = np.where(np.abs(lines.points[:, 0] - 5) < 8, 1.0, 4.0)  # thin where the branches begin
    hilum = np.array([0.0, -3.0, 0.0])
    found = find_landmarks(root_portal(lines, hilum), np.ones(161, bool), Plane((1.0, 0.0, 0.0), 0.0), hilum)
    assert (found.right_level_mm, found.left_level_mm, len(found.umbilical)) == (0.0, None, 0)


def test_the_vena_cava_is_found_by_its_thickness(case):
    expected = expect_axis(TRUTH)
    grid = make_grid((2.0, 2.0, 2.0))
    points = physical_points(np.argwhere(np.ones(grid.shape, bool)), grid)
    cava = [(np.array([4.0, 24.0, -60.0]), np.array([-4.0, 20.0, 60.0]), 11.0)]
    axis = find_axis(draw(cava, points).reshape(grid.shape), grid, expected)
    np.testing.assert_allclose(axis.at(0.0), [0.0, 22.0], atol=1.5)
    thin = draw(hepatic_tubes(), points).reshape(grid.shape)
    assert find_axis(thin, grid, expected) is None


def test_a_trunk_is_as_long_as_its_way_whatever_the_order_of_its_points():
    # From the vena cava 42 mm to the right in steps of 1.5 mm, then 30 mm down; the first 13.5 mm are beside the cava.
    way = [(-1.5 * step, 0, 45) for step in range(28)] + [(-42, 0, 45 - 1.5 * step) for step in range(21)]
    points, axis = np.array(way) + np.append(CAVA, 0), CavalAxis(np.zeros(1), CAVA[None])
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(points))
        place = np.argsort(order)
        pairs = np.column_stack([place[:-1], place[1:]])
        trunk = find_trunks(CenterLines(points[order], np.full(len(points), 2.0), pairs, 1.5), axis, TRUTH)["right"]
        assert trunk.length_mm == pytest.approx(72 - 13.5)
        np.testing.assert_array_equal(trunk.points, points[9:])


def test_a_plane_moves_to_points_as_far_as_the_prior_lets_it():
    plane, deviation = Plane((1.0, 0.0, 0.0), 0.0), SHAPE_DEVIATIONS["mid"]
    points = np.array([[8.0, y, z] for y in (-20, 0, 20) for z in (-20, 0, 20)])
    near = move_plane(plane, deviation, np.zeros(3), Evidence(points, np.ones(9), 25.0), 8.0)
    sure = move_plane(plane, deviation, np.zeros(3), Evidence(points, np.ones(9), 25.0), 0.1)
    assert near.offset_mm == pytest.approx(4.0)  # as probable as not: both deviations are 8 mm
    assert sure.offset_mm == pytest.approx(8.0, abs=0.01)
    assert near.normal == pytest.approx(plane.normal)


def test_points_in_a_plane_leave_it_wherever_its_anchor_is():
    plane, deviation = upright(50, (20, 25)), SHAPE_DEVIATIONS["mid"]
    points = np.array([on(plane, x, 5, z) for x in (-30, 0, 30) for z in (-20, 0, 20)])
    for off in (0.0, 3.0, -20.0):
        anchor = on(plane, 10, -10, 5) + off * np.array(plane.normal)
        same = move_plane(plane, deviation, anchor, Evidence(points, np.ones(9), 80.0), 4.0)
        assert same.normal == pytest.approx(plane.normal)
        assert same.offset_mm == pytest.approx(plane.offset_mm)


def test_incredible_points_move_nothing():
    plane, deviation = Plane((1.0, 0.0, 0.0), 0.0), SHAPE_DEVIATIONS["right"]
    far = Evidence(np.array([[BELIEVED * deviation.shift_mm + 1, 0.0, 0.0]]), np.ones(1), 25.0)
    assert move_plane(plane, deviation, np.zeros(3), far, 0.1) is None
    assert move_level(0.0, None, 4.0) is None
    assert move_level(0.0, BELIEVED * SHAPE_LEVEL_MM + 0.1, 0.01) is None
    assert move_level(10.0, 20.0, SHAPE_LEVEL_MM) == pytest.approx(15.0)


def test_heavy_paths_follow_the_longest_tree():
    # A stem 0-1-2 with a long arm 3-4-5 and a short arm 6.
    lines = line((0, 0, 0), (0, 0, 1), (0, 0, 2), (1, 0, 2), (2, 0, 2), (3, 0, 2), (-1, 0, 2))
    lines = replace(lines, pairs=np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [2, 6]]))
    forest = root(lines, lines.points[:, 2])
    assert [path.tolist() for path in forest.heavy_paths()] == [[0, 1, 2, 3, 4, 5], [6]]
    assert forest.downstream_mm[2] == 4
    assert forest.depth_mm.tolist() == [0, 1, 2, 3, 4, 5, 3]


def test_a_loop_opens_at_its_thinnest_contact():
    ring = line((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0))
    ring = replace(ring, pairs=np.vstack([ring.pairs, [3, 0]]), radius_mm=np.array([3.0, 0.5, 3.0, 3.0]))
    assert root(ring, np.arange(4.0)).parent.tolist() == [-1, 0, 3, 0]


def test_tracing_gives_position_and_radius_of_a_tube():
    geometry = Geometry((41, 41, 41), (1.5, 1.5, 1.5), (-30.0, -30.0, -30.0))
    points = physical_points(np.argwhere(np.ones(geometry.shape, bool)), geometry)
    tube = (np.array([-20.0, 5.0, -3.0]), np.array([20.0, 5.0, -3.0]), 6.0)
    lines = trace(draw([tube], points).reshape(geometry.shape), geometry)
    middle = lines.select(np.abs(lines.points[:, 0]) < 12)
    np.testing.assert_allclose(middle.points[:, 1:], np.tile([5.0, -3.0], (len(middle.points), 1)), atol=1.6)
    assert middle.radius_mm.mean() == pytest.approx(6.0, abs=1.0)
    assert len(trace(np.zeros(geometry.shape, bool), geometry).points) == 0


def read_patient_17():
    """Return the patient with liver, hepatic and portal veins as distributed, and the annotation on the same grid."""
    from pipeline.archive.dicom.series import decode_mask, read_series
    from pipeline.archive.ircad import group_by_organ
    from pipeline.archive.members import open_members
    from pipeline.archive.nifti import read_nifti

    with open_members(DATA / "ircad_dicom/3Dircadb1.17/MASKS_DICOM.zip", "the masks") as members:
        organs = group_by_organ(members)
        names = ("liver", "livertumor1", "livertumor2", "venoussystem", "portalvein")
        decoded = [decode_mask(read_series(organs[name], name, lambda _: None), name) for name in names]
    (liver, first, second, hepatic, portal), geometry = [mask for mask, _ in decoded], decoded[0][1]
    crop, cropped = read_nifti(DATA / "ircadb/couinaudTr/ircadb_17.nii.gz", "the map", lambda _: None)
    start = voxel_indices(np.array([cropped.origin_mm]), geometry)[0]
    labels = np.zeros(geometry.shape, np.uint8)
    labels[tuple(slice(low, low + size) for low, size in zip(start, crop.shape, strict=True))] = crop
    volume = make_case(make_grid((9.0, 9.0, 9.0)))
    vessels = Vessels(hepatic=hepatic, portal=portal)
    liver = liver | first | second
    hu = np.zeros(geometry.shape, np.int16)
    return replace(volume, hu=hu, liver_mask=liver, geometry=geometry, couinaud_map=labels, vessels=vessels)


def mean_dice(labels, reference):
    """Return the mean Dice over the eight segments."""
    sizes = [np.bincount(array.ravel(), minlength=9)[1:9] for array in (labels, reference)]
    common = np.bincount(reference[labels == reference], minlength=9)[1:9]
    return float(np.mean(2 * common / (sizes[0] + sizes[1])))


@pytest.mark.skipif(not (DATA / "ircad_dicom").is_dir(), reason="LIVER_DATA has no ircad_dicom")
def test_on_a_real_patient_the_veins_are_better_than_the_shape():
    shape_module = pytest.importorskip("pipeline.couinaud.shape")
    volume = read_patient_17()
    shape = shape_module.build_shape_map(volume, CouinaudConfig())
    made = divide_by_vessels(volume, shape)
    assert mean_dice(made.labels, volume.couinaud_map) > mean_dice(shape.labels, volume.couinaud_map) + 0.02
    assert mean_dice(made.labels, volume.couinaud_map) > 0.88
