"""Stages x faults on three raylets: each ends with the bytes of an undisturbed run, or with the bad case set aside.

One undisturbed run is the oracle; a cell starts from a copy of it that is complete up to the stage. The table goes to
the terminal, and to the file that `FAULT_TABLE` names. On CPUs an interrupted training ends with the weights of an
undisturbed one, so trainings are compared like the rest.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.archive.quarantine import read_rejections
from pipeline.attempts import CODE
from pipeline.run_folder import RunFolder
from tests.fault_cases import DEADLINE_S, ROOT, STAGES, TRAININGS, Outcome, environment, kill, open_bench, small_disk

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2 * DEADLINE_S)]
DISK_MB = 64


@pytest.fixture(scope="module")
def bench(request):
    with open_bench() as bench:
        yield bench
    table = format_outcomes(bench.outcomes)
    request.config.pluginmanager.getplugin("terminalreporter").write_line(f"\n{table}")
    if "FAULT_TABLE" in os.environ:
        Path(os.environ["FAULT_TABLE"]).write_text(table)


@pytest.fixture(scope="module")
def full_store(bench):
    """The object stores of all nodes are full, and objects are spilled, while this lives."""
    command = [sys.executable, str(ROOT / "tests" / "fault_ballast.py"), bench.address]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, env=environment(bench.folder), **pipes)
    assert process.stdout.readline() == "full\n"
    yield
    said, _ = process.communicate("")
    assert said.splitlines()[0] == "4"
    assert "Spilled" in said, said


@pytest.fixture(params=STAGES)
def stage(request):
    return request.param


def format_outcomes(outcomes):
    lines = [
        "| fault | stage | injected | cases lost | duplicates | result | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in outcomes:
        counts = f"{row.injected} | {row.lost} | {row.duplicates}"
        lines.append(f"| {row.fault} | `{row.stage}` | {counts} | {row.result} | {row.seconds:.0f} |")
    return "\n".join(lines) + "\n"


def finish(bench, fault, stage, run, began, injected, code=0):
    """Check what a cell ended with, and add it to the table."""
    assert code == 0, (bench.folder / "log.txt").read_text()[-3000:]
    lost, duplicates, equal = bench.compare(stage, run)
    result = "same bytes" if equal else "other bytes"
    bench.outcomes.append(Outcome(fault, stage, injected, lost, duplicates, result, time.monotonic() - began))
    assert injected >= 1
    assert (lost, duplicates, result) == (0, 0, "same bytes")
    assert not read_rejections(RunFolder(str(run)))
    assert not (run / "attempts").exists()


def test_worker_is_killed(bench, stage):
    began, run = time.monotonic(), bench.prepare(stage)
    bench.inject("kill", STAGES[stage].touched, operations=("read", "write"), first=STAGES[stage].first)
    code, _ = bench.run(stage, run)
    finish(bench, "worker SIGKILLed", stage, run, began, int(bench.strikes() > STAGES[stage].first), code)


def test_node_is_removed(bench, stage):
    began, run = time.monotonic(), bench.prepare(stage)
    bench.inject("hang", STAGES[stage].touched, operations=("read", "write"), first=STAGES[stage].first)
    process = bench.start(stage, run)
    bench.lose_node(bench.wait_until_hanging(process))
    finish(bench, "node removed", stage, run, began, 1, process.wait(timeout=DEADLINE_S))


def test_driver_is_killed(bench, stage):
    began, run = time.monotonic(), bench.prepare(stage)
    bench.inject("hang", STAGES[stage].touched, operations=("read", "write"), first=STAGES[stage].first)
    process = bench.start(stage, run)
    bench.wait_until_hanging(process)
    kill(process)
    bench.heal()
    code, _ = bench.run(stage, run)
    finish(bench, "driver SIGKILLed", stage, run, began, 1, code)


def test_case_kills_its_worker_every_time(bench, stage):
    began, run, victim = time.monotonic(), bench.prepare(stage), STAGES[stage].victim
    bench.inject("kill", victim, operations=("read", "write"), times=1000)
    code, said = bench.run(stage, run)
    assert code == 3, said[-3000:]
    injected = bench.strikes()
    name = victim.split("/")[1]
    (rejection,) = read_rejections(RunFolder(str(run)))
    assert (rejection.volume_id, rejection.code, rejection.step) == (name, CODE, stage)
    assert injected in (3, 9)  # 9: three slabs, each of them an item of its own
    assert json.loads((run / "reports" / f"{stage}.json").read_text())["quarantined"] == {CODE: 1}
    if stage == "evaluate":
        assert name not in (run / "evaluation" / "cases.csv").read_text()
    lost, duplicates, equal = bench.compare(stage, run, name)
    compared = stage not in (*TRAININGS, "evaluate")  # their output is of all cases together
    result = f"the case alone in quarantine{', the others have the same bytes' if compared else ''}"
    seconds = time.monotonic() - began
    bench.outcomes.append(Outcome("case that kills its worker", stage, injected, lost, duplicates, result, seconds))
    assert (lost, duplicates) == (0, 0)
    assert equal or not compared


def test_training_begins_again_without_a_case_that_kills_its_reader(bench):
    began, stage = time.monotonic(), "train_couinaudnet"
    run = bench.prepare(stage)
    bench.inject("kill", "slices/phantom_001/", operations=("read",), times=1000)
    code, said = bench.run(stage, run)
    assert code == 3, said[-3000:]
    (rejection,) = read_rejections(RunFolder(str(run)))
    assert (rejection.volume_id, rejection.code, rejection.step) == ("phantom_001", CODE, stage)
    lost, duplicates, _ = bench.compare(stage, run, "phantom_001")
    row = ("case that kills its reader", stage, bench.strikes(), lost, duplicates, "the case alone in quarantine")
    bench.outcomes.append(Outcome(*row, time.monotonic() - began))
    assert (lost, duplicates) == (0, 0)
    assert bench.strikes() >= 3


def test_disk_is_full(bench, stage):
    with small_disk(DISK_MB) as disk:
        if disk is None:
            pytest.skip("this machine does not allow to mount a small disk")
        began, run = time.monotonic(), bench.prepare(stage, disk)
        bench.inject("fill", STAGES[stage].touched, operations=("read", "write"), first=STAGES[stage].first)
        code, said = bench.run(stage, run)
        assert code == 1, said[-3000:]
        error = next(line for line in said.splitlines() if line.startswith("error: "))
        assert f"0.000 of 0.067 GB of {run}" in error
        assert bench.strikes()
        (disk / "ballast").unlink()
        bench.heal()
        code, _ = bench.run(stage, run)
        finish(bench, "full disk, then room", stage, run, began, 1, code)


def test_file_system_fails_now_and_then(bench, stage):
    began, run = time.monotonic(), bench.prepare(stage)
    bench.inject(
        "fail", f"{STAGES[stage].touched}|reports/", operations=("read", "write"), everywhere=True, once=True, times=12
    )
    code, _ = bench.run(stage, run)
    finish(bench, "passing EIO", stage, run, began, min(12, bench.strikes()), code)


def test_file_system_is_slow(bench, stage):
    began, run = time.monotonic(), bench.prepare(stage)
    bench.inject("wait", "", operations=("read", "write"), everywhere=True, times=1000)
    code, _ = bench.run(stage, run)
    finish(bench, "slow file system", stage, run, began, bench.strikes(), code)


def test_object_store_is_full(bench, full_store, stage):
    began, run = time.monotonic(), bench.prepare(stage)
    bench.heal()
    code, _ = bench.run(stage, run)
    finish(bench, "full object store", stage, run, began, 1, code)
