"""The figures of predicted masks, against counts by other means and against masks that can be counted by hand."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from jobs import predict_segmentation
from pipeline.config import GridConfig
from pipeline.geometry import nearest_pixels
from pipeline.masks import read_prediction
from pipeline.predicted_volumes import (
    COLUMNS,
    SEGMENT_COLUMNS,
    count_by_segment,
    find_unmeasured,
    measure_prediction,
    write_prediction_table,
    write_row,
)
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows, write_volume_row
from pipeline.stages.ingest import remove_volume
from pipeline.stages.predict_segmentation import encode_mask, native_geometry, prediction_path
from tests.segmenter_cases import NATIVE_SHAPE, tiny_config, volume_row, write_case

VOLUME = volume_row("case", "test", False, np.array([2, 3]), "LPS")
VOXEL_ML = 0.005
NO_SLICES = {"slice_index": np.zeros(0, np.int32), "couinaud_map": np.zeros((0, 16, 16), np.uint8)}


def read_table(run):
    return list(csv.DictReader(run.read_bytes("predictions.csv").decode().splitlines()))


def scattered(seed, share):
    return np.random.default_rng(seed).random(NATIVE_SHAPE) < share


@given(st.integers(0, 50), st.sampled_from([0.0, 0.02, 0.3]))
def test_lesions_are_those_of_scipy(seed, share):
    mask = scattered(seed, share)
    measured = measure_prediction(mask, NO_SLICES, VOLUME, GridConfig())
    labels, count = ndimage.label(mask)  # SciPy's neighbors share a face, too
    largest_ml = np.bincount(labels.ravel())[1:].max(initial=0) * VOXEL_ML
    assert (measured["lesions"], measured["tumor_ml"]) == (count, pytest.approx(mask.sum() * VOXEL_ML))
    assert np.pi / 6 * measured["largest_mm"] ** 3 == pytest.approx(1000 * largest_ml)


def test_voxels_belong_to_the_pixel_that_holds_their_center():
    """Pixels of 2 x 2 voxels, the first at voxel (1, 1): two of segment 3, one of 7, and no liver from there on."""
    volume = replace(VOLUME, crop_start=(0, 1, 1), native_shape=(2, 6, 10))
    planes = np.zeros((1, 16, 16), np.uint8)
    planes[0, :2, :3] = 3, 3, 7
    mask = np.zeros(volume.native_shape, bool)
    mask[1, 2, [0, 1, 4, 5, 6, 7, 9]] = True  # pixels -1, 0, 1, 2, 2, 3, 4
    slices = {"slice_index": np.int32([1]), "couinaud_map": planes}
    counts = count_by_segment(mask, slices, volume, GridConfig(height=16, width=16, spacing_mm=2.0))
    assert counts.tolist() == [0, 0, 3, 0, 0, 0, 4, 0]


@given(st.integers(-5, 5), st.sampled_from([0.7, 1.0, 2.3]))
def test_pixels_are_the_nearest_ones(start, spacing_mm):
    centers_mm = (np.arange(30) + 0.5) * spacing_mm
    pixels_mm = start * spacing_mm + (np.arange(12) + 0.5) * 1.5
    distance = np.abs(centers_mm[:, None] - pixels_mm)
    found = distance[np.arange(30), nearest_pixels(start, 30, spacing_mm, 12, 1.5)]
    np.testing.assert_allclose(found, distance.min(axis=1), atol=1e-9)


def write_mask(run, volume_id, mask):
    (row,) = (row for row in read_volume_rows(run) if row.volume_id == volume_id)
    run.write_bytes(encode_mask(mask, native_geometry(row)), *prediction_path(volume_id))


@pytest.fixture
def kept(tmp_path):
    """A run folder whose masks an earlier start has made, and which was stopped before they were measured."""
    run, config = RunFolder(str(tmp_path)), tiny_config(tmp_path)
    for name, split in (("first", "validation"), ("second", "test"), ("learned", "train")):
        row, *_ = write_case(run, name, split=split, orientation="RAI")
        write_volume_row(run, replace(row, couinaud_method="shape", couinaud_flags="FRACTION_SEGMENT_2"))
    write_mask(run, "first", scattered(1, 0.01))
    write_mask(run, "second", np.zeros(NATIVE_SHAPE, bool))
    run.write_json({}, "reports", "train_segmenter.json")
    return run, config


def test_masks_that_are_kept_are_measured(ray_cluster, kept):
    run, config = kept
    assert predict_segmentation.main(config) == 0
    first, second = read_table(run)
    assert tuple(first) == COLUMNS
    assert (first["volume_id"], first["split"], first["liver_ml"]) == ("first", "validation", "1000")
    assert (second["tumor_ml"], second["lesions"], second["largest_mm"]) == ("0", "0", "0")
    mask = read_prediction(run, read_volume_rows(run, "validation")[0])
    assert int(first["lesions"]) == ndimage.label(mask)[1]
    inside_ml = mask[2:8].sum() * VOXEL_ML  # on the liver's slices; all of it is segment 1
    assert [float(first[name]) for name in SEGMENT_COLUMNS] == pytest.approx([inside_ml, *7 * [0]])
    assert (first["couinaud_method"], first["couinaud_flags"]) == ("shape", "FRACTION_SEGMENT_2")


def test_a_row_is_measured_once_and_the_table_is_the_same(ray_cluster, kept):
    run, config = kept
    assert predict_segmentation.main(config) == 0
    table, rows = run.read_bytes("predictions.csv"), run.local("predicted_volumes")
    times = {path.name: path.stat().st_mtime_ns for path in rows.iterdir()}
    run.remove("reports", "predict_segmentation.json")
    assert predict_segmentation.main(config) == 0
    assert {path.name: path.stat().st_mtime_ns for path in rows.iterdir()} == times
    assert run.read_bytes("predictions.csv") == table


def test_a_volume_that_goes_takes_its_row_along(kept):
    run, _ = kept
    volumes = {row.volume_id: row for row in read_volume_rows(run, "validation", "test")}
    for row in volumes.values():
        write_row(run, measure_prediction(np.zeros(NATIVE_SHAPE, bool), NO_SLICES, row, GridConfig()))
    assert not find_unmeasured(run, volumes)
    remove_volume(run, "first")
    write_mask(run, "second", scattered(1, 0.01))
    assert write_prediction_table(run, read_volume_rows(run, "validation", "test")) == 1


def test_without_a_known_map_the_segments_are_empty():
    run = RunFolder("mock:///run")
    write_row(run, measure_prediction(scattered(1, 0.01), NO_SLICES, VOLUME, GridConfig()))
    assert write_prediction_table(run, [VOLUME]) == 1
    (row,) = read_table(run)
    assert float(row["tumor_ml"]) > 0
    assert {row[name] for name in SEGMENT_COLUMNS} == {""}
