"""Masks as DICOM SEG: every voxel back on the image that it came from, whatever way the patient lay."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from pipeline.archive.dicom.export import export_masks
from pipeline.archive.dicom.seg import decode_liver
from pipeline.archive.dicom.seg_segments import ANATOMICAL, CONTENTS, LIVER, Content, Segment
from pipeline.archive.dicom.seg_writer import Mask, encode_seg
from pipeline.archive.dicom.sources import read_source
from pipeline.archive.dicom.tree import examine_series
from pipeline.archive.source_tree import SourceTree
from pipeline.errors import CaseError
from pipeline.phantom_archive.faults import FAULTS
from tests.archive_cases import zip_folder
from tests.dicom_archive_cases import make_liver, make_series, save
from tests.test_dicom_codecs import make_enhanced
from tests.test_dicom_faults import look
from tests.test_dicom_seg import make_seg, series_of

CREATED = "20260102030405"
DIRECTIONS = {
    "head first, on the back": (1, 0, 0, 0, 1, 0),
    "feet first": (-1, 0, 0, 0, 1, 0),
    "on the front": (-1, 0, 0, 0, -1, 0),
    "a little turned": (0.98, 0.199, 0, -0.199, 0.98, 0),
}


def make_mask(shape=(12, 40, 48), highest=1):
    """Chance: no flip, turn or shift of it is the same."""
    return np.random.default_rng(3).integers(0, highest + 1, shape, np.uint8)


def lay(slices, orientation):
    """Turn a series: its slices in the order of their normal, at a place and with a step of their own."""
    normal = np.cross(orientation[:3], orientation[3:])
    for k, dataset in enumerate(slices):
        dataset.ImageOrientationPatient, dataset.PixelSpacing = list(orientation), [0.75, 0.5]
        dataset.ImagePositionPatient = np.round(np.array([-40.0, 30, 700]) + 2.5 * k * normal, 6).tolist()
    return slices


def as_image(mask, slices):
    """Return a mask on the grid of slices, which `lay` laid or `make_series` made."""
    image = sitk.GetImageFromArray(mask)
    row, column = np.reshape(np.array(slices[0].ImageOrientationPatient, float), (2, 3))
    first, second = (np.array(item.ImagePositionPatient, float) for item in slices[:2])
    image.SetSpacing([*map(float, slices[0].PixelSpacing[::-1]), float(np.linalg.norm(second - first))])
    image.SetOrigin(first.tolist())
    image.SetDirection(np.stack([row, column, np.cross(row, column)], axis=1).ravel().tolist())
    return image


def export(archive: Path, images, repairs=(), created=CREATED):
    """Export masks, images by name, of the first volume of an archive; the images lie beside it."""
    files = [item for part in look(archive)[0] if not part["reason"] for item in part["files"]]
    volumes = examine_series(str(archive), files, repairs)[0]["volumes"]
    about = {}
    for name, image in images.items():
        path = str(archive.parent / f"{name}.nii.gz")
        sitk.WriteImage(image, path)
        about[name] = {"path": path, "created": created, "method": "planes"}
    values, arrays = export_masks(str(archive), volumes[0]["slices"], repairs, "ct-1", about)
    return values["empty"], {name: data.tobytes() for name, data in arrays.items()}


def read_frames(data):
    """Return each segment's frames by the image, and its frame, that they refer to, as pydicom reads them."""
    seg = pydicom.dcmread(io.BytesIO(data))
    shared = seg.SharedFunctionalGroupsSequence[0]
    found = {}
    for plane, group in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = (group if "SegmentIdentificationSequence" in group else shared).SegmentIdentificationSequence[0]
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        key = (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber", 1))
        found.setdefault(number.ReferencedSegmentNumber, {})[key] = plane
    return seg, found


def assert_on_slices(frames, mask, slices):
    assert len(frames) == len(slices)
    for plane, dataset in zip(mask, slices, strict=True):
        np.testing.assert_array_equal(frames[dataset.SOPInstanceUID, 1], plane)


def assert_as_simpleitk_reads_it(path, data, image):
    """Compare a segmentation of one segment with the mask on the grid of its CT."""
    path.write_bytes(data)
    theirs = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(theirs) > 0, sitk.GetArrayFromImage(image))
    for what in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(theirs, what)(), getattr(image, what)(), atol=1e-5)


