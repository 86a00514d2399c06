"""NIfTI files: good ones in every orientation, and each way of being broken by its code."""

from __future__ import annotations

import gzip
import hashlib
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from pipeline.archive.nifti import MAXIMUM_BYTES, read_nifti
from pipeline.errors import CaseError
from tests.archive_cases import (
    DATATYPE,
    ORIGIN_MM,
    QFORM_CODE,
    SHAPE,
    SPACING_MM,
    VOX_OFFSET,
    edit_header,
    make_hu,
    write_flipped,
    write_image,
)

FILE_BYTES = 352 + 2 * 6 * 12 * 16


@pytest.fixture
def path(tmp_path):
    """A good image."""
    write_image(tmp_path / "case.nii.gz", make_hu())
    return tmp_path / "case.nii.gz"


def read(path, byte_cap=MAXIMUM_BYTES):
    return read_nifti(path, "the image", lambda data: None, byte_cap)


def assert_rejected(path, code, *quotes, **options):
    with pytest.raises(CaseError) as caught:
        read(path, **options)
    assert caught.value.code == code
    assert caught.value.message.startswith("the image")
    assert all(quote in caught.value.message for quote in quotes), caught.value.message
    assert path.name not in caught.value.message


def test_a_good_image_is_read(path):
    content = hashlib.sha256()
    array, geometry = read_nifti(path, "the image", content.update)
    np.testing.assert_array_equal(array, make_hu())
    assert geometry.shape == SHAPE
    np.testing.assert_allclose(geometry.spacing_mm, SPACING_MM)
    np.testing.assert_allclose(geometry.origin_mm, ORIGIN_MM)
    assert content.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("axes", [(), (0,), (1,), (2,), (1, 2), (0, 1), (0, 1, 2)])
def test_orientation_of_the_file_does_not_matter(tmp_path, axes):
    write_flipped(tmp_path / "a.nii.gz", make_hu(), axes)
    array, geometry = read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(array, make_hu())
    np.testing.assert_allclose(geometry.origin_mm, ORIGIN_MM, atol=1e-4)
    assert np.array(geometry.direction).reshape(3, 3).diagonal().tolist() == [1, 1, 1]


def test_permuted_axes_are_put_back(tmp_path):
    """A sagittal file: its first axis runs along y, its second along z, its third along x."""
    direction = (0, 0, 1, 1, 0, 0, 0, 1, 0)
    write_image(tmp_path / "a.nii.gz", make_hu().transpose(2, 0, 1).copy(), (0.5, 2.5, 0.75), direction=direction)
    array, geometry = read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(array, make_hu())
    np.testing.assert_allclose(geometry.spacing_mm, SPACING_MM)


@pytest.mark.parametrize("keep", [0, 5, 200, -9, -1])
def test_49_truncated(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    assert_rejected(path, "NIFTI_TRUNCATED")


def test_49_a_shorter_image_than_its_header_says(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-10]))
    assert_rejected(path, "NIFTI_TRUNCATED", str(FILE_BYTES - 10), str(FILE_BYTES))


def test_a_longer_image_than_its_header_says(path):
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\0"))
    assert_rejected(path, "NIFTI_CORRUPT", str(FILE_BYTES))


def test_50_no_flipped_bit_goes_unnoticed(path):
    good = path.read_bytes()
    for position in np.random.default_rng(0).integers(10, len(good), 40):
        broken = bytearray(good)
        broken[position] ^= 1 << int(position % 8)
        path.write_bytes(broken)
        with pytest.raises(CaseError, match=r"NIFTI_(CORRUPT|TRUNCATED|TOO_LARGE|DIMENSIONS|DATATYPE)"):
            read(path)


@pytest.mark.parametrize("data", [b"not gzip at all" * 100, struct.pack("<i", 348) + bytes(4000)])
def test_not_gzip(path, data):
    path.write_bytes(data)
    assert_rejected(path, "NIFTI_CORRUPT")


def test_gzip_of_something_else(path):
    path.write_bytes(gzip.compress(b"x" * 4000))
    assert_rejected(path, "NIFTI_CORRUPT", "expected 348")


def test_garbage_after_the_stream(path):
    path.write_bytes(path.read_bytes() + b"garbage")
    assert_rejected(path, "NIFTI_CORRUPT")


def test_several_members_and_padding_are_one_stream(path):
    data = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]) + bytes(64))
    np.testing.assert_array_equal(read(path)[0], make_hu())


def test_51_header_that_asks_for_too_much(path):
    assert_rejected(path, "NIFTI_TOO_LARGE", str(FILE_BYTES), "1000", byte_cap=1000)
    edit_header(path, 40, "4h", 3, 32767, 32767, 32767)
    assert_rejected(path, "NIFTI_TOO_LARGE", str(MAXIMUM_BYTES))


