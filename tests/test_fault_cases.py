"""Fault cases that every layout meets alike, each under its number: NIfTI files, and DICOM slices with a mask."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from pipeline.archive.cases import CaseSource
from pipeline.archive.catalog import read_case
from pipeline.archive.dicom.case import pack_json
from pipeline.archive.nifti import read_nifti
from pipeline.archive.sandbox import shared_sandbox
from pipeline.config import CouinaudConfig, GridConfig, PipelineConfig
from pipeline.couinaud import construct
from pipeline.errors import CaseError
from pipeline.pixel_labels import refine_pixel_labels
from pipeline.run_folder import RunFolder
from pipeline.slicing import plan_slices
from pipeline.stages.ingest import DecodeVolume, WriteSlab
from tests.archive_cases import SFORM_CODE, edit_header, make_hu, make_slices, save_slices, write_image
from tests.dicom_archive_cases import ORIGIN_MM, SPACING_MM, make_ct, make_liver, make_series, save, write_map
from tests.test_archive_dicom import read as read_dicom

GRID = GridConfig(height=48, width=48, spacing_mm=5.0, slab_length=8)
LAYOUTS = pytest.mark.parametrize("layout", ["msd", "dicom"])


def settings(run="unused") -> PipelineConfig:
    return PipelineConfig(run=str(run), grid=GRID, couinaud=CouinaudConfig(method="precomputed"))


def write_case(root: Path, layout: str, hu=None, mask=None, couinaud_map="", **mask_geometry) -> CaseSource:
    """Write the image as a NIfTI file or as slices, and its mask as a NIfTI file."""
    hu, mask = make_ct() if hu is None else hu, make_liver() if mask is None else mask
    path = root / "labelsTr" / "a.nii.gz"
    write_image(path, mask, **{"spacing": SPACING_MM, "origin": ORIGIN_MM, **mask_geometry})
    if layout == "msd":
        write_image(root / "image.nii.gz", hu, SPACING_MM, ORIGIN_MM)
        image, masks = str(root / "image.nii.gz"), str(path)
    else:
        names = sorted(file.name for file in save(make_series(hu), root / "slices").iterdir())
        image, masks = pack_json([str(root / "slices"), [[name, 0] for name in names]]), pack_json(["file", str(path)])
    return CaseSource("a", layout, "train", (4,), image, masks, str(couinaud_map))


def read(root: Path, layout: str, **parts):
    return read_case(write_case(root, layout, **parts), settings())


def test_14_a_single_slice_goes_through(tmp_path):
    """Its continuity index is 0, for it has no neighbor: its pseudo mask is removed."""
    labels = make_liver()[4:5]
    write_image(tmp_path / "map.nii.gz", labels * 5, (20.0, 5.0, 5.0), ORIGIN_MM)
    write_image(tmp_path / "image.nii.gz", make_ct()[4:5], (20.0, 5.0, 5.0), ORIGIN_MM)
    write_image(tmp_path / "mask.nii.gz", labels, (20.0, 5.0, 5.0), ORIGIN_MM)
    files = (str(tmp_path / name) for name in ("image.nii.gz", "mask.nii.gz", "map.nii.gz"))
    config = settings(tmp_path / "run")
    run = RunFolder(config.run)
    (row,) = DecodeVolume(run, config).process(CaseSource("a", "msd", "train", (5,), *files).to_row())
    (written,) = WriteSlab(run, GRID).process(row)
    assert (written["code"], written["slab"]) == ("", 0)
    refined = refine_pixel_labels(np.full((1, 4, 4), 255, np.uint8), np.zeros(1, np.int32), 0.5, 5.0)
    assert refined.continuity_index.tolist() == [0.0]
    assert not refined.refined_mask.any()


def test_14_a_single_slice_of_dicom_is_set_aside(tmp_path):
    with pytest.raises(CaseError, match="TOO_FEW_SLICES"):
        read(tmp_path, "dicom", hu=make_ct()[:1])


@pytest.mark.parametrize("signed", [True, False])
def test_41_pixels_have_the_sign_that_the_header_says(tmp_path, signed):
    """The JPEG 2000 codestream says the opposite."""
    hu = make_hu((4, 64, 64))
    stored = hu if signed else (hu + 1024).astype(np.uint16)
    slices = make_slices(stored.view(np.uint16 if signed else np.int16), rescale=(1, 0 if signed else -1024))
    for dataset in slices:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        dataset.PixelRepresentation = int(signed)
    save_slices(slices, tmp_path)
    np.testing.assert_array_equal(read_dicom(tmp_path)[0], hu)


@pytest.mark.parametrize(
    ("row", "code"), [((-0.5, 0.4, 0.0, 0.0), "NIFTI_UNREADABLE"), ((0.0, 0.0, 0.0, 0.0), "NIFTI_UNREADABLE")]
)
def test_55_an_affine_that_is_sheared_or_singular(tmp_path, row, code):
    write_image(tmp_path / "a.nii.gz", make_hu())
    edit_header(tmp_path / "a.nii.gz", 252, "2h", 0, 1)
    edit_header(tmp_path / "a.nii.gz", 280, "4f", *row)
    with pytest.raises(CaseError, match=code):
        read_nifti(tmp_path / "a.nii.gz", "the image", len)


def test_56_where_sform_and_qform_differ_the_sform_wins(tmp_path):
    write_image(tmp_path / "a.nii.gz", make_hu())
    edit_header(tmp_path / "a.nii.gz", 268, "3f", 1.0, 2.0, 3.0)
    edit_header(tmp_path / "a.nii.gz", SFORM_CODE, "h", 1)
    edit_header(tmp_path / "a.nii.gz", 280, "12f", *(-0.5, 0, 0, 40), *(0, -0.75, 0, -30), *(0, 0, 2.5, 100))
    np.testing.assert_allclose(read_nifti(tmp_path / "a.nii.gz", "the image", len)[1].origin_mm, (-40, 30, 100))


@LAYOUTS
def test_59_a_mask_whose_left_and_right_were_mixed_up(tmp_path, layout):
    """A mask of LPS voxels that was written as if they were RAS."""
    x, y, z = ORIGIN_MM
    with pytest.raises(CaseError, match=r"MASK_GEOMETRY_MISMATCH: the mask has origin_mm .* the image"):
        read(tmp_path, layout, direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1), origin=(-x, -y, z))


@LAYOUTS
@pytest.mark.parametrize(
    ("geometry", "rows", "code"),
    [
        ({}, slice(1, None), "MASK_SHAPE_MISMATCH"),
        ({"spacing": (5.0, 5.0, 5.01)}, slice(None), "MASK_GEOMETRY_MISMATCH"),
        ({"origin": (-119.9, -100.0, -700.0)}, slice(None), "MASK_GEOMETRY_MISMATCH"),
        ({"direction": (0.8, -0.6, 0, 0.6, 0.8, 0, 0, 0, 1)}, slice(None), "MASK_GEOMETRY_MISMATCH"),
    ],
)
def test_60_a_mask_on_another_grid(tmp_path, layout, geometry, rows, code):
    mask = np.zeros((12, 41, 48), np.uint8) if rows.start else make_liver()
    with pytest.raises(CaseError, match=code):
        read(tmp_path, layout, mask=mask, **geometry)


@LAYOUTS
@pytest.mark.parametrize(("scale", "dtype"), [(3, np.uint8), (0.9999, np.float32), (-1, np.int16)])
def test_61_a_mask_of_other_values(tmp_path, layout, scale, dtype):
    with pytest.raises(CaseError, match="MASK_VALUES"):
        read(tmp_path, layout, mask=make_liver().astype(dtype) * dtype(scale))


def test_61_a_mask_of_255_is_a_mask_beside_dicom(tmp_path):
    volume = read(tmp_path, "dicom", mask=make_liver() * np.uint8(255))
    np.testing.assert_array_equal(volume.liver_mask, make_liver() > 0)


@LAYOUTS
@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (np.zeros_like(make_liver()), "EMPTY_LIVER"),
        (np.arange(make_liver().size).reshape(make_liver().shape) == 9000, "LIVER_VOLUME"),
        (np.ones_like(make_liver()), "LIVER_WHOLE_IMAGE"),
    ],
)
def test_62_what_is_no_liver(tmp_path, layout, mask, code):
    volume = read(tmp_path, layout, mask=mask.astype(np.uint8))
    with pytest.raises(CaseError, match=code):
        plan_slices(volume, np.zeros_like(make_liver()), GRID)


@LAYOUTS
@pytest.mark.parametrize(("axis", "shift"), [(0, -2), (0, 2), (1, -8), (2, -8)])
def test_63_a_liver_that_the_image_cuts_is_noted(tmp_path, layout, axis, shift):
    hu, mask = (np.roll(array, shift, axis) for array in (make_ct(), make_liver()))
    assert set(read(tmp_path, layout, hu=hu, mask=mask).notes) - {"TUMOR_NOT_DRAWN"} == {"LIVER_CUT"}


@LAYOUTS
@pytest.mark.parametrize(("place", "notes"), [((5, 33, 40), ("TUMOR_OUTSIDE_LIVER",)), ((5, 12, 12), ())])
def test_64_a_tumor_that_touches_no_liver_is_noted(tmp_path, layout, place, notes):
    mask = make_liver()
    mask[place] = 2
    volume = read(tmp_path, layout, mask=mask)
    assert volume.notes == notes
    assert np.argwhere(volume.reference_mask).tolist() == [list(place)]


@LAYOUTS
def test_65_segments_that_are_missing_or_in_pieces_are_flagged(tmp_path, layout):
    """After a resection segments 6 to 8 are gone; segment 1 has a second piece."""
    path = write_map(tmp_path / "maps", "a")
    stripes = np.where(np.arange(48) < 20, 1 + np.arange(48) % 5, 5)
    write_image(path, (make_liver() * stripes).astype(np.uint8), SPACING_MM, ORIGIN_MM)
    made = construct(read(tmp_path, layout, couinaud_map=path), settings().couinaud)
    assert {f"FRACTION_SEGMENT_{segment}" for segment in (6, 7, 8)} <= set(made.flags)
    assert np.unique(made.labels).tolist() == [0, 1, 2, 3, 4, 5]


@LAYOUTS
def test_65_a_ninth_segment_sets_the_case_aside(tmp_path, layout):
    path = tmp_path / "map.nii.gz"
    write_image(path, make_liver() * np.uint8(9), SPACING_MM, ORIGIN_MM)
    with pytest.raises(CaseError, match="COUINAUD_LABEL"):
        read(tmp_path, layout, couinaud_map=path)


@pytest.fixture
def far_away(monkeypatch):
    """Another time zone, language and file mode, also for a new child process."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    time.tzset()
    mask = os.umask(0o077)
    shared_sandbox.cache_clear()
    yield
    os.umask(mask)
    monkeypatch.undo()
    time.tzset()
    shared_sandbox.cache_clear()


def write_tables(root: Path, layout: str) -> dict[str, bytes]:
    """Return the tables that a case becomes."""
    case = write_case(root, layout, couinaud_map=write_map(root / "maps", "a"))
    config = settings(root / "run")
    run = RunFolder(config.run)
    for row in DecodeVolume(run, config).process(case.to_row()):
        assert [written["code"] for written in WriteSlab(run, GRID).process(row)] == [""]
    return {str(file.relative_to(root)): file.read_bytes() for file in sorted((root / "run").rglob("*.parquet"))}


def test_86_time_zone_language_and_umask_change_nothing(tmp_path, request):
    here = write_tables(tmp_path / "here", "dicom")
    request.getfixturevalue("far_away")
    assert write_tables(tmp_path / "there", "dicom") == here
    assert len(here) == 2
