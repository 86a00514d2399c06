"""Files appear whole or not at all, and the same content twice gives the same bytes."""

import errno
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.archive import steady_file
from pipeline.archive.steady_file import WAITS_SECONDS
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder


def test_same_table_gives_same_bytes(tmp_path):
    run = RunFolder(str(tmp_path))
    table = pa.table({"a": [1, 2, 3]})
    run.write_table(table, "t", "one.parquet")
    run.write_table(table, "t", "two.parquet")
    assert run.read_bytes("t", "one.parquet") == run.read_bytes("t", "two.parquet")


def test_unfinished_files_are_not_listed(tmp_path):
    run = RunFolder(str(tmp_path))
    run.write_bytes(b"x", "t", "whole")
    (tmp_path / "t" / "half.tmp-123").write_bytes(b"")
    assert run.names("t") == ["whole"]


def test_rewriting_replaces_the_file(tmp_path):
    run = RunFolder(str(tmp_path))
    run.write_bytes(b"first", "f")
    run.write_bytes(b"second", "f")
    assert run.read_bytes("f") == b"second"
    assert run.names() == ["f"]


def test_compressed_files_are_bytes_like_others(tmp_path):
    run = RunFolder(str(tmp_path))
    run.write_bytes(b"x", "a.nii.gz")
    assert run.read_bytes("a.nii.gz") == b"x"


def test_removing_twice_is_no_error(tmp_path):
    run = RunFolder(str(tmp_path))
    run.write_bytes(b"x", "d", "f")
    run.remove("d")
    run.remove("d")
    assert not run.exists("d")
    assert run.names("d") == []


@pytest.mark.parametrize("parts", [(), ("",)])
def test_whole_run_folder_is_never_removed(tmp_path, parts):
    run = RunFolder(str(tmp_path))
    run.write_bytes(b"x", "f")
    with pytest.raises(ValueError, match="only members are removed"):
        run.remove(*parts)
    assert run.names() == ["f"]


@pytest.mark.parametrize("options", ["", "?x=1", "?endpoint=http://localhost:9000", "#part"])
def test_member_opens_as_a_folder_whatever_options_the_uri_has(tmp_path, options):
    run = RunFolder(f"file://{tmp_path}/run{options}")
    member = RunFolder(run.member_uri("tune", "a b"))
    assert member.root == run.path("tune", "a b") == str(tmp_path / "run" / "tune" / "a b")
    assert RunFolder(member.member_uri("..", "..")).root == run.root
    assert RunFolder("mock:///run" + options).member_uri("x") == "mock:///run/x" + options


def test_question_mark_in_a_local_path_is_part_of_it(tmp_path):
    assert RunFolder(RunFolder(f"{tmp_path}/why?").member_uri("x")).root == f"{tmp_path}/why?/x"


def test_relative_folder_survives_pickling_and_a_change_of_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = RunFolder("run")
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(run)).root == str(tmp_path / "run")


def test_uri_of_a_local_file_system_opens(tmp_path):
    run = RunFolder(f"file://{tmp_path}/run")
    run.write_json({"a": 1}, "x.json")
    assert run.read_json("x.json") == {"a": 1}
    assert run.local("x.json").is_file()


def test_unknown_file_system_is_refused():
    with pytest.raises(RefusedInputError, match="nowhere"):
        RunFolder("nowhere://bucket/run")


def test_passing_errors_are_tried_again_and_nothing_half_written_stays(tmp_path, monkeypatch):
    run, begin, pauses = RunFolder(str(tmp_path)), RunFolder._begin, []
    answers = iter([errno.EIO, errno.ESTALE, 0, errno.ENOSPC])

    def begin_or_fail(self, parts):
        if code := next(answers):
            raise OSError(code, "injected")
        return begin(self, parts)

    monkeypatch.setattr(RunFolder, "_begin", begin_or_fail)
    monkeypatch.setattr(steady_file.time, "sleep", pauses.append)
    run.write_bytes(b"whole", "file")
    assert (run.read_bytes("file"), pauses) == (b"whole", list(WAITS_SECONDS[:2]))
    with pytest.raises(OSError, match="injected"):  # another try makes no room
        run.write_bytes(b"new", "file")
    assert (run.read_bytes("file"), len(pauses)) == (b"whole", 2)


def test_file_that_could_not_be_written_is_removed(tmp_path):
    run = RunFolder(str(tmp_path))

    def write_half():
        with run._replacing(("folder", "file")) as temporary:
            Path(temporary).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert list((tmp_path / "folder").iterdir()) == []
