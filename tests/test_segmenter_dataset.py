"""The raw data set of nnU-Net: right pixels at the right places, and the same files whenever it is written."""

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.segmenter.cases import TrainingCase
from pipeline.segmenter.dataset import CHANNEL_NAME, describe_dataset, export_case
from pipeline.segmenter.folders import SegmenterFolders
from pipeline.segmenter.stack import find_neighbors
from pipeline.slabs import fill_gaps
from tests.segmenter_cases import HEIGHT, WIDTH, disc, read_input, tiny_config, write_case


@pytest.fixture
def run(tmp_path):
    return RunFolder(str(tmp_path))


def read(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_gaps_are_black_slices():
    rows = np.array([[[1]], [[2]], [[3]]], np.uint8)
    assert fill_gaps(rows, np.array([4, 5, 8], np.int32)).ravel().tolist() == [1, 2, 0, 0, 3]


def test_export_is_image_and_refined_mask_with_a_gap(run, tmp_path):
    volume, image, tumor = write_case(run, "gap", slice_index=(2, 3, 6, 7))
    export_case(run, TrainingCase(volume), tiny_config(tmp_path))
    expected_image, expected_label = np.zeros((2, 6, HEIGHT, WIDTH), np.float32)
    for position, row in zip((0, 1, 4, 5), range(4), strict=True):
        expected_image[position] = image[row] / np.float32(255)
        expected_label[position] = tumor[row]
    folders = SegmenterFolders.of(run)
    np.testing.assert_array_equal(read(folders.image("gap")), expected_image)
    np.testing.assert_array_equal(read(folders.label("gap")), expected_label)


def test_spacing_is_native_between_slices_and_the_grids_in_plane(run, tmp_path):
    volume, _, _ = write_case(run, "sick")
    export_case(run, TrainingCase(volume), tiny_config(tmp_path))
    assert sitk.ReadImage(str(SegmenterFolders.of(run).image("sick"))).GetSpacing() == (1.0, 1.0, 5.0)


def test_healthy_volume_is_black_without_pseudo_labels(run, tmp_path):
    volume, _, _ = write_case(run, "healthy", healthy=True)
    export_case(run, TrainingCase(volume), tiny_config(tmp_path))
    assert not run.exists("pseudo_labels")
    assert not read(SegmenterFolders.of(run).label("healthy")).any()


def test_liver_median_is_zero_contrast(run, tmp_path):
    volume, image, _ = write_case(run, "sick")
    slices = read_input(run, volume, tiny_config(tmp_path, normalization="liver_median"))
    grid = PipelineConfig(run="").grid
    hu = image[0, 16, 30] * (grid.window_high_hu - grid.window_low_hu) / 255 + grid.window_low_hu
    assert slices.image[0, 16, 30] == pytest.approx((hu - volume.liver_median_hu) / 40, abs=1e-5)
    assert not slices.image[0][~disc(16, 24, 13)].any()


def test_export_twice_gives_the_same_files(run, tmp_path):
    volume, _, _ = write_case(run, "sick")
    folders = SegmenterFolders.of(run)
    export_case(run, TrainingCase(volume), tiny_config(tmp_path))
    first = [path.read_bytes() for path in (folders.image("sick"), folders.label("sick"))]
    export_case(run, TrainingCase(volume), tiny_config(tmp_path))
    assert [path.read_bytes() for path in (folders.image("sick"), folders.label("sick"))] == first
    assert sorted(path.name for path in folders.raw.rglob("*.gz")) == ["sick.nii.gz", "sick_0000.nii.gz"]


def test_pseudo_labels_on_other_slices_are_an_error(run, tmp_path):
    write_case(run, "sick", slice_index=(2, 3))
    write_case(run, "sick", healthy=True, slice_index=(1, 2, 3))
    volume, _, _ = write_case(RunFolder(str(tmp_path / "other")), "sick", slice_index=(1, 2, 3))
    with pytest.raises(ValueError, match=r"pseudo_labels are on slices \[2, 3\], but the liver is on \[1, 2, 3\]"):
        export_case(run, TrainingCase(volume), tiny_config(tmp_path))


def test_neighbor_beyond_an_end_or_a_gap_is_the_last_slice_on_the_way():
    index = np.array([4, 5, 8, 9, 10], np.int32)
    assert find_neighbors(index, 0).tolist() == [0, 1, 2, 3, 4]
    assert find_neighbors(index, 1).tolist() == [1, 1, 3, 4, 4]
    assert find_neighbors(index, -1).tolist() == [0, 0, 2, 2, 3]
    assert find_neighbors(index, 2).tolist() == [1, 1, 4, 4, 4]
    assert find_neighbors(index, -3).tolist() == [0, 0, 1, 2, 2]


def test_channels_are_the_slices_below_at_and_above(run, tmp_path):
    volume, image, _ = write_case(run, "gap", slice_index=(2, 3, 5))
    export_case(run, TrainingCase(volume), tiny_config(tmp_path, context_slices=1))
    gray = np.zeros((4, HEIGHT, WIDTH), np.float32)
    gray[1:] = image / np.float32(255)
    expected = {0: (1, 1, 0, 3), 1: (1, 2, 0, 3), 2: (2, 2, 0, 3)}
    for channel, rows in expected.items():
        np.testing.assert_array_equal(read(SegmenterFolders.of(run).image("gap", channel)), gray[list(rows)])


def test_nnunet_takes_the_channel_as_it_is():
    from nnunetv2.preprocessing.normalization.default_normalization_schemes import NoNormalization
    from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import get_normalization_scheme

    assert get_normalization_scheme(CHANNEL_NAME) is NoNormalization


def test_dataset_lists_its_cases():
    described = describe_dataset(["b", "a"])
    assert described["numTraining"] == 2
    assert described["dataset"]["a"] == {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}


def test_dataset_lists_every_channel():
    described = describe_dataset(["a"], context_slices=1)
    assert described["channel_names"] == {"0": CHANNEL_NAME, "1": CHANNEL_NAME, "2": CHANNEL_NAME}
    assert described["dataset"]["a"]["images"] == [f"imagesTr/a_000{channel}.nii.gz" for channel in range(3)]