@pytest.mark.parametrize("orientation", DIRECTIONS.values(), ids=DIRECTIONS)
def test_every_voxel_comes_back_where_it_was(tmp_path, orientation):
    """Read by pydicom through the references, by SimpleITK and by highdicom through the geometry."""
    slices, mask = lay(make_series(), orientation), make_mask()
    image = as_image(mask, slices)
    save(slices[::-1], tmp_path / "archive")
    _, files = export(tmp_path / "archive", {"tumors": image})
    _, frames = read_frames(files["tumors"])
    assert_on_slices(frames[1], mask, slices)
    assert_as_simpleitk_reads_it(tmp_path / "seg.dcm", files["tumors"], image)
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    source = highdicom.get_volume_from_series(slices)
    np.testing.assert_array_equal(volume.match_geometry(source).array[::-1], mask)


def test_couinaud_segments_have_their_codes_and_numbers(tmp_path):
    """A resected segment is left out: the others are numbered without a gap, and told by their codes."""
    slices, labels = make_series(), make_mask(highest=8)
    labels[labels == 3] = 0
    save(slices, tmp_path / "archive")
    _, files = export(tmp_path / "archive", {"couinaud": as_image(labels, slices)})
    seg, frames = read_frames(files["couinaud"])
    expected = [1, 2, 4, 5, 6, 7, 8]
    assert [item.SegmentNumber for item in seg.SegmentSequence] == list(frames) == list(range(1, 8))
    for number, (item, value) in enumerate(zip(seg.SegmentSequence, expected, strict=True), start=1):
        code = getattr(codes.cid7170, codes.cid7170.dir()[value - 1])
        assert code == highdicom.sr.CodedConcept.from_dataset(item.SegmentedPropertyTypeCodeSequence[0])
        assert item.SegmentLabel.startswith(f"Segment {value} ")
        assert item.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "liver-label-refinement"
        assert_on_slices(frames[number], labels == value, slices)
    assert len({tuple(item.RecommendedDisplayCIELabValue) for item in seg.SegmentSequence}) == 7


def test_the_tumors_are_a_neoplasm_of_the_liver(tmp_path):
    slices = make_series()
    save(slices, tmp_path / "archive")
    _, files = export(tmp_path / "archive", {"tumors": as_image(make_mask(), slices)})
    seg, _ = read_frames(files["tumors"])
    (item,) = seg.SegmentSequence
    (category,) = item.SegmentedPropertyCategoryCodeSequence
    assert category.CodeValue == codes.cid7150.MorphologicallyAbnormalStructure.value
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeValue == codes.cid7151.Neoplasm.value
    assert item.AnatomicRegionSequence[0].CodeValue == codes.SCT.Liver.value
    assert (seg.SegmentationType, seg.NumberOfFrames) == ("BINARY", len(slices))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber", "FrameOfReferenceUID"):
        assert seg[keyword] == slices[0][keyword]
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == [
        item.SOPInstanceUID for item in slices
    ]


def test_frames_that_end_inside_a_byte(tmp_path):
    shape = (5, 7, 9)
    slices, labels = make_series(np.zeros(shape, np.int16)), make_mask(shape, highest=8)
    save(slices, tmp_path / "archive")
    _, files = export(tmp_path / "archive", {"couinaud": as_image(labels, slices)})
    _, frames = read_frames(files["couinaud"])
    for value in range(1, 9):
        assert_on_slices(frames[value], labels == value, slices)


