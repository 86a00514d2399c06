"""Two jobs on one run folder: the second is refused, a dead one's claim is not in the way."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest

from pipeline import run_lock
from pipeline.command_line import run_job
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.run_lock import FOLDER, STALE_S, Claim, hold_run_folder, read_claims
from pipeline.run_status import format_status, read_status

HOLDER = """
import sys, time
from pipeline.run_folder import RunFolder
from pipeline.run_lock import hold_run_folder
with hold_run_folder(RunFolder(sys.argv[1]), "jobs.ingest"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path`."""
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def claim_from(run, age_s, **changes):
    """Leave the claim of a job on another machine, so many seconds old."""
    claim = replace(Claim.of_this_process("jobs.tune"), host="elsewhere", machine="another boot", **changes)
    run.write_json(asdict(claim), FOLDER, "other.json")
    then = time.time() - age_s
    os.utime(run.path(FOLDER, "other.json"), (then, then))


def beat_elsewhere(run, ended):
    """Give signs of life of the job on another machine."""
    while not ended.wait(0.5):
        os.utime(run.path(FOLDER, "other.json"))


def test_second_job_is_refused_and_told_who_runs(holder, tmp_path):
    run = RunFolder(str(tmp_path))
    with (
        pytest.raises(RefusedInputError, match=rf"jobs.ingest since 20.*, process {holder.pid},"),
        hold_run_folder(run, "jobs.tune"),
    ):
        pass
    assert len(read_claims(run)) == 1


def test_killed_job_on_this_machine_is_not_in_the_way(holder, tmp_path):
    run = RunFolder(str(tmp_path))
    holder.send_signal(signal.SIGKILL)
    while run_lock._started(holder.pid):
        time.sleep(0.01)
    with hold_run_folder(run, "jobs.tune"):  # the parent has not even waited for it
        assert [claim.job for claim, _ in read_claims(run).values()] == ["jobs.tune"]
    assert not read_claims(run)


def test_another_machines_job_is_refused_at_its_next_heartbeat(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_lock, "HEARTBEAT_S", 0.2)
    run = RunFolder(str(tmp_path))
    claim_from(run, age_s=STALE_S - 60, pid=2**22 + 1)
    ended = threading.Event()
    heart = threading.Thread(target=beat_elsewhere, args=(run, ended))
    heart.start()
    with pytest.raises(RefusedInputError, match="on elsewhere, process 4194305, last sign of life"):
        hold_run_folder(run, "jobs.ingest").__enter__()
    ended.set()
    heart.join()
    assert capsys.readouterr().err.count("waiting for another sign of life") == 1
    assert list(read_claims(run)) == ["other.json"]


def test_killed_job_of_another_machine_is_waited_for_until_its_heartbeat_is_old(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_lock, "HEARTBEAT_S", 0.2)
    run, begun = RunFolder(str(tmp_path)), time.time()
    claim_from(run, age_s=STALE_S - 1, pid=2**22 + 1)
    with hold_run_folder(run, "jobs.ingest"):
        assert time.time() - begun > 0.9
        assert [claim.job for claim, _ in read_claims(run).values()] == ["jobs.ingest"]
    assert "or 300 s without one, of jobs.tune since" in capsys.readouterr().err


def test_job_of_another_machine_that_was_silent_for_long_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock.time, "sleep", lambda _: pytest.fail("waited"))
    run = RunFolder(str(tmp_path))
    claim_from(run, age_s=STALE_S + 60, pid=2**22 + 1)
    with hold_run_folder(run, "jobs.ingest"):
        assert len(read_claims(run)) == 1


def test_pid_that_is_another_process_now_does_not_count(tmp_path):
    claim = Claim.of_this_process("jobs.ingest")
    assert not claim.is_dead(0)
    assert replace(claim, started="12").is_dead(0)


def test_heartbeat_renews_the_claim(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "HEARTBEAT_S", 0.02)
    run = RunFolder(str(tmp_path))
    with hold_run_folder(run, "jobs.ingest"):
        (first,) = read_claims(run).values()
        time.sleep(0.5)
        (later,) = read_claims(run).values()
    assert later[0] == first[0]
    assert later[1] > first[1]


def test_job_that_was_taken_for_dead_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(run_lock, "HEARTBEAT_S", 0.02)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
    with pytest.raises(RuntimeError, match=r"jobs.ingest was silent .* and lost"):
        hold_and_lose(RunFolder(str(tmp_path)))
    signal.signal(signal.SIGINT, before)


def hold_and_lose(run):
    with hold_run_folder(run, "jobs.ingest"):
        run.remove(FOLDER)
        time.sleep(60)


class HangingFolder(RunFolder):
    """A run folder on a share that hangs in the second write of a claim until `hang` is over."""

    def __init__(self, uri):
        super().__init__(uri)
        self.writes, self.hanging, self.hang = 0, threading.Event(), threading.Event()

    def write_json(self, value, *parts):
        self.writes += 1
        if self.writes == 2:
            self.hanging.set()
            self.hang.wait()
        super().write_json(value, *parts)


@pytest.mark.parametrize("taken", [True, False])
def test_job_whose_claim_was_written_too_late_stops_if_another_runs(tmp_path, monkeypatch, taken):
    monkeypatch.setattr(run_lock, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(run_lock, "STALE_S", 0.2)
    run, name, before = HangingFolder(str(tmp_path)), "mine.json", signal.signal(signal.SIGINT, lambda *_: None)
    claim = Claim.of_this_process("jobs.ingest")
    RunFolder.write_json(run, asdict(claim), FOLDER, name)
    ended, lost = threading.Event(), threading.Event()
    run.writes = 1
    heart = threading.Thread(target=run_lock._beat, args=(run, claim, name, ended, lost))
    heart.start()
    run.hanging.wait()
    time.sleep(0.3)
    if taken:  # as a newcomer does that finds the claim dead
        run.remove(FOLDER, name)
        claim_from(run, age_s=0)
    run.hang.set()
    assert lost.wait(30 if taken else 0.5) == taken
    ended.set()
    heart.join()
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("uri", ["", "mock:///run"])
def test_of_jobs_that_start_together_at_most_one_runs(uri, tmp_path):
    run, inside, most = RunFolder(uri or str(tmp_path)), [], []
    together = threading.Barrier(4)

    def start(_):
        together.wait()
        try:
            with hold_run_folder(run, "jobs.ingest"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()
        except RefusedInputError:
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(40)))
    assert max(most, default=1) == 1
    assert not read_claims(run)


def test_folders_of_a_comparison_are_apart(tmp_path):
    whole, arm = RunFolder(str(tmp_path)), RunFolder(str(tmp_path / "arms" / "a"))
    with hold_run_folder(whole, "jobs.reproduce"), hold_run_folder(arm, "jobs.reproduce"):
        assert len(read_claims(arm)) == 1


def test_status_looks_at_a_run_that_goes_on(holder, tmp_path, capsys):
    RunFolder(str(tmp_path)).write_json(0, "settings", "seed.json")
    with pytest.raises(SystemExit) as leave:
        run_job(status_job(), ["--run", str(tmp_path)], writes=False)
    assert leave.value.code == 0
    assert "running: jobs.ingest since 20" in capsys.readouterr().out
    holder.kill()
    holder.wait()
    assert format_status(read_status(str(tmp_path)), datetime.now(UTC)).endswith("(dead)")


def status_job():
    from jobs import status

    return status.main


def test_command_line_holds_the_run_folder(holder, tmp_path, capsys):
    with pytest.raises(SystemExit) as leave:
        run_job(status_job(), ["--run", str(tmp_path)])
    assert leave.value.code == 2
    assert "another job runs in this folder: jobs.ingest since 20" in capsys.readouterr().err


def refuse_in(run, *meanwhile):
    """Hold a run folder, perhaps see a file come from somebody else, and be refused."""
    with suppress(RefusedInputError), hold_run_folder(run, "jobs.ingest"):
        for name in meanwhile:
            run.touch(name)
        raise RefusedInputError("nowhere")


def test_refused_job_leaves_no_folder_that_it_made(tmp_path):
    refuse_in(RunFolder(str(tmp_path / "new" / "run")))
    assert not list(tmp_path.iterdir())
    (tmp_path / "run").mkdir()
    refuse_in(RunFolder(str(tmp_path / "run")))
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["run"]


def test_refused_job_leaves_what_is_not_its_own(tmp_path):
    run = RunFolder(str(tmp_path / "run"))
    refuse_in(run, "check_cluster.json")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["run", "run/check_cluster.json"]
    run.touch(FOLDER, "other.txt")
    refuse_in(run)
    assert run.exists(FOLDER, "other.txt")


class VanishingFolder(RunFolder):
    """A run folder whose `running/` another job, which is refused, removes before the first claim is there."""

    def _begin(self, parts):
        opened = super()._begin(parts)
        if not hasattr(self, "vanished"):
            self.vanished = self.remove(FOLDER)
        return opened


def test_claim_is_written_again_if_a_refused_job_removed_its_folder(tmp_path):
    run = VanishingFolder(str(tmp_path))
    with hold_run_folder(run, "jobs.ingest"):
        assert len(read_claims(run)) == 1
