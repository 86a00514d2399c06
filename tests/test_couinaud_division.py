"""A division gives labels and labels give the division back, wherever the grid lies."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.archive.nifti import read_nifti
from pipeline.couinaud.division import Division, Plane, divide, fit_division, fit_level, fit_plane, physical_points
from pipeline.volume import Geometry

SHAPES = Path(os.environ.get("LIVER_DATA", "/nowhere")) / "couinaud_shapes"


def upright(azimuth_deg, through):
    """Return the upright plane through a point of the axial plane (x, y)."""
    angle = np.deg2rad(azimuth_deg)
    normal = (float(np.cos(angle)), float(-np.sin(angle)), 0.0)
    return Plane(normal, float(np.dot(normal[:2], through)))


def quarters():
    """Left and right of x = 0, front and back of y = 0, lateral of x = 10, levels z = 1 and z = 2."""
    return Division(Plane((1.0, 0.0, 0.0), 0.0), Plane((0.0, -1.0, 0.0), 0.0), Plane((1.0, 0.0, 0.0), 10.0), 1.0, 2.0)


def rotation(seed):
    """Return a random proper rotation as SimpleITK's row-major direction."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def block(shape=(40, 60, 70), spacing_mm=(4.0, 3.0, 3.0), direction=None):
    """Return a full liver on a grid around the physical origin."""
    axes = np.eye(3) if direction is None else direction
    center = axes @ (np.array(spacing_mm[::-1]) * (np.array(shape[::-1]) - 1) / 2)
    return np.ones(shape, bool), Geometry(shape, spacing_mm, tuple(-center), tuple(axes.ravel()))


def anatomical():
    """Return a division with the mean angles of public annotations."""
    return Division(upright(50, (5, 5)), upright(90, (0, 10)), upright(11, (25, 0)), -8.0, 14.0)


def test_every_octant_of_a_small_liver_has_its_segment():
    # Rows are y from front to back, columns x from the patient's right to the left.
    geometry = Geometry((3, 2, 3), (1.0, 2.0, 10.0), (-5.0, -1.0, 0.5))
    labels = divide(np.ones((3, 2, 3), bool), geometry, quarters(), None)
    assert labels.tolist() == [[[5, 4, 3], [6, 4, 3]], [[8, 4, 3], [7, 4, 3]], [[8, 4, 2], [7, 4, 2]]]


def test_caudate_and_background_take_precedence():
    liver = np.array([[[True, True, False, False]]])
    caudate = np.array([[[False, True, True, False]]])
    labels = divide(liver, Geometry((1, 1, 4), (1.0, 1.0, 1.0), (-9.0, 3.0, 0.0)), quarters(), caudate)
    assert labels.tolist() == [[[6, 1, 0, 0]]]


def test_no_liver_has_no_segments_and_an_incomplete_division_is_refused():
    liver, geometry = np.zeros((2, 2, 2), bool), Geometry((2, 2, 2), (1.0, 1.0, 1.0))
    assert not divide(liver, geometry, quarters(), None).any()
    with pytest.raises(ValueError, match="no left_level_mm"):
        divide(liver, geometry, Division(*[Plane((1.0, 0.0, 0.0), 0.0)] * 3, 1.0, None), None)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_labels_follow_the_patient_on_an_oblique_grid(seed):
    liver, geometry = block((9, 8, 7), (9.0, 8.0, 7.0), rotation(seed))
    labels = divide(liver, geometry, anatomical(), None)
    for index in np.ndindex(3, 2, 2):
        voxel = np.array(index) * 3
        x, y, z = np.reshape(geometry.direction, (3, 3)) @ (voxel[::-1] * geometry.spacing_mm[::-1])
        x, y, z = np.add(geometry.origin_mm, (x, y, z))
        left = anatomical().mid.heights(np.array([[x, y, z]]))[0] > 0
        lateral = anatomical().left.heights(np.array([[x, y, z]]))[0] > 0
        right_liver = (8 if z > -8 else 5) if y < 10 else (7 if z > -8 else 6)
        left_liver = (2 if z > 14 else 3) if lateral else 4
        assert labels[tuple(voxel)] == (left_liver if left else right_liver)


def test_physical_points_equal_simpleitk():
    import SimpleITK as sitk

    direction = rotation(3)
    geometry = Geometry((5, 6, 7), (2.5, 0.7, 0.8), (-100.0, 50.0, 7.0), tuple(direction.ravel()))
    image = sitk.Image(7, 6, 5, sitk.sitkUInt8)
    image.SetSpacing((0.8, 0.7, 2.5))
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    expected = image.TransformIndexToPhysicalPoint((6, 1, 4))
    np.testing.assert_allclose(physical_points(np.array([[4, 1, 6]]), geometry)[0], expected)


