"""Whole archives: what is listed, what is set aside, and what one case holds."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.archive.catalog import CaseSource, list_cases, read_case, survey
from pipeline.config import PhantomConfig, PipelineConfig, SourceConfig
from pipeline.errors import CaseError, RefusedInputError
from tests.archive_cases import (
    ORIGIN_MM,
    SHAPE,
    SPACING_MM,
    assert_rejected,
    codes,
    configure,
    make_couinaud_map,
    make_hu,
    make_labels,
    read_one,
    write_flipped,
    write_image,
    write_msd,
)

needs_data = pytest.mark.skipif("LIVER_DATA" not in os.environ, reason="LIVER_DATA names the folder of real data")


def test_msd_case(tmp_path):
    root = write_msd(tmp_path)
    volume = read_one(configure(root))
    np.testing.assert_array_equal(volume.hu, make_hu())
    np.testing.assert_array_equal(volume.liver_mask, make_labels() > 0)
    np.testing.assert_array_equal(volume.reference_mask, make_labels() == 2)
    np.testing.assert_array_equal(volume.couinaud_map, make_couinaud_map())
    assert volume.image_label.nonzero()[0].tolist() == [3, 4]
    assert (volume.volume_id, volume.split) == ("case_01", "train")
    files = [root / folder / "case_01.nii.gz" for folder in ("imagesTr", "labelsTr", "couinaudTr")]
    expected = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert volume.content_sha256 == expected


@pytest.mark.parametrize("axes", [(1, 2), (0,), (2,)])
def test_files_of_different_orientation_are_one_case(tmp_path, axes):
    root = write_msd(tmp_path)
    plain = read_one(configure(root))
    write_flipped(root / "imagesTr" / "case_01.nii.gz", make_hu(), axes)
    write_flipped(root / "couinaudTr" / "case_01.nii.gz", make_couinaud_map(), axes[:1])
    flipped = read_one(configure(root))
    for name in ("hu", "liver_mask", "reference_mask", "couinaud_map"):
        np.testing.assert_array_equal(getattr(flipped, name), getattr(plain, name))


def test_liver_without_tumors_has_no_reference(tmp_path):
    root = write_msd(tmp_path, couinaud=False)
    shutil.rmtree(root / "labelsTr")
    write_image(root / "liversTr" / "case_01.nii.gz", (make_labels() > 0).astype(np.uint8))
    volume = read_one(configure(root))
    np.testing.assert_array_equal(volume.liver_mask, make_labels() > 0)
    assert volume.reference_mask is None
    assert volume.couinaud_map is None


@pytest.mark.parametrize(("label", "reference", "notes"), [("4;5", None, ("TUMOR_NOT_DRAWN",)), ("", 0, ())])
def test_mask_without_tumors_is_a_reference_of_healthy_livers_only(tmp_path, label, reference, notes):
    """Where the label names segments, nobody has drawn what it names; a healthy liver is known to hold nothing."""
    root = write_msd(tmp_path, labels=f"case_01,{label}\n")
    write_image(root / "labelsTr" / "case_01.nii.gz", (make_labels() > 0).astype(np.uint8))
    volume = read_one(configure(root))
    assert (None if volume.reference_mask is None else volume.reference_mask.sum()) == reference
    assert volume.notes == notes


def test_69_each_id_is_a_case_or_set_aside_once(tmp_path):
    root = write_msd(tmp_path, labels="a,4\nb,9\nc,\nghost,1\nb,9\n", names=("a", "b", "c", "d", "Doe^John", "e"))
    (root / "labelsTr" / "c.nii.gz").unlink()
    (root / "imagesTr" / "._a.nii.gz").write_bytes(b"")
    listed = survey(configure(root))
    assert [case.volume_id for case in listed.cases] == ["a"]
    assert listed.unused_labels == ("ghost",)
    found = codes(listed.rejections)
    (unsafe,) = (name for name in found if name.startswith("unsafe-"))
    assert found == {
        "b": "SEGMENT_LABEL", "c": "LIVER_MISSING", "d": "LABEL_MISSING", "e": "LABEL_MISSING",
        unsafe: "UNSAFE_ID",
    }  # fmt: skip
    assert len(listed.rejections) == len(found)
    assert not any("Doe" in str(rejection) for rejection in listed.rejections)


def test_cases_travel_as_rows_without_nulls(tmp_path):
    root = write_msd(tmp_path, labels="a,4;5\nb,\n", names=("a", "b"))
    cases, _ = list_cases(configure(root))
    for case in cases:
        row = case.to_row()
        assert all(isinstance(value, str) for value in row.values())
        assert CaseSource.from_row({**row, "extra": 1}) == case


def test_paths_are_absolute(tmp_path, monkeypatch):
    write_msd(tmp_path / "source")
    monkeypatch.chdir(tmp_path)
    (case,), _ = list_cases(configure(Path("source"), labels="source/volume_labels.csv"))
    assert all(Path(path).is_absolute() for path in (case.image, case.masks, case.couinaud_map))


def test_what_is_no_archive_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="expected a folder, got ''"):
        list_cases(PipelineConfig(run="unused", source=SourceConfig(layout="msd")))
    with pytest.raises(RefusedInputError, match="expected a folder"):
        list_cases(configure(tmp_path / "nowhere"))
    with pytest.raises(RefusedInputError, match="label table"):
        list_cases(configure(tmp_path))
    (tmp_path / "volume_labels.csv").write_text("volume_id,segments\n")
    for layout in ("msd", "ircad"):
        with pytest.raises(RefusedInputError, match=f"no usable {layout} case"):
            list_cases(configure(tmp_path, layout))
    (tmp_path / "volume_labels.csv").write_text("volume_id,segments\na,1\nb,9\n")
    with pytest.raises(RefusedInputError, match="LABELS_WITHOUT_IMAGES 2"):
        list_cases(configure(tmp_path))


def test_named_map_folder_must_exist(tmp_path):
    with pytest.raises(RefusedInputError, match=r"source\.couinaud_maps: expected a folder"):
        list_cases(configure(write_msd(tmp_path), couinaud_maps="no/such/folder"))


def test_60_mask_of_another_shape(tmp_path):
    root = write_msd(tmp_path)
    write_image(root / "labelsTr" / "case_01.nii.gz", make_labels()[:, :, 1:])
    assert_rejected(configure(root), "MASK_SHAPE_MISMATCH", "(6, 12, 15)", "(6, 12, 16)")


@pytest.mark.parametrize(
    ("change", "quotes"),
    [
        ({"origin": (-39.9, 30.0, 100.0)}, ("origin_mm (-39.9, 30, 100)", "(-40, 30, 100)")),
        ({"spacing": (2.5, 0.75, 0.502)}, ("spacing_mm (2.5, 0.75, 0.502)", "(2.5, 0.75, 0.5)")),
        ({"direction": (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)}, ("direction (0.8, -0.6", "(1, 0, 0")),
    ],
)
def test_60_mask_on_another_grid(tmp_path, change, quotes):
    root = write_msd(tmp_path)
    write_image(root / "labelsTr" / "case_01.nii.gz", make_labels(), **change)
    assert_rejected(configure(root), "MASK_GEOMETRY_MISMATCH", *quotes)


def test_60_grids_may_differ_by_rounding(tmp_path):
    root = write_msd(tmp_path)
    write_image(root / "labelsTr" / "case_01.nii.gz", make_labels(), origin=(-40.0005, 30.0, 100.0))
    assert read_one(configure(root)).reference_mask.any()


@pytest.mark.parametrize(
    ("value", "dtype", "quote"), [(3, np.uint8, "holds 3"), (-1, np.int16, "-1"), (0.9999, np.float32, "0.9999")]
)
def test_61_mask_of_other_values(tmp_path, value, dtype, quote):
    labels = make_labels().astype(dtype)
    labels[0, 0, 0] = value
    root = write_msd(tmp_path)
    write_image(root / "labelsTr" / "case_01.nii.gz", labels)
    assert_rejected(configure(root), "MASK_VALUES", quote, "0..2")


def test_image_that_is_one_gray(tmp_path):
    root = write_msd(tmp_path)
    write_image(root / "imagesTr" / "case_01.nii.gz", np.full(SHAPE, -1000, np.int16))
    assert_rejected(configure(root), "HU_RANGE", "-1000 HU", "at least two")


def test_image_beyond_hu(tmp_path):
    root = write_msd(tmp_path)
    write_image(root / "imagesTr" / "case_01.nii.gz", make_hu().astype(np.int32) * 1000)
    assert_rejected(configure(root), "HU_RANGE", "-500000", "-32768..32767")


def test_fractions_are_rounded_to_hu(tmp_path):
    root = write_msd(tmp_path)
    write_image(root / "imagesTr" / "case_01.nii.gz", make_hu() + np.float32(0.4))
    np.testing.assert_array_equal(read_one(configure(root)).hu, make_hu())


def write_cropped_map(root, shift_voxels):
    """A map of rows 2.. of the CT's grid, said to begin at the given row."""
    origin = (ORIGIN_MM[0], ORIGIN_MM[1] + shift_voxels * SPACING_MM[1], ORIGIN_MM[2])
    write_image(root / "couinaudTr" / "case_01.nii.gz", make_couinaud_map()[:, 2:], origin=origin)


