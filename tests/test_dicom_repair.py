"""Repairs on request: a tilted gantry and uneven steps, on pictures whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.archive.dicom.repair import respace, unshear
from pipeline.archive.dicom.volume import read_volume
from pipeline.errors import CaseError
from tests.dicom_archive_cases import SPACING_MM, make_ct, make_liver, make_series, save, write_mask
from tests.test_dicom_faults import look


def read(root, slices, repairs, mask=None, **geometry):
    save(slices, root / "archive")
    (part,) = look(root / "archive")[0]
    names = [[item[0], 0] for item in part["files"]]
    path = write_mask(root / "masks", "liver", mask, **geometry)
    return read_volume(str(root / "archive"), names, ["file", str(path)], repairs)


def test_whole_pixels_of_drift_are_taken_back_exactly():
    """A patient of one column, drawn ever farther back: straight again on a larger canvas."""
    slices = np.zeros((3, 6, 4), np.int16)
    for k in range(3):
        slices[k, 3 - k, 1] = 100
    straight, first = unshear(slices, np.array([[0, 0], [1, 0], [2, 0]]), -1024)
    assert straight.shape == (3, 8, 4)
    assert first == (0, 0)
    assert [tuple(index) for index in np.argwhere(straight == 100)] == [(0, 3, 1), (1, 3, 1), (2, 3, 1)]
    assert (straight[2, :2] == -1024).all()


def test_drift_to_the_front_moves_the_first_pixel():
    slices = np.full((2, 3, 3), 7, np.int16)
    straight, first = unshear(slices, np.array([[0, 0], [-1.5, 0.5]]), 0)
    assert (straight.shape, first) == ((2, 5, 4), (-2, 0))
    np.testing.assert_array_equal(straight[0, 2:, :3], 7)
    assert straight[1, 1, 1] == 7


def test_a_ramp_is_the_same_after_respacing():
    along = np.array([0.0, 1.0, 3.0, 4.0])
    planes = np.broadcast_to((100 * along).astype(np.int16)[:, None, None], (4, 2, 2))
    np.testing.assert_array_equal(respace(planes, along, 1.0)[:, 0, 0], [0, 100, 200, 300, 400])
    np.testing.assert_array_equal(respace((planes > 0).astype(np.uint8), along, 1.0)[:, 0, 0], [0, 1, 1, 1, 1])


def test_06_sheared_series_is_mended_when_asked(tmp_path):
    """The couch sank by a pixel per slice: the same patient on a higher canvas."""
    slices = make_series()
    for k, dataset in enumerate(slices):
        dataset.ImagePositionPatient[1] += 5 * k
        plane = np.roll(make_ct()[k], -k, axis=0)
        dataset.PixelData = plane.tobytes()
    rolled = np.zeros((12, 51, 48), np.uint8)
    rolled[:, :40] = make_liver()
    values, arrays = read(tmp_path, slices, ["GANTRY_TILT"], rolled)
    assert values["notes"] == ["REPAIRED_GANTRY_TILT"]
    np.testing.assert_array_equal(arrays["hu"][:, 12:29], make_ct()[:, 12:29])
    np.testing.assert_array_equal(arrays["labels"], rolled)


def test_01_missing_slice_is_interpolated_when_asked(tmp_path):
    slices = make_series()
    values, arrays = read(tmp_path, slices[:5] + slices[6:], ["SLICE_INCREMENT_INCONSISTENT"])
    expected = make_ct()
    expected[5] = np.rint((expected[4].astype(float) + expected[6]) / 2)
    np.testing.assert_array_equal(arrays["hu"], expected)
    assert values["notes"] == ["REPAIRED_SLICE_INCREMENT_INCONSISTENT"]
    np.testing.assert_allclose(values["geometry"]["spacing_mm"], SPACING_MM)


def test_a_gap_too_long_stays_a_reason(tmp_path):
    slices = make_series()
    with pytest.raises(CaseError, match=r"step of 20\.000 mm is too long"):
        read(tmp_path, slices[:4] + slices[7:], ["SLICE_INCREMENT_INCONSISTENT"])
