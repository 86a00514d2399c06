"""DICOM series: a good one, and each way of not being a volume by its code."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from pydicom.uid import RLELossless, generate_uid

from pipeline.archive.dicom.series import decode_hu, decode_mask, read_series
from pipeline.archive.members import open_members
from pipeline.errors import CaseError
from tests.archive_cases import ORIGIN_MM, SHAPE, SPACING_MM, make_hu, make_labels, make_slices, save_slices


def read(folder, decode=decode_hu):
    with open_members(folder, "the image") as members:
        return decode(read_series(members, "the image", lambda data: None), "the image")


def assert_rejected(slices, folder, code, *quotes, decode=decode_hu):
    save_slices(slices, folder)
    with pytest.raises(CaseError) as caught:
        read(folder, decode)
    assert caught.value.code == code
    assert all(quote in caught.value.message for quote in quotes), caught.value.message
    assert "canary" not in caught.value.message.lower()


def test_a_good_series_is_read(tmp_path):
    save_slices(make_slices(make_hu()), tmp_path)
    hu, geometry = read(tmp_path)
    np.testing.assert_array_equal(hu, make_hu())
    assert hu.dtype == np.int16
    assert geometry.shape == SHAPE
    np.testing.assert_allclose(geometry.spacing_mm, SPACING_MM)
    np.testing.assert_allclose(geometry.origin_mm, ORIGIN_MM)


def test_positions_order_the_slices_not_names_or_numbers(tmp_path):
    slices = make_slices(make_hu())
    for dataset in slices:
        dataset.InstanceNumber = 1
    save_slices([slices[k] for k in (3, 0, 5, 1, 4, 2)], tmp_path)
    np.testing.assert_array_equal(read(tmp_path)[0], make_hu())


def test_prone_slices_are_turned(tmp_path):
    """Rows run to the right and columns to the front: the stack, too, must come out in LPS."""
    slices = make_slices(make_hu()[:, ::-1, ::-1].copy())
    for dataset in slices:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x + (SHAPE[2] - 1) * SPACING_MM[2], y + (SHAPE[1] - 1) * SPACING_MM[1], z]
        dataset.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    save_slices(slices, tmp_path)
    hu, geometry = read(tmp_path)
    np.testing.assert_array_equal(hu, make_hu())
    np.testing.assert_allclose(geometry.origin_mm, ORIGIN_MM)


def test_each_slice_has_its_own_rescale(tmp_path):
    slices = make_slices(make_hu())
    for k, dataset in enumerate(slices):
        dataset.RescaleSlope, dataset.RescaleIntercept = k + 1, -k
    save_slices(slices, tmp_path)
    k = np.arange(SHAPE[0])[:, None, None]
    np.testing.assert_array_equal(read(tmp_path)[0], make_hu() * (k + 1) - k)


def test_unsigned_pixels_with_an_intercept(tmp_path):
    save_slices(make_slices((make_hu() + 1024).astype(np.uint16), rescale=(1, -1024)), tmp_path)
    np.testing.assert_array_equal(read(tmp_path)[0], make_hu())


def test_compressed_pixels(tmp_path):
    slices = make_slices(make_hu())
    for dataset in slices:
        dataset.compress(RLELossless, generate_instance_uid=False)
    save_slices(slices, tmp_path)
    np.testing.assert_array_equal(read(tmp_path)[0], make_hu())


def test_exact_copies_count_once_and_junk_is_skipped(tmp_path):
    save_slices(make_slices(make_hu()), tmp_path)
    (tmp_path / "copy_of_3").write_bytes((tmp_path / "image_3").read_bytes())
    for junk in ("._image_0", "Thumbs.db", "DICOMDIR"):
        (tmp_path / junk).write_bytes(b"junk")
    np.testing.assert_array_equal(read(tmp_path)[0], make_hu())


def test_bytes_are_recorded_in_order_of_names(tmp_path):
    save_slices(make_slices(make_hu()), tmp_path)
    content = hashlib.sha256()
    with open_members(tmp_path, "the image") as members:
        read_series(members, "the image", content.update)
    expected = hashlib.sha256(b"".join((tmp_path / f"image_{k}").read_bytes() for k in range(SHAPE[0])))
    assert content.hexdigest() == expected.hexdigest()


def test_steps_may_differ_a_little(tmp_path):
    slices = make_slices(make_hu())
    slices[2].ImagePositionPatient = [*ORIGIN_MM[:2], ORIGIN_MM[2] + 2 * SPACING_MM[0] + 0.02]
    save_slices(slices, tmp_path)
    assert read(tmp_path)[1].spacing_mm[0] == pytest.approx(SPACING_MM[0])


def drop_slice(slices):
    del slices[2]


def shift_slice(slices):
    slices[2].ImagePositionPatient = [*ORIGIN_MM[:2], ORIGIN_MM[2] + 2 * SPACING_MM[0] + 0.05]


def repeat_position(slices):
    slices[2].ImagePositionPatient = slices[3].ImagePositionPatient


def keep_three(slices):
    del slices[3:]


def put_all_at_one_place(slices):
    for dataset in slices:
        dataset.ImagePositionPatient = slices[0].ImagePositionPatient


def drift(slices):
    for k, dataset in enumerate(slices):
        dataset.ImagePositionPatient[1] += 0.3 * k


def tilt(slices):
    for dataset in slices:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0.96, -0.28]


def tilt_one(slices):
    slices[4].ImageOrientationPatient = [1, 0, 0, 0, 0.96, -0.28]


def crop_one(slices):
    slices[4].Rows, slices[4].PixelData = 10, slices[4].PixelData[: 10 * 16 * 2]


def zoom_one(slices):
    slices[4].PixelSpacing = [0.8, 0.5]


def change(keyword, value, index=4):
    def apply(slices):
        setattr(slices[index], keyword, value)

    return apply


def drop(keyword, index=4):
    def apply(slices):
        delattr(slices[index], keyword)

    return apply


BREAKS = [
    ("SLICE_INCREMENT_INCONSISTENT", drop_slice, ["from 2.500 to 5.000 mm", "2.500 +- 0.025"]),
    ("SLICE_INCREMENT_INCONSISTENT", shift_slice, ["from 2.450 to 2.550 mm"]),
    ("DUPLICATE_POSITION", repeat_position, ["1 of 6 slices"]),
    ("TOO_FEW_SLICES", keep_three, ["3 slices", "at least 4"]),
    ("NOT_A_VOLUME", put_all_at_one_place, ["all 6 slices"]),
    ("GANTRY_TILT", drift, ["1.500 mm", "0.01"]),
    ("GANTRY_TILT", tilt, []),
    ("IMAGE_ORIENTATION_INCONSISTENT", tilt_one, ["0.96", "1.0"]),
    ("MATRIX_INCONSISTENT", crop_one, ["(10, 16) and (12, 16)"]),
    ("PIXEL_SPACING_INCONSISTENT", zoom_one, ["0.75", "0.8"]),
    ("MULTIPLE_SERIES", change("SeriesInstanceUID", generate_uid()), ["2 different ones among 6"]),
    ("MIXED_PATIENTS", change("PatientID", "canary-18"), ["2 different ones among 6"]),
    ("FRAME_OF_REFERENCE_INCONSISTENT", change("FrameOfReferenceUID", generate_uid()), ["2 different ones"]),
    ("POSITION_MISSING", drop("ImagePositionPatient"), ["0 usable numbers, expected 3"]),
    ("POSITION_MISSING", change("ImagePositionPatient", None), ["expected 3"]),
    ("ORIENTATION_INVALID", drop("ImageOrientationPatient"), ["expected 6"]),
    ("ORIENTATION_INVALID", change("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), ["perpendicular"]),
    ("PIXEL_SPACING_INVALID", drop("PixelSpacing"), ["expected 2"]),
    ("PIXEL_SPACING_INVALID", change("PixelSpacing", [0, 0]), ["(0.0, 0.0)"]),
    ("RESCALE_MISSING", lambda slices: [drop(name)(slices) for name in ("RescaleSlope", "RescaleIntercept")], []),
    ("RESCALE_INVALID", drop("RescaleSlope"), ["RescaleSlope holds 0"]),
    ("HU_RANGE", change("RescaleSlope", 1e30), ["-32768..32767"]),
    ("PIXELDATA_SHORT", change("PixelData", bytes(200)), ["200 bytes", "384"]),
    ("PIXELDATA_UNREADABLE", drop("PixelData"), []),
    ("NOT_CT", change("Modality", "MR"), ["expected CT"]),
    ("NOT_GRAYSCALE", change("PhotometricInterpretation", "RGB"), ["MONOCHROME2"]),
    ("NOT_GRAYSCALE", change("SamplesPerPixel", 3), ["3 samples"]),
    ("MULTIFRAME", change("NumberOfFrames", 100_000), ["100000 frames"]),
    ("MATRIX_SIZE", change("Rows", 65535), ["65535 x 16", "1..4096"]),
    ("MATRIX_SIZE", drop("Columns"), ["12 x 0"]),
]


@pytest.mark.parametrize(("code", "apply", "quotes"), BREAKS, ids=[f"{b[0]}-{k}" for k, b in enumerate(BREAKS)])
def test_a_broken_series_is_named(tmp_path, code, apply, quotes):
    slices = make_slices(make_hu())
    apply(slices)
    assert_rejected(slices, tmp_path, code, *quotes)


@pytest.mark.parametrize("data", [b"", b"not DICOM" * 100])
def test_a_file_that_is_not_dicom(tmp_path, data):
    (tmp_path / "image_99").write_bytes(data)
    assert_rejected(make_slices(make_hu()), tmp_path, "DICOM_UNREADABLE", f"{len(data)} bytes")


@pytest.mark.parametrize(
    ("keep", "codes"),
    [(-100, "PIXELDATA_SHORT|PIXELDATA_UNREADABLE"), (300, "[A-Z_]+"), (150, "DICOM_UNREADABLE|NOT_CT")],
)
def test_a_truncated_file(tmp_path, keep, codes):
    save_slices(make_slices(make_hu()), tmp_path)
    path = tmp_path / "image_2"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CaseError, match=f"^({codes}): the image: "):
        read(tmp_path)


def test_values_that_are_no_numbers_and_texts_are_not_shown(tmp_path, capfd):
    """A decimal comma and a patient id that breaks its own rules: an error, and silence about both."""
    slices = make_slices(make_hu())
    save_slices(slices, tmp_path)
    path = tmp_path / "image_2"
    data = path.read_bytes().replace(b"canary-17 ", b"canary\\\x01\xff ").replace(b"2.5 ", b"2,5 ")
    data = data.replace(b"0.75\\0.5", b"0,75\\0.5")
    path.write_bytes(data)
    with pytest.raises(CaseError, match="PIXEL_SPACING_INVALID"):
        read(tmp_path)
    assert "canary" not in "".join(capfd.readouterr())


def test_a_mask_is_zero_and_one_value(tmp_path):
    mask = make_labels() == 1
    save_slices(make_slices(mask.astype(np.uint8) * 255, rescale=None), tmp_path)
    array, geometry = read(tmp_path, decode_mask)
    np.testing.assert_array_equal(array, mask)
    assert array.dtype == bool
    assert geometry.shape == SHAPE


def test_an_empty_mask_is_a_mask(tmp_path):
    save_slices(make_slices(np.zeros(SHAPE, np.uint8)), tmp_path)
    assert not read(tmp_path, decode_mask)[0].any()


def test_a_mask_of_several_values_is_rejected(tmp_path):
    slices = make_slices(make_labels())
    assert_rejected(slices, tmp_path, "MASK_VALUES", "from 1 to 2", "0 and one other value", decode=decode_mask)


def test_any_byte_gives_a_volume_or_a_named_error(tmp_path):
    save_slices(make_slices(make_hu()), tmp_path)
    path = tmp_path / "image_2"
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(150):
        broken = bytearray(good)
        broken[rng.integers(128, len(good) - 384)] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            assert read(tmp_path)[0].shape == SHAPE
        except CaseError as error:
            errors.append(error)
    assert len({error.code for error in errors}) > 3
    assert "canary" not in str(errors).lower()
