"""A share that fails for a moment costs nothing; one that keeps failing, one case; and no real error is hidden."""

from __future__ import annotations

import errno
import io
import json
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from pipeline.archive import catalog, labels, members, nifti, steady_file, text_tables
from pipeline.archive.dicom.inventory import FoundSeries, Inventory
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.dicom.masks import MaskIndex
from pipeline.archive.dicom.matching import Match
from pipeline.archive.labels import NO_LABEL, StudyLabel
from pipeline.archive.nifti import read_nifti
from pipeline.archive.site_key import SiteKey
from pipeline.archive.source_tree import SourceTree
from pipeline.archive.steady_file import WAITS_SECONDS, open_steadily
from pipeline.errors import CaseError, RefusedInputError
from pipeline.stages.discover_series import _candidates
from tests.archive_cases import configure, make_hu, write_image, write_msd, zip_folder


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

    for module in (labels, members, nifti, text_tables):
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


@pytest.fixture
def shaky(monkeypatch):
    """Looking at what lies on the share fails `times` times for each path that `names` is part of."""
    failed, look, share = Counter(), Path.stat, {"times": 0, "names": ""}

    def stat(path, **options):
        failed[path] += 1
        if share["names"] in str(path) and failed[path] <= share["times"]:
            raise OSError(errno.ESTALE, "Stale file handle", str(path))
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    return share


def write_companions(root):
    """A liver mask, a Couinaud map and a vessel mask, named by an accession number."""
    for folder in ("masks", "maps", "vessels"):
        (root / folder).mkdir()
        (root / folder / "CANARY1.nii.gz").write_bytes(folder.encode())
    return MaskIndex(
        *(str(root / name) for name in ("masks", "archive")), Inventory(), f"{root}/maps", f"{root}/vessels"
    )


def find_companions(index):
    names = ("ct-1", "", [hash_text("CANARY1")])
    return [
        index.find(*names),
        index.find_map(*names),
        index.find_vessels(*names),
        index.find(*names, "CANARY1.nii.gz"),
    ]


def test_85_masks_are_found_on_a_share_that_fails_for_a_moment(tmp_path, shaky, waits):
    shaky["times"] = 1
    found = find_companions(write_companions(tmp_path))
    assert [mask.states[0].size for mask in found] == [len("masks"), len("maps"), len("vessels"), len("masks")]
    assert set(waits) == {WAITS_SECONDS[0]}


def test_85_a_mask_that_cannot_be_looked_at_sets_its_series_aside(tmp_path, shaky, waits):
    """With the error's symbol, and no name of the file."""
    index = write_companions(tmp_path)
    shaky.update(times=9, names="CANARY1")
    series = FoundSeries("a", {hash_text("CANARY1")})
    answer = {"dropped": 0, "volumes": [{"name": "", "slices": [], "step_mm": 1.0, "patient": ""}]}
    row, match = {"code": "", "answer": json.dumps(answer)}, Match(StudyLabel("series", "a", NO_LABEL), (series,))
    (item,) = _candidates(row, match, series, index, SiteKey(b""), Inventory())
    assert str(item.error) == "FILE_UNREADABLE: the mask cannot be read (ESTALE)"
    assert item.error.__suppress_context__
    assert tuple(waits[-4:]) == WAITS_SECONDS


def test_what_is_no_file_is_no_mask(tmp_path):
    (tmp_path / "masks" / "CANARY1.nii.gz").mkdir(parents=True)
    (tmp_path / "masks" / "b.nii.gz").symlink_to(tmp_path / "nowhere")
    index = MaskIndex(str(tmp_path / "masks"), "", Inventory())
    assert not any(index.find(name, "", [], named).place for name in ("CANARY1", "b") for named in ("", "b.nii.gz"))
    assert not index.find("b", "", [], f"{'x' * 300}.nii.gz").place


def test_85_a_folder_of_masks_that_cannot_be_looked_at_is_refused(tmp_path, shaky):
    (tmp_path / "masks").mkdir()
    shaky["times"] = 9
    with pytest.raises(RefusedInputError, match=r"^source\.masks '.*masks' cannot be listed \(ESTALE\)$"):
        MaskIndex(str(tmp_path / "masks"), "", Inventory())


def test_85_cases_are_listed_from_a_share_that_fails_for_a_moment(tmp_path, shaky, flaky):
    """With their maps and their table; a map that cannot be looked at costs its case."""
    write_msd(tmp_path, "case_01,4\ncase_02,5\n", ("case_01", "case_02"))
    shaky.update(times=1, names="couinaudTr")
    cases, rejections = catalog.list_cases(configure(tmp_path))
    assert [(case.segments, bool(case.couinaud_map)) for case in cases] == [((4,), True), ((5,), True)]
    assert not rejections
    shaky.update(times=99, names="couinaudTr/case_02")
    cases, (rejection,) = catalog.list_cases(configure(tmp_path))
    assert [case.volume_id for case in cases] == ["case_01"]
    assert (rejection.volume_id, rejection.code) == ("case_02", "FILE_UNREADABLE")


@pytest.mark.parametrize("name", ["reports.csv", "reports.jsonl", "reports.parquet"])
def test_85_tables_of_reports_are_read_on_where_they_were(tmp_path, flaky, waits, name):
    rows = [{"volume_id": f"case_{number}", "text": "No lesion."} for number in range(3)]
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    elif name.endswith("jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        (tmp_path / name).write_text("volume_id,text\n" + "".join(f"{','.join(row.values())}\n" for row in rows))
    assert list(text_tables.read_rows(tmp_path / name, "report table")) == rows
    assert waits