@settings(max_examples=10)
@given(
    azimuths=st.tuples(st.floats(35, 65), st.floats(80, 100), st.floats(-10, 30)),
    levels=st.tuples(st.floats(-20, 20), st.floats(-10, 30)),
    seed=st.one_of(st.none(), st.integers(0, 10**6)),
)
def test_fit_recovers_the_division_of_a_block(azimuths, levels, seed):
    planes = [upright(angle, spot) for angle, spot in zip(azimuths, ((5, 5), (0, 10), (30, 0)), strict=True)]
    liver, geometry = block(direction=None if seed is None else rotation(seed))
    labels = divide(liver, geometry, Division(*planes, *levels), None)
    fitted = fit_division(labels, geometry)
    for plane, truth in zip((fitted.mid, fitted.right, fitted.left), planes, strict=True):
        assert np.dot(plane.normal, truth.normal) > np.cos(np.deg2rad(1.5))
        assert abs(plane.offset_mm - truth.offset_mm) < 1.5
    np.testing.assert_allclose((fitted.right_level_mm, fitted.left_level_mm), levels, atol=2.1)
    assert np.mean(divide(liver, geometry, fitted, None) == labels) > 0.98


def test_fit_ignores_the_caudate_and_what_has_no_weight():
    liver, geometry = block()
    labels = divide(liver, geometry, anatomical(), None)
    expected = fit_division(labels, geometry)
    wrong = labels.copy()
    wrong[:5], wrong[5:9] = 2, 1
    weights = np.ones(labels.shape)
    weights[:9] = 0
    fitted = fit_division(wrong, geometry, weights)
    assert fitted.mid.azimuth_deg == pytest.approx(expected.mid.azimuth_deg, abs=1.0)
    assert fitted.left_level_mm == expected.left_level_mm


@pytest.mark.parametrize(
    ("missing", "lost"),
    [((2, 3), {"left", "left_level_mm"}), ((6, 7), {"right"}), ((3,), {"left_level_mm"}), ((7, 8), {"right_level_mm"})],
)
def test_missing_segments_cost_only_their_own_cuts(missing, lost):
    liver, geometry = block()
    labels = divide(liver, geometry, anatomical(), None)
    labels[np.isin(labels, missing)] = 0
    division = fit_division(labels, geometry)
    assert {name for name, cut in vars(division).items() if cut is None} == lost


def test_an_empty_map_has_no_cuts():
    empty = np.zeros((4, 4, 4), np.uint8)
    assert fit_division(empty, Geometry((4, 4, 4), (1.0, 1.0, 1.0))) == Division(None, None, None, None, None)


def test_a_level_lies_in_the_middle_of_a_gap_and_minds_balance():
    points = np.zeros((60, 3))
    points[:, 2] = np.repeat([0.0, 4.0, 10.0], 20)
    above = np.repeat([False, False, True], 20)
    assert fit_level(points, above, np.ones(60)) == 7.0
    assert fit_level(points, above, np.ones(60)) == fit_level(points, above, np.where(above, 100.0, 1.0))


def test_a_plane_between_two_balls_halves_their_distance():
    ball = np.random.default_rng(0).normal(size=(400, 3))
    points = np.concatenate([ball + np.array([0, 0, 20]), ball * np.array([1, 1, -1]) - np.array([0, 0, 10])])
    plane = fit_plane(points, np.arange(800) < 400, np.ones(800))
    assert plane.tilt_deg == pytest.approx(90, abs=3)
    assert plane.offset_mm == pytest.approx(5, abs=0.5)


def test_angles_are_the_patients():
    assert Plane((1.0, 0.0, 0.0), 0.0).azimuth_deg == 0
    assert Plane((0.0, -1.0, 0.0), 0.0).azimuth_deg == 90
    assert Plane((0.6, 0.0, -0.8), 0.0).tilt_deg == pytest.approx(-53.13, abs=0.01)


@pytest.mark.skipif(not SHAPES.is_dir(), reason="LIVER_DATA has no couinaud_shapes")
def test_public_annotations_are_divisions():
    agreement = []
    for path in sorted(SHAPES.glob("*.nii.gz"))[::13]:
        labels, geometry = read_nifti(path, "the map", lambda _: None)
        divided = divide(labels > 0, geometry, fit_division(labels, geometry), labels == 1)
        agreement.append(np.mean(divided[labels > 0] == labels[labels > 0]))
    assert min(agreement) > 0.95
    assert np.mean(agreement) > 0.97