def test_couinaud_map_that_is_a_crop_of_the_grid_is_put_in_place(tmp_path):
    root = write_msd(tmp_path)
    write_cropped_map(root, 2)
    np.testing.assert_array_equal(read_one(configure(root)).couinaud_map, make_couinaud_map())


@pytest.mark.parametrize("shift_voxels", [1.5, 3, -1])
def test_couinaud_map_off_the_voxels_or_beyond_the_ct_is_rejected(tmp_path, shift_voxels):
    root = write_msd(tmp_path)
    write_cropped_map(root, shift_voxels)
    assert_rejected(configure(root), "COUINAUD_GEOMETRY", "(6, 10, 16)", "(6, 12, 16)")


def test_65_couinaud_map_on_another_grid_or_with_other_labels(tmp_path):
    root = write_msd(tmp_path)
    write_image(root / "couinaudTr" / "case_01.nii.gz", make_couinaud_map(), origin=(0, 0, 0))
    assert_rejected(configure(root), "COUINAUD_GEOMETRY", "(0, 0, 0)", "(-40, 30, 100)")
    write_image(root / "couinaudTr" / "case_01.nii.gz", make_couinaud_map() + 2)
    assert_rejected(configure(root), "COUINAUD_LABEL", "holds 9", "0..8")


def test_couinaud_maps_from_a_named_folder(tmp_path):
    root = write_msd(tmp_path / "source", couinaud=False)
    write_image(tmp_path / "maps" / "case_01.nii.gz", make_couinaud_map())
    volume = read_one(configure(root, couinaud_maps=str(tmp_path / "maps")))
    np.testing.assert_array_equal(volume.couinaud_map, make_couinaud_map())


