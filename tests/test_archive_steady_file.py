"""A share that fails for a moment costs nothing; one that keeps failing, one case; and no real error is hidden."""

from __future__ import annotations

import errno
import io
from collections import Counter
from functools import partial

import numpy as np
import pytest
from pyarrow import fs

from pipeline.archive import catalog, members, nifti, steady_file
from pipeline.archive.nifti import read_nifti
from pipeline.archive.source_tree import SourceTree
from pipeline.archive.steady_file import WAITS_SECONDS, open_steadily
from pipeline.errors import CaseError, RefusedInputError
from tests.archive_cases import configure, make_hu, write_image, zip_folder


class FlakyFile(io.FileIO):
    """A file whose every second operation fails, and whose handle is then stale."""

    number, period, count, opened = errno.EIO, 2, 0, 0

    def __init__(self, path, *arguments, **options):
        super().__init__(path)
        self.broken = False
        type(self).opened += 1

    def operate(self, name, *arguments):
        type(self).count += 1
        if self.broken or self.count % self.period == self.period - 1:
            self.broken = True
            raise OSError(self.number, f"CANARY {self.name}")
        return getattr(super(), name)(*arguments)

    def readinto(self, buffer):
        return self.operate("readinto", buffer)

    def readall(self):
        return self.operate("readall")

    def read(self, size=-1):
        return self.readall() if size < 0 else self.operate("read", size)


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Pauses are counted, not waited for."""
    pauses = []
    monkeypatch.setattr(steady_file.time, "sleep", pauses.append)
    monkeypatch.setattr(FlakyFile, "opened", 0)
    monkeypatch.setattr(FlakyFile, "count", 0)
    return pauses


@pytest.fixture
def flaky(monkeypatch):
    """Every file of a source is a flaky one."""

    def open_path(path):
        return open_steadily(partial(FlakyFile, path))

    for module in (members, nifti):
        monkeypatch.setattr(module, "open_path", open_path)
    monkeypatch.setattr("pipeline.archive.source_tree.open_path", open_path)


def test_85_a_file_is_read_on_where_it_was(tmp_path, waits):
    data = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
    (tmp_path / "a").write_bytes(data)
    with open_steadily(partial(FlakyFile, tmp_path / "a")) as stream:
        assert stream.read(100_000) == data[:100_000]
        stream.seek(-100_000, io.SEEK_END)
        assert stream.read(10) == data[200_000:200_010]
        stream.seek(5, io.SEEK_CUR)
        assert stream.read() == data[200_015:]
    assert FlakyFile.opened > 1
    assert set(waits) == {WAITS_SECONDS[0]}


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, None])
def test_85_what_keeps_failing_costs_one_case(tmp_path, monkeypatch, flaky, waits, number):
    monkeypatch.setattr(FlakyFile, "number", number)
    monkeypatch.setattr(FlakyFile, "period", 1)
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(CaseError, match="FILE_UNREADABLE: a file cannot be read") as caught:
        SourceTree(str(tmp_path)).read("a")
    assert "CANARY" not in str(caught.value)
    assert tuple(waits) == WAITS_SECONDS


@pytest.mark.parametrize(
    "error", [FileNotFoundError("a"), OSError(errno.ENOENT, "a"), PermissionError(errno.EACCES, "a")]
)
def test_85_an_error_that_stays_is_raised_at_once(waits, error):
    def fail():
        raise error

    with pytest.raises(OSError, match="a"):
        open_steadily(fail)
    assert waits == []


def test_85_files_of_every_kind_are_read_from_a_flaky_share(tmp_path, flaky, waits):
    """A NIfTI image, the files of a folder, of a zip, and of a tree."""
    write_image(tmp_path / "a.nii.gz", make_hu())
    np.testing.assert_array_equal(read_nifti(tmp_path / "a.nii.gz", "the image", len)[0], make_hu())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(b"first")
    with members.open_members(tmp_path / "folder", "the image") as (member,):
        assert member.read() == b"first"
    assert SourceTree(str(tmp_path)).read("folder/a") == b"first"
    with members.open_members(zip_folder(tmp_path / "folder"), "the image") as (member,):
        assert member.read() == b"first"
    tree = SourceTree(str(tmp_path))
    assert [tree.read(state.name) for state in tree.members("folder.zip")] == [b"first"]
    assert len(waits) >= 5


def test_85_truncated_data_is_no_matter_of_another_try(tmp_path, flaky):
    write_image(tmp_path / "a.nii.gz", make_hu())
    (tmp_path / "a.nii.gz").write_bytes((tmp_path / "a.nii.gz").read_bytes()[:-20])
    with pytest.raises(CaseError, match="NIFTI_TRUNCATED"):
        read_nifti(tmp_path / "a.nii.gz", "the image", len)


class FlakyStore:
    """An object store through pyarrow: its first listing and its first file fail without a number."""

    def __init__(self):
        self.local, self.failed = fs.LocalFileSystem(), set()

    def _fail_once(self, name):
        if name not in self.failed:
            self.failed.add(name)
            raise OSError("AWS Error NETWORK_CONNECTION")

    def get_file_info(self, selector):
        self._fail_once("list")
        return self.local.get_file_info(selector)

    def open_input_file(self, path):
        self._fail_once("open")
        return self.local.open_input_file(path)


def test_85_a_listing_that_breaks_off_is_made_again(tmp_path):
    (tmp_path / "a").write_bytes(b"first")
    tree, skipped = SourceTree("s3://bucket/archive"), Counter()
    tree.__dict__["_remote"] = (FlakyStore(), str(tmp_path))
    assert [[state.name for state in states] for states in tree.chunks(skipped)] == [["a"]]
    assert tree.read("a") == b"first"
    assert not skipped


def test_85_a_folder_of_cases_that_cannot_be_listed_is_refused(tmp_path, monkeypatch, waits):
    def fail(root):
        raise OSError(errno.ESTALE, "CANARY")

    monkeypatch.setitem(catalog._FIND, "msd", fail)
    with pytest.raises(RefusedInputError, match=r"cannot be listed \(ESTALE\)"):
        catalog.list_cases(configure(tmp_path))
    assert tuple(waits) == WAITS_SECONDS
