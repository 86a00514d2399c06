"""Whatever a decoder does to its process, it costs one call."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline.archive.sandbox import Limits, Sandbox
from pipeline.errors import CaseError

LIMITS = Limits(memory_bytes=2**30, seconds=1.0)


@pytest.fixture(scope="module")
def sandbox():
    sandbox = Sandbox(LIMITS)
    yield sandbox
    sandbox.close()


def call(sandbox, task, **arguments):
    return sandbox.call(f"tests.sandbox_tasks:{task}", **arguments)


def test_values_and_arrays_come_back_from_another_process(sandbox):
    answer = call(sandbox, "echo", text="\udcff", numbers=[1, 2.5])
    assert (answer.values["text"], answer.values["numbers"]) == ("\udcff", [1, 2.5])
    assert answer.values["pid"] != os.getpid()
    arrays = call(sandbox, "make_arrays", rows=50_000).arrays
    np.testing.assert_array_equal(arrays["hu"], np.arange(300_000, dtype=np.int16).reshape(50_000, 2, 3))
    assert arrays["mask"].dtype == bool
    assert arrays["mask"].all()
    assert call(sandbox, "make_arrays", rows=0).arrays["hu"].shape == (0, 2, 3)


def test_a_child_serves_many_calls(sandbox):
    assert len({call(sandbox, "echo").values["pid"] for _ in range(5)}) == 1


@pytest.mark.parametrize(
    ("case", "task", "arguments", "code", "quote"),
    [
        ("77_SEGFAULT", "crash", {}, "DECODER_CRASHED", "SIGSEGV"),
        ("77_EXIT", "leave", {}, "DECODER_CRASHED", "exit code 3"),
        ("78_HANG", "sleep", {"seconds": 60}, "DECODER_TIMEOUT", "1 s"),
        ("78_BUSY", "burn", {}, "DECODER_TIMEOUT", "1 s"),
        ("51_MEMORY", "allocate", {"size": 2**33}, "DECODER_MEMORY", str(2**30)),
        ("REJECTED", "reject", {}, "NOT_CT", "expected CT"),
        ("UNEXPECTED", "stumble", {}, "UNEXPECTED", "JSONDecodeError"),
    ],
)
def test_a_fault_costs_one_call(sandbox, case, task, arguments, code, quote):
    started = time.monotonic()
    with pytest.raises(CaseError) as caught:
        call(sandbox, task, **arguments)
    assert caught.value.code == code
    assert quote in caught.value.message
    assert "CANARY" not in caught.value.message
    assert time.monotonic() - started < 30
    assert call(sandbox, "echo", text="next").values["text"] == "next"


def test_79_poison_is_tried_in_a_new_child_once(sandbox, tmp_path):
    """A crash of a used child may be an earlier input's fault; that of a new one is not."""
    first = call(sandbox, "echo").values["pid"]
    assert call(sandbox, "crash_once", flag=str(tmp_path / "flag")).values["pid"] != first
    sandbox.close()
    with pytest.raises(CaseError, match="DECODER_CRASHED"):
        call(sandbox, "crash_once", flag=str(tmp_path / "other"))


def test_secrets_of_the_environment_stay_outside(monkeypatch):
    monkeypatch.setenv("LIVER_ID_KEY", "secret")
    sandbox = Sandbox(LIMITS)
    pid = call(sandbox, "echo").values["pid"]
    assert b"LIVER_ID_KEY" not in Path(f"/proc/{pid}/environ").read_bytes()
    sandbox.close()