def test_a_mask_without_a_voxel_is_no_file(tmp_path):
    slices = make_series()
    save(slices, tmp_path / "archive")
    images = {"tumors": as_image(make_mask() * 0, slices), "couinaud": as_image(make_mask(), slices)}
    empty, files = export(tmp_path / "archive", images)
    assert (empty, list(files)) == (["tumors"], ["couinaud"])


def test_the_same_export_gives_the_same_bytes(tmp_path):
    """Another day changes dates alone, another mask the instance."""
    slices, mask = make_series(), make_mask()
    save(slices, tmp_path / "archive")
    first, again = (export(tmp_path / "archive", {"tumors": as_image(mask, slices)})[1] for _ in range(2))
    assert first == again
    later = export(tmp_path / "archive", {"tumors": as_image(mask, slices)}, created="20270102030405")[1]
    other = export(tmp_path / "archive", {"tumors": as_image(1 - mask, slices)})[1]
    uids = [pydicom.dcmread(io.BytesIO(item["tumors"])).SOPInstanceUID for item in (first, later, other)]
    assert uids[0] == uids[1] != uids[2]
    assert first != later


def test_a_liver_is_read_back_by_our_own_reader(tmp_path):
    slices, liver = make_series(), make_liver()
    save(slices, tmp_path)
    series = series_of(slices)
    source = read_source(SourceTree(str(tmp_path)), _named(series), "the image")
    content = Content("LIVER", "Liver", 1, (Segment(1, "Organ", ANATOMICAL, LIVER, (200, 100, 50)),))
    data = encode_seg(Mask("ct-1", liver, content, CREATED), source)
    np.testing.assert_array_equal(decode_liver(data, series, "the mask"), liver)


def _named(series):
    members = (replace(item.member, name=f"IM{index:04d}.dcm") for index, item in enumerate(series.slices))
    return replace(
        series, slices=tuple(replace(item, member=member) for item, member in zip(series.slices, members, strict=True))
    )


@pytest.mark.parametrize(
    "name",
    [
        "02_DUP_SLICE",
        "05_SPACING_NOISE",
        "08_UNNAMED_LOCALIZER",
        "12_TWO_PHASES_BY_TIME",
        "34_BIG_ENDIAN",
        "34_IMPLICIT_WITHOUT_PREAMBLE",
        "45_PATH_TRAVERSAL",
        "46_CHARSETS",
        "47_NO_SERIES_UID",
        "47_OVER_ANONYMIZED",
    ],
)
def test_every_series_that_is_read_is_written_or_named(tmp_path, name):
    """Other transfer syntaxes, names, phases, character sets, missing identifiers."""
    slices, mask = make_series(), make_mask()
    FAULTS[name].write(slices, tmp_path / "archive")
    image = as_image(mask, make_series())
    if name.startswith("47"):
        with pytest.raises(CaseError, match=r"REFERENCE_INVALID: the image lacks .*StudyInstanceUID"):
            export(tmp_path / "archive", {"tumors": image})
        return
    _, files = export(tmp_path / "archive", {"tumors": image})
    _, frames = read_frames(files["tumors"])
    assert_on_slices(frames[1], mask, slices)


def test_slices_in_a_zip(tmp_path):
    slices, mask = make_series(), make_mask()
    zip_folder(save(slices, tmp_path / "archive" / "study"))
    _, files = export(tmp_path / "archive", {"tumors": as_image(mask, slices)})
    assert_on_slices(read_frames(files["tumors"])[1][1], mask, slices)


