from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import CouinaudConfig
from pipeline.couinaud.completion import complete_map
from pipeline.couinaud.precomputed import take_precomputed_map
from pipeline.errors import CaseError
from pipeline.volume import Geometry, Volume


def _volume(couinaud_map, liver, spacing_mm=(1.0, 1.0, 1.0)) -> Volume:
    liver = np.asarray(liver, bool)
    labels = None if couinaud_map is None else np.asarray(couinaud_map, np.uint8)
    hu = np.zeros(liver.shape, np.int16)
    return Volume("a", hu, liver, Geometry(liver.shape, spacing_mm), np.zeros(8, bool), couinaud_map=labels)


def test_labels_outside_the_liver_are_dropped_and_gaps_take_the_nearest():
    labels = [[[7, 2, 0, 0, 5, 5]]]
    liver = [[[0, 1, 1, 1, 1, 0]]]
    made = take_precomputed_map(_volume(labels, liver), CouinaudConfig(maximum_unlabeled_fraction=0.5)).labels
    assert made.dtype == np.uint8
    assert made.tolist() == [[[0, 2, 2, 5, 5, 0]]]


def test_nearness_is_in_millimeters():
    labels = np.array([[[1], [0], [4]], [[0], [3], [0]]], np.uint8)
    liver = np.ones(labels.shape, bool)
    assert complete_map(labels, liver, (9.0, 1.0, 1.0), 0.9)[1].ravel().tolist() == [3, 3, 3]
    assert complete_map(labels, liver, (0.1, 1.0, 1.0), 0.9)[1].ravel().tolist() == [1, 3, 4]


def test_completion_equals_a_search_over_all_labeled_voxels():
    random = np.random.default_rng(5)
    labels = random.integers(0, 9, (5, 9, 8)).astype(np.uint8) * (random.random((5, 9, 8)) < 0.1)
    liver = random.random((5, 9, 8)) < 0.8
    spacing_mm = np.array([3.1, 0.7, 0.9])
    made = complete_map(labels, liver, tuple(spacing_mm), 0.99)
    labeled = np.argwhere((labels > 0) & liver) * spacing_mm
    for voxel in np.argwhere(liver):
        distance = np.linalg.norm(labeled - voxel * spacing_mm, axis=1)
        nearest = labeled[np.isclose(distance, distance.min())] / spacing_mm
        assert made[tuple(voxel)] in {labels[tuple(near)] for near in np.rint(nearest).astype(int)}
    assert not made[~liver].any()


def test_a_complete_map_comes_back_unchanged():
    labels = np.random.default_rng(0).integers(1, 9, (3, 4, 5)).astype(np.uint8)
    made = take_precomputed_map(
        _volume(labels, np.ones(labels.shape)), CouinaudConfig(maximum_unlabeled_fraction=0.0)
    ).labels
    np.testing.assert_array_equal(made, labels)


@pytest.mark.parametrize(
    ("labels", "limit", "code", "message"),
    [
        (None, 0.2, "NO_COUINAUD_MAP", "no Couinaud map"),
        ([[[1, 2, 9, 4]]], 0.2, "COUINAUD_LABEL", "value 9, expected 0..8"),
        ([[[1, 2, 0, 0]]], 0.2, "COUINAUD_INCOMPLETE", "50.0% of the liver.* 20.0% are allowed"),
        ([[[0, 0, 0, 0]]], 0.99, "COUINAUD_INCOMPLETE", "100.0% of the liver"),
    ],
)
def test_unusable_maps_are_rejected_with_both_sides(labels, limit, code, message):
    with pytest.raises(CaseError, match=message) as rejected:
        take_precomputed_map(_volume(labels, [[[1, 1, 1, 1]]]), CouinaudConfig(maximum_unlabeled_fraction=limit))
    assert (rejected.value.code, rejected.value.step) == (code, "construct_couinaud")
