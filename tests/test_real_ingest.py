"""Real CT in two layouts: the DICOM of a patient and its cropped NIfTI give the same liver slices."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from jobs import ingest
from pipeline.config import GridConfig, PipelineConfig, SourceConfig
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slices, read_volume_rows

DATA = Path(os.environ.get("LIVER_DATA", "/nowhere"))
GRID = GridConfig(height=160, width=160, spacing_mm=2.0)


def ingest_one(run, **source):
    """Ingest a source of one case; return its row and its slices."""
    config = PipelineConfig(run=str(run), grid=GRID, source=SourceConfig(**source))
    assert ingest.main(config) == 0
    (row,) = read_volume_rows(RunFolder(config.run))
    return row, read_slices(RunFolder(config.run), "slices", row, GRID.slab_length, 0, 1000)


@pytest.mark.skipif(not (DATA / "ircad_dicom").is_dir(), reason="LIVER_DATA has no ircad_dicom")
def test_dicom_and_cropped_nifti_give_the_same_slices(ray_cluster, tmp_path):
    nifti, maps = tmp_path / "nifti", tmp_path / "maps"
    for part in ("imagesTr", "labelsTr", "couinaudTr"):
        (nifti / part).mkdir(parents=True)
        shutil.copy(DATA / "ircadb" / part / "ircadb_17.nii.gz", nifti / part)
    maps.mkdir()
    shutil.copy(DATA / "ircadb" / "couinaudTr" / "ircadb_17.nii.gz", maps / "ircad_17.nii.gz")
    (nifti / "volume_labels.csv").write_text("volume_id,split,segments\nircadb_17,train,2;8\n")
    (tmp_path / "labels.csv").write_text("volume_id,split,segments\n3Dircadb1.17,train,II;VIII\n")

    _, cropped = ingest_one(tmp_path / "run_nifti", path=str(nifti), layout="msd")
    row, whole = ingest_one(
        tmp_path / "run_dicom",
        path=str(DATA / "ircad_dicom"),
        layout="ircad",
        labels=str(tmp_path / "labels.csv"),
        couinaud_maps=str(maps),
    )
    assert (row.volume_id, row.slice_count, row.native_shape) == ("ircad_17", 113, (119, 512, 512))
    np.testing.assert_array_equal(whole["image_label"], cropped["image_label"])
    np.testing.assert_array_equal(whole["couinaud_map"], cropped["couinaud_map"])
    np.testing.assert_array_equal(whole["image"], cropped["image"])
