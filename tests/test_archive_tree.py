"""Every file of a tree is listed or counted, wherever it lies."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from contextlib import contextmanager

import pytest
from pyarrow import fs

from pipeline.archive.dicom.tree import look_at_files
from pipeline.archive.source_tree import ZIP_MARK, FileState, SourceTree, pack_states, unpack_states
from pipeline.errors import CaseError, RefusedInputError
from tests.dicom_archive_cases import make_series, save


def make_tree(root):
    (root / "b" / "deep").mkdir(parents=True)
    for name in ("b/deep/3", "b/2", "1", "zz"):
        (root / name).write_bytes(name.encode())
    with zipfile.ZipFile(root / "b" / "x.ZIP", "w") as archive:
        archive.writestr("in/one", b"first")
        archive.writestr("two", b"second")
    return root


def names(tree, **options):
    skipped = Counter()
    return [[state.name for state in states] for states in tree.chunks(skipped, **options)], skipped


def open_tree(root, kind):
    """Open a tree as a folder, as a file URI, or through pyarrow as other URIs are."""
    if kind == "pyarrow":
        tree = SourceTree("s3://bucket/archive")
        tree.__dict__["_remote"] = (fs.LocalFileSystem(), str(root))
        return tree
    return SourceTree(f"file://{root}" if kind == "file" else str(root))


KINDS = pytest.mark.parametrize("kind", ["folder", "file", "pyarrow"])


@KINDS
def test_a_walk_gives_chunks_and_zips_alone(tmp_path, kind):
    tree = open_tree(make_tree(tmp_path), kind)
    assert names(tree, size=2) == ([["1", "zz"], ["b/x.ZIP"], ["b/2", "b/deep/3"]], Counter())
    assert tree.read("b/deep/3") == b"b/deep/3"


@KINDS
def test_members_of_a_zip_are_files(tmp_path, kind):
    tree = open_tree(make_tree(tmp_path), kind)
    members = tree.members("b/x.ZIP")
    assert [(state.name, state.size) for state in members] == [
        (f"b/x.ZIP{ZIP_MARK}in/one", 5),
        (f"b/x.ZIP{ZIP_MARK}two", 6),
    ]
    assert [tree.read(state.name) for state in members] == [b"first", b"second"]


def test_what_is_no_file_of_the_archive_is_counted(tmp_path):
    root = make_tree(tmp_path / "tree")
    (tmp_path / "secret").write_text("outside")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe")
    (root / "empty").touch()
    (root / "Thumbs.db").write_text("x")
    found, skipped = names(SourceTree(str(root)))
    assert sorted(name for chunk in found for name in chunk) == ["1", "b/2", "b/deep/3", "b/x.ZIP", "zz"]
    assert skipped == {"LINK": 2, "SPECIAL_FILE": 1, "EMPTY_FILE": 1, "SYSTEM_FILE": 1}


def test_what_goes_away_during_the_walk_costs_nothing_else(tmp_path, monkeypatch):
    """A temporary file and a folder are listed and are gone before anybody looks at them."""
    root, scandir = make_tree(tmp_path / "tree"), os.scandir
    (root / "b" / "gone").touch()

    @contextmanager
    def list_and_remove(folder):
        with scandir(folder) as entries:
            found = list(entries)
        if folder == str(root / "b"):
            (root / "b" / "gone").unlink()
            (root / "b" / "deep").rename(tmp_path / "elsewhere")
        yield found

    monkeypatch.setattr("pipeline.archive.source_tree.os.scandir", list_and_remove)
    found, skipped = names(SourceTree(str(root)))
    assert sorted(name for chunk in found for name in chunk) == ["1", "b/2", "b/x.ZIP", "zz"]
    assert skipped == {"FILE_UNREADABLE": 1, "FOLDER_UNREADABLE": 1}


def test_48_zips_that_lie_are_counted_by_reason(tmp_path):
    with zipfile.ZipFile(tmp_path / "climb.zip", "w") as archive:
        archive.writestr("../../etc/passwd", b"x")
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4 no more")
    values, _ = look_at_files(str(tmp_path), [["climb.zip", 1, 0], ["cut.zip", 1, 0]])
    assert values == {"parts": [], "skipped": {"ZIP_UNSAFE_NAME": 1, "ZIP_CORRUPT": 1}}


def test_48_a_zip_is_never_larger_than_the_cap(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.archive.source_tree.MAXIMUM_ARCHIVE_BYTES", 10)
    with pytest.raises(CaseError, match="ZIP_TOO_LARGE: a zip: the zip decompresses to 11 bytes, allowed are 10"):
        SourceTree(str(make_tree(tmp_path))).members("b/x.ZIP")


def test_a_damaged_member_is_an_error_when_it_is_read(tmp_path):
    path = make_tree(tmp_path) / "b" / "x.ZIP"
    path.write_bytes(path.read_bytes().replace(b"first", b"fir5t"))
    with pytest.raises(CaseError, match="ZIP_CORRUPT"):
        SourceTree(str(tmp_path)).read(f"b/x.ZIP{ZIP_MARK}in/one")


def test_a_file_that_is_gone_is_an_error_without_its_name(tmp_path):
    with pytest.raises(CaseError, match=r"FILE_UNREADABLE: a file cannot be read \(ENOENT\)"):
        SourceTree(str(tmp_path)).read("CANARY")


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_source_that_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("x")
    with pytest.raises(RefusedInputError, match=r"source\.path: expected a folder"):
        SourceTree(str(tmp_path / name)).require()


def test_packed_states_come_back():
    states = [FileState("a/ü\udcff b!/c", 2**40, 2**62), FileState("x", 0, 0)]
    assert unpack_states(pack_states(states)) == states


def test_names_of_a_series_pack_to_a_few_bytes_each():
    states = [FileState(f"PATIENT/STUDY/SERIES/1.2.840.113619.2.55.3.{k:08d}.dcm", 526_336, 10**18) for k in range(256)]
    assert len(pack_states(states)) < 256 * 8


def test_series_come_together_from_one_chunk(tmp_path):
    save(make_series()[:3], tmp_path / "a")
    save(make_series(Modality="MR")[:2], tmp_path / "a", "mr{}")
    chunks = SourceTree(str(tmp_path)).chunks(Counter())
    files = [[state.name, state.size, state.stamp] for states in chunks for state in states]
    values, _ = look_at_files(str(tmp_path), files)
    assert sorted((part["reason"], part["count"], len(part["files"])) for part in values["parts"]) == [
        ("", 3, 3),
        ("NOT_CT", 2, 0),
    ]
    assert "CANARY" not in str([{**part, "files": ()} for part in values["parts"]])
