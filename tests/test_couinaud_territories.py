"""Portal branches get the names of the segments that they feed, and liver voxels that of the nearest branch."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.couinaud.division import physical_points
from pipeline.couinaud.liver_vessels import read_vessels
from pipeline.couinaud.planes import divide_by_vessels, fit_prior
from pipeline.couinaud.skeleton import CenterLines, root
from pipeline.couinaud.territories import divide_by_branches, name_branches, seed_branches
from pipeline.volume import Vessels
from tests.vessel_cases import guess_from_shape, make_case, make_grid, portal_tubes


@pytest.fixture(scope="module")
def case():
    return make_case(make_grid((5.0, 3.0, 3.0)))


def fork(stem, first, second):
    """Return a tree on a 10 mm lattice: a stem of points, then two arms."""
    count = stem + first + second
    points = np.zeros((count, 3))
    points[:stem, 2] = np.arange(stem)
    points[stem : stem + first, 0], points[stem + first :, 0] = np.arange(1, first + 1), -np.arange(1, second + 1)
    points[stem:, 2] = stem - 1
    parent = np.arange(-1, count - 1)
    parent[stem + first] = stem - 1
    pairs = np.column_stack([parent[1:], np.arange(1, count)])
    lines = CenterLines(points * 10.0, np.full(count, 2.0), pairs, 10.0)
    return root(lines, np.arange(float(count)))


def test_arms_are_named_and_the_stem_is_not():
    segments = np.array([0, 8, 8, 8, 8, 8, 5, 5, 5], np.uint8)
    assert name_branches(fork(3, 3, 3), segments).tolist() == [0, 0, 0, 8, 8, 8, 5, 5, 5]


def test_a_tree_in_one_segment_is_named_from_its_root():
    assert set(name_branches(fork(3, 3, 3), np.full(9, 6, np.uint8))) == {6}


def test_a_stray_point_takes_its_branch_name_and_a_twig_has_none():
    segments = np.array([0, 0, 0, *[7] * 12, 5], np.uint8)
    assert name_branches(fork(3, 12, 1), segments).tolist() == [7] * 16
    lonely = np.array([0, 0, 0, 1, 1, 1, 6, 0, 0], np.uint8)
    assert not name_branches(fork(3, 3, 3), lonely).any()


def test_each_voxel_has_the_segment_of_the_nearest_named_branch(case):
    shape = guess_from_shape(case, (0.0, 0.0, 0.0, 0.0, 0.0))
    made, planes = divide_by_branches(case, shape), divide_by_vessels(case, shape)
    vessels = read_vessels(case, fit_prior(case, shape))
    seeds = seed_branches(case, vessels, planes.labels)
    branches = physical_points(np.argwhere(seeds), case.geometry)
    names = seeds[seeds > 0]
    for voxel in np.argwhere(case.liver_mask & (planes.labels != 1))[::997]:
        distance = np.linalg.norm(branches - physical_points(voxel[None], case.geometry), axis=1)
        assert made.labels[tuple(voxel)] in names[distance <= distance.min() + 1e-6]
    assert (made.method, made.flags) == ("territories", ("LOW_CONFIDENCE",))
    np.testing.assert_array_equal(made.labels == 1, planes.labels == 1)


def test_every_liver_voxel_has_one_segment_and_no_other_voxel_any(case):
    made = divide_by_branches(case, guess_from_shape(case))
    assert made.labels.dtype == np.uint8
    np.testing.assert_array_equal(made.labels > 0, case.liver_mask)
    assert set(np.unique(made.labels)) == set(range(9))


def test_segments_without_a_branch_are_those_of_the_planes(case):
    volume = make_case(case.geometry, portal=portal_tubes(without=("right",)))
    shape = guess_from_shape(volume)
    made, planes = divide_by_branches(volume, shape), divide_by_vessels(volume, shape)
    assert {f"SEGMENT_{segment}_FROM_PLANES" for segment in (5, 6, 7, 8)} <= set(made.flags)
    assert "SEGMENT_4_FROM_PLANES" not in made.flags
    right = planes.labels >= 5
    np.testing.assert_array_equal(made.labels[right], planes.labels[right])


def test_without_any_portal_vein_all_segments_are_those_of_the_planes(case):
    volume = replace(case, vessels=Vessels(hepatic=case.vessels.hepatic))
    shape = guess_from_shape(volume)
    made = divide_by_branches(volume, shape)
    assert sum(flag.endswith("FROM_PLANES") for flag in made.flags) == 7
    np.testing.assert_array_equal(made.labels, divide_by_vessels(volume, shape).labels)
