"""Rejections on disk."""

from __future__ import annotations

import pytest

from pipeline.archive.quarantine import Rejection, read_rejections, remove_rejection, write_rejection
from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder

A = Rejection("a", "NIFTI_TRUNCATED", "the image ends", "read")
B = Rejection("b", "LABEL_MISSING", "there is an image", "list")


def test_rejections_come_back_in_order(tmp_path):
    run = RunFolder(str(tmp_path))
    assert read_rejections(run) == []
    write_rejection(run, B)
    write_rejection(run, A)
    assert read_rejections(run) == [A, B]
    assert run.names("quarantine") == ["a.parquet", "b.parquet"]


def test_a_later_rejection_replaces_the_earlier(tmp_path):
    run = RunFolder(str(tmp_path))
    write_rejection(run, A)
    write_rejection(run, Rejection("a", "HU_RANGE", "all gray", "read"))
    assert [rejection.code for rejection in read_rejections(run)] == ["HU_RANGE"]


def test_the_same_rejection_gives_the_same_bytes(tmp_path):
    run = RunFolder(str(tmp_path))
    write_rejection(run, A)
    first = run.read_bytes("quarantine", "a.parquet")
    write_rejection(run, A)
    assert run.read_bytes("quarantine", "a.parquet") == first


def test_a_rejection_can_be_removed_twice(tmp_path):
    run = RunFolder(str(tmp_path))
    write_rejection(run, A)
    remove_rejection(run, "a")
    remove_rejection(run, "a")
    assert read_rejections(run) == []


def test_no_file_outside_of_the_folder(tmp_path):
    with pytest.raises(ValueError, match="not safe"):
        write_rejection(RunFolder(str(tmp_path)), Rejection("../a", "X", "x", "read"))


def test_from_error():
    assert Rejection.from_error("a", CaseError("NIFTI_TRUNCATED", "the image ends")) == A
