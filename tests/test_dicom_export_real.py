"""Masks on real CTs as DICOM SEG: SimpleITK reads them back on the grid that it gives the CT."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from pipeline.errors import CaseError
from tests.test_dicom_export import assert_as_simpleitk_reads_it, export

DATA = Path(os.environ.get("LIVER_DATA", "/nowhere"))
JPEG2000 = DATA / "dicom" / "totalsegmentator" / "example_ct_dicom"


@pytest.mark.skipif(not (DATA / "ircad_dicom").is_dir(), reason="LIVER_DATA has no ircad_dicom")
def test_3dircadb_from_its_zip(tmp_path):
    """119 slices that name no frame of reference."""
    path = DATA / "ircad_dicom" / "3Dircadb1.17" / "PATIENT_DICOM.zip"
    (tmp_path / "archive").mkdir()
    shutil.copy(path, tmp_path / "archive")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "there")
    image = read_bones(tmp_path / "there" / "PATIENT_DICOM")
    _, files = export(tmp_path / "archive", {"tumors": image})
    assert_as_simpleitk_reads_it(tmp_path / "seg.dcm", files["tumors"], image)


@pytest.mark.skipif(not JPEG2000.is_dir(), reason="LIVER_DATA has no totalsegmentator")
def test_jpeg2000_series(tmp_path):
    """Over-anonymised, it is named; with identifiers, it is written."""
    image = read_bones(JPEG2000)
    shutil.copytree(JPEG2000, tmp_path / "archive")
    with pytest.raises(CaseError, match="lacks SOPClassUID and SOPInstanceUID and SeriesInstanceUID and StudyInst"):
        export(tmp_path / "archive", {"tumors": image})
    series, study = generate_uid(), generate_uid()
    for path in (tmp_path / "archive").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.SeriesInstanceUID, dataset.StudyInstanceUID = series, study
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
        dataset.save_as(path)
    _, files = export(tmp_path / "archive", {"tumors": image})
    assert_as_simpleitk_reads_it(tmp_path / "seg.dcm", files["tumors"], image)


def read_bones(folder):
    """Return what is bright in a series, on the series' grid as SimpleITK has it."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.Cast(reader.Execute() > 150, sitk.sitkUInt8)
