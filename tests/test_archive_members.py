"""Folders and zips seen alike, and zips that nobody should open."""

from __future__ import annotations

import stat
import zipfile

import pytest

from pipeline.archive.members import open_members
from pipeline.errors import CaseError
from tests.archive_cases import zip_folder


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def assert_rejected(path, code, *quotes, **options):
    with pytest.raises(CaseError) as caught, open_members(path, "the masks", **options) as members:
        [member.read() for member in members]
    assert caught.value.code == code
    assert all(quote in caught.value.message for quote in ("the masks", *quotes))


def contents(path):
    with open_members(path, "the masks") as members:
        return [(member.folder, member.read()) for member in members]


def test_a_zip_reads_as_its_folder(tmp_path):
    folder = tmp_path / "MASKS_DICOM"
    for organ in ("liver", "artery"):
        (folder / organ).mkdir(parents=True)
        for k in range(3):
            (folder / organ / f"image_{k}").write_bytes(f"{organ} {k}".encode())
    (folder / "liver" / ".DS_Store").write_bytes(b"junk")
    from_folder = contents(folder)
    assert from_folder == [(organ, f"{organ} {k}".encode()) for organ in ("artery", "liver") for k in range(3)]
    assert contents(zip_folder(folder)) == from_folder


@pytest.mark.parametrize("name", ["../evil", "liver/../../evil", "/etc/evil", "..\\evil", "C:/evil"])
def test_48_members_outside_of_the_zip(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", [("liver/image_0", b"fine"), (name, b"evil")])
    assert_rejected(path, "ZIP_UNSAFE_NAME")


def test_48_symbolic_link(tmp_path):
    link = zipfile.ZipInfo("liver/image_0")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert_rejected(write_zip(tmp_path / "a.zip", [(link, b"/etc/passwd")]), "ZIP_SYMLINK")


def test_48_too_large_by_its_own_table(tmp_path):
    path = write_zip(tmp_path / "a.zip", [(f"liver/image_{k}", bytes(1000)) for k in range(3)])
    assert_rejected(path, "ZIP_TOO_LARGE", "3000", "2999", byte_cap=2999)


def test_48_a_table_that_lies_about_sizes(tmp_path):
    """A bomb that declares 10 bytes: no more than 10 are taken, and the checksum tells."""
    path = write_zip(tmp_path / "a.zip", [("liver/image_0", bytes(10**7))])
    data = path.read_bytes().replace((10**7).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(data)
    assert_rejected(path, "ZIP_CORRUPT")


def test_damaged_bytes(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("liver/image_0", bytes(range(256)) * 40)])
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    assert_rejected(path, "ZIP_CORRUPT")


def test_truncated(tmp_path):
    path = write_zip(tmp_path / "a.zip", [("liver/image_0", bytes(range(256)) * 40)])
    path.write_bytes(path.read_bytes()[:-30])
    assert_rejected(path, "ZIP_CORRUPT")


def test_packed_in_a_way_that_cannot_be_bounded(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("liver/image_0", bytes(100))
    assert_rejected(tmp_path / "a.zip", "ZIP_UNSUPPORTED")


def test_a_zip_that_is_gone(tmp_path):
    assert_rejected(tmp_path / "a.zip", "FILE_UNREADABLE", "ENOENT")