def test_51_a_bomb_is_not_inflated(path, monkeypatch):
    """64 MiB of zeros behind a small image: reading stops at the first byte too many."""
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(2**26)))
    seen = []
    monkeypatch.setattr("pipeline.archive.nifti._CHUNK_BYTES", 4096)
    with pytest.raises(CaseError, match="NIFTI_CORRUPT"):
        read_nifti(path, "the image", lambda data: seen.append(len(data)))
    assert sum(seen) < path.stat().st_size / 2


def test_53_four_axes(tmp_path):
    frames = [sitk.GetImageFromArray(make_hu())] * 2
    sitk.WriteImage(sitk.JoinSeries(frames), str(tmp_path / "a.nii.gz"))
    assert_rejected(tmp_path / "a.nii.gz", "NIFTI_DIMENSIONS", "(16, 12, 6, 2)", "three axes")


@pytest.mark.parametrize("rank", [4, 5])
def test_53_axes_of_length_one_are_dropped(path, rank):
    edit_header(path, 40, "8h", rank, 16, 12, 6, 1, 1, 1, 1)
    np.testing.assert_array_equal(read(path)[0], make_hu())


def test_53_two_axes(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(make_hu()[0]), str(tmp_path / "a.nii.gz"))
    assert_rejected(tmp_path / "a.nii.gz", "NIFTI_DIMENSIONS", "(16, 12)")


@pytest.mark.parametrize(("datatype", "bits"), [(128, 24), (32, 64), (1, 1), (4, 32)])
def test_53_data_types_that_are_no_ct(path, datatype, bits):
    edit_header(path, DATATYPE, "2h", datatype, bits)
    assert_rejected(path, "NIFTI_DATATYPE", f"data type {datatype} of {bits} bits")


@pytest.mark.parametrize(("offset", "code"), [
    (1e9, "NIFTI_TRUNCATED"), (1e12, "NIFTI_CORRUPT"), (0.0, "NIFTI_CORRUPT"), (float("nan"), "NIFTI_CORRUPT"),
    (400.0, "NIFTI_TRUNCATED"),
])  # fmt: skip
def test_52_data_offset_that_lies(path, offset, code):
    edit_header(path, VOX_OFFSET, "f", offset)
    assert_rejected(path, code)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_54_not_finite(tmp_path, monkeypatch, value, dtype):
    """SimpleITK would read zeros; blocks of odd length cut voxels."""
    monkeypatch.setattr("pipeline.archive.nifti._CHUNK_BYTES", 357)
    hu = make_hu().astype(dtype)
    hu[2, 3, 4:6] = value
    write_image(tmp_path / "a.nii.gz", hu)
    assert_rejected(tmp_path / "a.nii.gz", "NIFTI_NOT_FINITE", f"2 of {hu.size} voxels")


def test_57_no_orientation(path):
    edit_header(path, QFORM_CODE, "2h", 0, 0)
    assert_rejected(path, "ORIENTATION_UNKNOWN", "sform_code 0 and qform_code 0")


@pytest.mark.parametrize("codes", [(1, 0), (0, 1)])
def test_one_orientation_is_enough(path, codes):
    edit_header(path, QFORM_CODE, "2h", *codes)
    np.testing.assert_array_equal(read(path)[0], make_hu())


def test_55_sheared_affine(path):
    edit_header(path, QFORM_CODE, "2h", 0, 1)
    edit_header(path, 280, "4f", -0.5, 0.4, 0.0, 0.0)
    assert_rejected(path, "NIFTI_UNREADABLE", "sheared")


def test_58_micrometers_for_millimeters(path):
    edit_header(path, 123, "B", 3)
    assert_rejected(path, "SPACING_RANGE", "0.01..100")


def test_a_file_that_is_gone(path):
    path.unlink()
    assert_rejected(path, "FILE_UNREADABLE", "ENOENT")


def test_big_endian(path):
    data = gzip.decompress(path.read_bytes())
    pairs = {0: "i", 40: "8h", 70: "2h", 76: "8f", 108: "3f", 252: "2h", 256: "6f", 280: "12f"}
    head = bytearray(data[:352])
    for offset, code in pairs.items():
        struct.pack_into(">" + code, head, offset, *struct.unpack_from("<" + code, data, offset))
    path.write_bytes(gzip.compress(bytes(head) + make_hu().astype(">i2").tobytes()))
    array, geometry = read(path)
    np.testing.assert_array_equal(array, make_hu())
    np.testing.assert_allclose(geometry.origin_mm, ORIGIN_MM)


def test_any_header_gives_a_volume_or_a_named_error(path):
    good = gzip.decompress(path.read_bytes())
    rng = np.random.default_rng(0)
    codes = set()
    for _ in range(150):
        broken = bytearray(good)
        broken[rng.integers(0, 352)] = rng.integers(0, 256)
        path.write_bytes(gzip.compress(bytes(broken), 1))
        try:
            assert read(path, 2**26)[0].size > 0
        except CaseError as error:
            codes.add(error.code)
    assert len(codes) > 3
