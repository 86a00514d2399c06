"""3D-IRCADb-01 as it is distributed: folders or zips of DICOM slices, and a mask for each organ."""

import shutil

import numpy as np

from pipeline.archive.catalog import list_cases
from pipeline.archive.ircad import is_liver_tumor
from tests.archive_cases import (
    assert_rejected,
    codes,
    configure,
    make_couinaud_map,
    make_hu,
    make_labels,
    make_slices,
    read_one,
    save_slices,
    write_image,
    write_ircad,
    zip_folder,
)


def test_ircad_patient(tmp_path):
    write_ircad(tmp_path)
    volume = read_one(configure(tmp_path, "ircad"))
    np.testing.assert_array_equal(volume.hu, make_hu())
    np.testing.assert_array_equal(volume.liver_mask, make_labels() > 0)
    np.testing.assert_array_equal(volume.reference_mask, make_labels() == 2)
    assert volume.volume_id == "ircad_17"
    assert volume.image_label.nonzero()[0].tolist() == [1, 7]
    assert volume.couinaud_map is None


def test_zipped_or_not_is_the_same_patient(tmp_path):
    patient = write_ircad(tmp_path)
    config = configure(tmp_path, "ircad")
    plain = read_one(config)
    for name in ("PATIENT_DICOM", "MASKS_DICOM"):
        zip_folder(patient / name)
    zipped = read_one(config)
    assert zipped.content_sha256 == plain.content_sha256
    assert zipped.geometry == plain.geometry
    for name in ("hu", "liver_mask", "reference_mask"):
        np.testing.assert_array_equal(getattr(zipped, name), getattr(plain, name))


def test_healthy_patient_without_liver_tumor_has_an_empty_reference(tmp_path):
    """As patient 7: a mask `tumor`, which is adrenal, and a cyst."""
    write_ircad(tmp_path, number=7, tumors=())
    undrawn = read_one(configure(tmp_path, "ircad"))
    assert (undrawn.reference_mask, undrawn.notes) == (None, ("TUMOR_NOT_DRAWN",))  # the label names 2 and 8
    (tmp_path / "volume_labels.csv").write_text("volume_id,segments\nircad_07,\n")
    volume = read_one(configure(tmp_path, "ircad"))
    assert volume.volume_id == "ircad_07"
    assert volume.reference_mask is not None
    assert not volume.reference_mask.any()
    np.testing.assert_array_equal(volume.liver_mask, make_labels() > 0)


def test_tumor_names():
    names = ["livertumor", "livertumor01", "livertumors", "LiverTumor2", "rightlivertumor"]
    assert all(is_liver_tumor(name) for name in names)
    others = ["tumor", "liver", "liverkyst", "livercyst", "livertumorcyst", "leftsurrenaltumor", "metastasectomie"]
    assert not any(is_liver_tumor(name) for name in others)


def test_ircad_labels_in_any_spelling_and_missing_parts(tmp_path):
    for number in (1, 2, 3, 11):
        write_ircad(tmp_path, number)
    shutil.rmtree(tmp_path / "3Dircadb1.2" / "MASKS_DICOM")
    shutil.rmtree(tmp_path / "3Dircadb1.3" / "PATIENT_DICOM")
    (tmp_path / "volume_labels.csv").write_text("volume_id,segments\nircad_1,1\n3Dircadb1.2,2\nircad_03,3\n")
    cases, rejections = list_cases(configure(tmp_path, "ircad"))
    assert [(case.volume_id, case.segments) for case in cases] == [("ircad_01", (1,))]
    assert codes(rejections) == {"ircad_02": "LIVER_MISSING", "ircad_03": "IMAGE_MISSING", "ircad_11": "LABEL_MISSING"}


def test_ircad_without_liver_or_with_another_grid(tmp_path):
    patient = write_ircad(tmp_path)
    masks = patient / "MASKS_DICOM"
    shutil.rmtree(masks / "livertumor02")
    save_slices(make_slices(make_labels()[:5]), masks / "livertumor02")
    assert_rejected(configure(tmp_path, "ircad"), "MASK_VALUES")
    save_slices(make_slices((make_labels()[:5] > 0).astype(np.uint8)), masks / "livertumor02")
    assert_rejected(configure(tmp_path, "ircad"), "MASK_SHAPE_MISMATCH", "(5, 12, 16)", "(6, 12, 16)")
    shifted = make_slices((make_labels() > 0).astype(np.uint8), origin=(0, 0, 0))
    save_slices(shifted, masks / "livertumor02")
    assert_rejected(configure(tmp_path, "ircad"), "MASK_GEOMETRY_MISMATCH", "(0, 0, 0)", "(-40, 30, 100)")
    shutil.rmtree(masks / "liver")
    assert_rejected(configure(tmp_path, "ircad"), "LIVER_MISSING", "'liver'")


def test_ircad_couinaud_map(tmp_path):
    write_ircad(tmp_path / "source")
    write_image(tmp_path / "maps" / "ircad_17.nii.gz", make_couinaud_map())
    volume = read_one(configure(tmp_path / "source", "ircad", couinaud_maps=str(tmp_path / "maps")))
    np.testing.assert_array_equal(volume.couinaud_map, make_couinaud_map())
