"""Livers from DICOM SEG lie on the slices that they were drawn on."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence

from pipeline.archive.dicom.attributes import parse
from pipeline.archive.dicom.geometry import arrange
from pipeline.archive.dicom.headers import HEADER_KEYWORDS, read_headers
from pipeline.archive.dicom.seg import decode_liver
from pipeline.archive.dicom.volume import read_volume
from pipeline.archive.members import Member
from pipeline.errors import CaseError
from pipeline.phantom_archive.files import item
from pipeline.phantom_archive.masks import make_segmentation
from tests.dicom_archive_cases import make_liver, make_series, save

DATA = Path(os.environ.get("LIVER_DATA", "/nowhere"))


def series_of(slices):
    headers = []
    for k, dataset in enumerate(slices):
        headers += read_headers(Member(str(k), bytes), dataset, bytes([k]), "x")
    return arrange(headers, "x")


def make_seg(slices, masks, labels=("Liver", "Tumor"), kind="BINARY"):
    return make_segmentation(slices, masks, labels, kind)


def to_bytes(dataset):
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def decode(seg, slices):
    return decode_liver(to_bytes(seg), series_of(slices), "the mask")


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_the_liver_of_two_segments(kind):
    slices, tumor = make_series(), np.roll(make_liver(), 3, axis=2)
    np.testing.assert_array_equal(decode(make_seg(slices, [make_liver(), tumor], kind=kind), slices), make_liver())


def test_the_liver_is_known_by_its_code():
    slices = make_series()
    seg = make_seg(slices, [make_liver()], labels=("Organ 1",))
    code = item(CodeValue="10200004", CodingSchemeDesignator="SCT", CodeMeaning="Liver")
    seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence = Sequence([code])
    np.testing.assert_array_equal(decode(seg, slices), make_liver())


def test_a_segmentation_of_the_archive_is_one_whatever_its_file_is_called(tmp_path):
    slices = make_series()
    save(slices, tmp_path / "ct")
    (tmp_path / "liver.nii.gz").write_bytes(to_bytes(make_seg(slices, [make_liver()])))
    names = [[f"ct/{path.name}", 0] for path in (tmp_path / "ct").iterdir()]
    _, arrays = read_volume(str(tmp_path), names, ["tree", "liver.nii.gz"], ())
    np.testing.assert_array_equal(arrays["labels"], make_liver())


@pytest.mark.parametrize("labels", [("Spleen", "Tumor"), ("Liver", "LIVER")])
def test_not_one_liver(labels):
    slices = make_series()
    with pytest.raises(CaseError, match="LIVER_MISSING"):
        decode(make_seg(slices, [make_liver()] * 2, labels), slices)


def test_60_frames_between_slices_are_refused():
    slices = make_series()
    seg = make_seg(slices, [make_liver()])
    seg.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0].ImagePositionPatient[2] += 2.0
    with pytest.raises(CaseError, match=r"MASK_GEOMETRY_MISMATCH: the mask: a frame .* is 2\.000 mm off"):
        decode(seg, slices)


def test_60_frames_of_another_size_spacing_or_turn_are_refused():
    slices = make_series()
    seg = make_seg(slices, [make_liver()])
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [4, 5]
    with pytest.raises(CaseError, match="MASK_GEOMETRY_MISMATCH: the mask: pixel spacing"):
        decode(seg, slices)
    with pytest.raises(CaseError, match="MASK_SHAPE_MISMATCH"):
        decode(make_seg(make_series(make_liver((12, 40, 40)).astype(np.int16)), [make_liver((12, 40, 40))]), slices)


def test_frames_that_are_not_described_are_refused():
    slices = make_series()
    seg = make_seg(slices, [make_liver()])
    del seg.PerFrameFunctionalGroupsSequence[0]
    with pytest.raises(CaseError, match="SEGMENTATION_INVALID: the mask has 8 frames and describes 7"):
        decode(seg, slices)


@pytest.mark.skipif(not (DATA / "dicom" / "dcmqi").is_dir(), reason="LIVER_DATA has no dcmqi")
def test_a_real_segmentation_lies_where_simpleitk_puts_it(monkeypatch):
    import SimpleITK as sitk

    monkeypatch.setattr("pipeline.archive.dicom.geometry.MINIMUM_SLICES", 3)
    folder = DATA / "dicom" / "dcmqi"
    slices = [parse(path.read_bytes(), "x", HEADER_KEYWORDS) for path in sorted((folder / "ct-3slice").iterdir())]
    ours = decode_liver((folder / "liver.dcm").read_bytes(), series_of(slices), "the mask")
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "liver.dcm")))
    assert ours.sum() > 1000
    np.testing.assert_array_equal(ours, theirs > 0)