@pytest.mark.parametrize("phases", [1, 2])
def test_28_frames_of_an_enhanced_object(tmp_path, phases):
    """One file whose last frame comes first; of two phases the first is the volume."""
    dataset = make_enhanced(phases)
    dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = generate_uid(), generate_uid()
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    save([dataset], tmp_path / "archive")
    count = dataset.NumberOfFrames // phases
    mask = make_mask((count, dataset.Rows, dataset.Columns))
    slices = []
    for group in dataset.PerFrameFunctionalGroupsSequence[count - 1 :: -1]:
        slices.append(Dataset())
        slices[-1].ImagePositionPatient = group.PlanePositionSequence[0].ImagePositionPatient
        slices[-1].ImageOrientationPatient, slices[-1].PixelSpacing = [1, 0, 0, 0, 1, 0], [0.75, 0.5]
    _, files = export(tmp_path / "archive", {"tumors": as_image(mask, slices)})
    _, frames = read_frames(files["tumors"])
    for k, plane in enumerate(mask):
        np.testing.assert_array_equal(frames[1][dataset.SOPInstanceUID, count - k], plane)


def test_a_series_without_a_frame_of_reference_gets_one(tmp_path):
    """The same for both files; readers such as highdicom refuse a segmentation that has none."""
    slices = make_series(FrameOfReferenceUID="")
    save(slices, tmp_path / "archive")
    _, files = export(tmp_path / "archive", {name: as_image(make_mask(), slices) for name in CONTENTS})
    frames = {pydicom.dcmread(io.BytesIO(data)).FrameOfReferenceUID for data in files.values()}
    assert len(frames) == 1
    assert frames.pop().startswith("2.25.")


def test_slices_that_share_an_instance_uid_are_named(tmp_path):
    slices = make_series()
    slices[3].SOPInstanceUID = slices[4].SOPInstanceUID
    save(slices, tmp_path / "archive")
    with pytest.raises(CaseError, match="REFERENCE_INVALID: the image has 11 instance UIDs for 12 files"):
        export(tmp_path / "archive", {"tumors": as_image(make_mask(), slices)})


def test_a_volume_that_was_repaired_is_named(tmp_path):
    FAULTS["07_SHEARED"].write(make_series(), tmp_path / "archive")
    image = as_image(make_mask(), make_series())
    with pytest.raises(CaseError, match="REPAIRED_GANTRY_TILT"):
        export(tmp_path / "archive", {"tumors": image}, ["GANTRY_TILT"])


def test_what_came_back_is_not_taken_for_the_liver(tmp_path):
    """The next export of the PACS holds our files, too: they refer to the series, but show no liver."""
    slices = make_series()
    save(slices, tmp_path / "archive")
    images = {name: as_image(make_mask(), slices) for name in CONTENTS}
    _, files = export(tmp_path / "archive", images)
    for name, data in files.items():
        (tmp_path / "archive" / f"{name}.dcm").write_bytes(data)
    save([make_seg(slices, [make_liver()])], tmp_path / "archive", "liver{}.dcm")
    parts = [part for part in look(tmp_path / "archive")[0] if part["reason"] == "SEGMENTATION"]
    assert sorted(bool(part["references"]) for part in parts) == [False, False, True]


def test_a_mask_of_another_grid_is_refused(tmp_path):
    slices = make_series()
    save(slices, tmp_path / "archive")
    image = as_image(make_mask(), slices)
    image.SetOrigin((0, 0, 0))
    with pytest.raises(CaseError, match="MASK_GEOMETRY_MISMATCH"):
        export(tmp_path / "archive", {"tumors": image})


def test_what_the_archive_says_of_the_patient_is_taken_over_valid_or_not(tmp_path):
    slices = make_series(PatientSex="W", PatientBirthDate="1943", StudyTime="morning", PatientAge="old")
    for dataset in slices:
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "M\xfcller^J\xf6rg"
    save(slices, tmp_path / "archive")
    _, files = export(tmp_path / "archive", {"tumors": as_image(make_mask(), slices)})
    seg, frames = read_frames(files["tumors"])
    assert (seg.PatientSex, seg.PatientBirthDate, seg.StudyTime, seg.PatientAge) == ("W", "1943", "morning", "old")
    assert seg.PatientName == "M\xfcller^J\xf6rg"
    assert_on_slices(frames[1], make_mask(), slices)
