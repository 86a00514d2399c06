"""Real DICOM through the hospital layout: voxel-exact, and 3D-IRCADb's masks found where they lie."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from jobs import ingest
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.site_key import SiteKey
from pipeline.config import CouinaudConfig, GridConfig, PipelineConfig, SourceConfig
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows

DATA = Path(os.environ.get("LIVER_DATA", "/nowhere"))
JPEG2000 = DATA / "dicom" / "totalsegmentator"
GRID = GridConfig(height=160, width=160, spacing_mm=3.0)


def run_job(tmp_path, **source):
    config = PipelineConfig(
        run=str(tmp_path / "run"),
        source=SourceConfig(layout="dicom", id_key="none", couinaud_maps=str(tmp_path / "maps"), **source),
        grid=GRID,
        couinaud=CouinaudConfig(method="precomputed"),
    )
    code = ingest.main(config)
    return code, RunFolder(config.run)


@pytest.mark.skipif(not (DATA / "ircad_dicom").is_dir(), reason="LIVER_DATA has no ircad_dicom")
def test_3dircadb_from_its_zips(ray_cluster, tmp_path):
    """Five organs are mask series of no label; the sixth series is the CT, its liver and tumors are found."""
    with zipfile.ZipFile(DATA / "ircad_dicom" / "3Dircadb1.17" / "PATIENT_DICOM.zip") as archive:
        name = next(info for info in archive.namelist() if not info.endswith("/"))
        with archive.open(name) as stream:
            uid = pydicom.dcmread(stream, specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID
    (tmp_path / "maps").mkdir()
    shutil.copy(DATA / "ircadb" / "couinaudTr" / "ircadb_17.nii.gz", tmp_path / "maps" / f"{uid}.nii.gz")
    (tmp_path / "labels.csv").write_text(f"series,segments\n{uid},II;VIII\n")
    code, run = run_job(tmp_path, path=str(DATA / "ircad_dicom"), labels=str(tmp_path / "labels.csv"))
    (row,) = read_volume_rows(run)
    assert (code, row.native_shape, row.slice_count, row.has_reference) == (0, (119, 512, 512), 113, True)
    archive = run.read_json("reports", "ingest.json")["archive"]
    assert (archive["files"], archive["slices"]) == (714, 714)
    assert archive["skipped_series"] == {"NOT_LABELED": 5}


@pytest.mark.skipif(not JPEG2000.is_dir(), reason="LIVER_DATA has no totalsegmentator")
def test_47_jpeg2000_series_is_voxel_exact(tmp_path):
    """Over-anonymised, compressed, its liver one of many organs: as SimpleITK reads it."""
    from pipeline.archive.dicom.volume import read_volume

    folder = JPEG2000 / "example_ct_dicom"
    slices = [[path.name, 0] for path in sorted(folder.iterdir())]
    mask = ["file", str(JPEG2000 / "example_seg_dicom.nii.gz")]
    values, arrays = read_volume(str(folder), slices, mask, [], liver_value=5)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    theirs = sitk.ReadImage(names)
    np.testing.assert_array_equal(arrays["hu"], np.maximum(sitk.GetArrayFromImage(theirs), -1024))
    np.testing.assert_allclose(values["geometry"]["spacing_mm"][::-1], theirs.GetSpacing(), atol=1e-4)
    np.testing.assert_allclose(values["geometry"]["origin_mm"], theirs.GetOrigin(), atol=1e-4)
    assert int((arrays["labels"] == 1).sum()) == 366_708


@pytest.mark.skipif(not JPEG2000.is_dir(), reason="LIVER_DATA has no totalsegmentator")
def test_a_tree_of_public_samples(ray_cluster, tmp_path):
    """A series without UID goes by its folder; three slices with a segmentation are no volume."""
    folder = "totalsegmentator/example_ct_dicom"
    image = sitk.ReadImage(str(JPEG2000 / "example_seg_dicom.nii.gz"))
    liver = sitk.GetArrayFromImage(image) == 5
    segments = (liver * (1 + np.arange(liver.shape[2]) // 64 % 8)).astype(np.uint8)
    stripes = sitk.GetImageFromArray(segments)
    stripes.CopyInformation(image)
    (tmp_path / "maps").mkdir()
    name = SiteKey(b"").volume_id(hash_text(folder))
    sitk.WriteImage(stripes, str(tmp_path / "maps" / f"{name}.nii.gz"))
    short = pydicom.dcmread(DATA / "dicom" / "dcmqi" / "ct-3slice" / "01.dcm", specific_tags=["SeriesInstanceUID"])
    rows = [f"{folder},{segments.max()},totalsegmentator/example_seg_dicom.nii.gz", f"{short.SeriesInstanceUID},,"]
    (tmp_path / "labels.csv").write_text("series,segments,liver_mask\n" + "\n".join(rows) + "\n")
    labels = str(tmp_path / "labels.csv")
    code, run = run_job(tmp_path, path=str(DATA / "dicom"), labels=labels, liver_value=5)
    (row,) = read_volume_rows(run)
    report = run.read_json("reports", "ingest.json")
    assert (code, row.volume_id, row.native_shape) == (3, name, (20, 512, 512))
    assert report["quarantined"] == {"TOO_FEW_SLICES": 1}
    archive = report["archive"]
    assert archive["slices"] == 23
    assert archive["other_files"]["SEGMENTATION"] == 1
    assert archive["files"] == sum(path.is_file() for path in (DATA / "dicom").rglob("*"))