def test_a_truncated_mask_and_a_file_that_is_gone(tmp_path):
    config = configure(write_msd(tmp_path))
    mask = tmp_path / "labelsTr" / "case_01.nii.gz"
    (case,), _ = list_cases(config)
    mask.write_bytes(mask.read_bytes()[:-20])
    with pytest.raises(CaseError, match="NIFTI_TRUNCATED: the mask"):
        read_case(case, config)
    mask.unlink()
    with pytest.raises(CaseError, match="FILE_UNREADABLE: the mask"):
        read_case(case, config)


def test_phantoms_are_listed_and_made():
    pytest.importorskip("pipeline.phantom")
    phantom = PhantomConfig(train_pathological=1, train_healthy=1, test=1, slices=12)
    config = PipelineConfig(run="unused", source=SourceConfig(layout="phantom"), phantom=phantom)
    cases, rejections = list_cases(config)
    assert len(cases) == 3
    assert not rejections
    volume = read_case(cases[0], config)
    assert (volume.volume_id, volume.split) == (cases[0].volume_id, cases[0].split)
    nothing = replace(phantom, train_pathological=0, train_healthy=0, test=0)
    with pytest.raises(RefusedInputError, match="at least one volume"):
        list_cases(replace(config, phantom=nothing))


@needs_data
@pytest.mark.parametrize(
    ("name", "count", "splits"), [("ircadb", 16, {"train": 12, "test": 4}), ("lits", 4, {"validation": 4})]
)
def test_real_archives_are_listed_whole(name, count, splits):
    cases, rejections = list_cases(configure(Path(os.environ["LIVER_DATA"]) / name))
    assert (len(cases), rejections) == (count, [])
    assert {split: sum(case.split == split for case in cases) for split in splits} == splits
    assert all(case.couinaud_map for case in cases)


@needs_data
@pytest.mark.parametrize(
    ("name", "volume_id", "slices"), [("ircadb", "ircadb_19", (21, 16)), ("lits", "lits_048", (35, 14))]
)
def test_real_case_agrees_with_its_table(name, volume_id, slices):
    config = configure(Path(os.environ["LIVER_DATA"]) / name)
    (case,) = (case for case in list_cases(config)[0] if case.volume_id == volume_id)
    volume = read_case(case, config)
    counts = tuple(int(mask.any(axis=(1, 2)).sum()) for mask in (volume.liver_mask, volume.reference_mask))
    assert counts == slices
    assert volume.couinaud_map.max() == 8


@needs_data
def test_real_dicom_equals_the_crop_of_the_same_patient():
    data = Path(os.environ["LIVER_DATA"])
    labels = data / "ircadb" / "volume_labels.csv"
    volume = read_one(configure(data / "ircad_dicom", "ircad", labels=str(labels)))
    assert volume.volume_id == "ircad_17"
    assert volume.liver_mask.any(axis=(1, 2)).sum() == 113
    assert volume.reference_mask.any(axis=(1, 2)).sum() == 36
    config = configure(data / "ircadb")
    (case,) = (case for case in list_cases(config)[0] if case.volume_id == "ircadb_17")
    crop = read_case(case, config)
    offset = (np.array(crop.geometry.origin_mm) - volume.geometry.origin_mm)[::-1] / volume.geometry.spacing_mm
    start = np.rint(offset).astype(int)
    np.testing.assert_allclose(offset, start, atol=1e-3)
    window = tuple(slice(low, low + size) for low, size in zip(start, crop.geometry.shape, strict=True))
    np.testing.assert_array_equal(volume.hu[window], crop.hu)
    np.testing.assert_array_equal(volume.liver_mask[window], crop.liver_mask)
    np.testing.assert_array_equal(volume.reference_mask[window], crop.reference_mask)
