"""One run folder, one job: who writes leaves a sign of life in `running/`, and nobody else is let in meanwhile.

A job writes its own claim first and looks for others' then; if there is a living one, it withdraws. So of two jobs that
start together one at least sees the other: both may be turned away, never both let in. This needs no exclusive create,
which object stores lack, only listings that show what was written before them: local disks, NFS and today's object
stores have such.

A claim is written anew every `HEARTBEAT_S`. It is dead once it is `STALE_S` older than the newcomer's, both times being
the storage's, whose clock is one; and on the same machine as soon as its process is gone. Of another machine's claim
nobody can tell at once: the newcomer watches it, writing its own anew, until it sees a heartbeat and withdraws, or the
claim is dead.

A job that was suspended for longer than `STALE_S` finds its claim removed at its next heartbeat, or another's beside
it, and stops; what it wrote until then nobody undoes.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyarrow import fs

from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder

FOLDER = "running"
HEARTBEAT_S = 20.0
STALE_S = 300.0
"""A claim that is older is dead: long enough for a share that is away for some minutes."""


@dataclass(frozen=True)
class Claim:
    """Who runs.

    Args:
        job: Name of the job.
        since: When it began, UTC, by its machine's clock.
        host: Name of its machine.
        pid: Its process there.
        machine: What tells machines, their boots and their containers apart; empty where the system does not say.
        started: When the process began, in ticks of that machine.
    """

    job: str
    since: str
    host: str
    pid: int
    machine: str
    started: str

    @classmethod
    def of_this_process(cls, job: str) -> Claim:
        """Return the claim of a job in this process."""
        since = datetime.now(UTC).isoformat(" ", "seconds")
        return cls(job, since, socket.gethostname(), os.getpid(), _machine(), _started(os.getpid()))

    def is_dead(self, age_s: float) -> bool:
        """Tell whether the job is gone.

        Args:
            age_s: Seconds since its last sign of life.
        """
        return age_s > STALE_S or (self.is_here() and _is_gone(self.pid, self.started))

    def is_here(self) -> bool:
        """Tell whether the job runs, or ran, on this machine, since it was started and in this container."""
        return bool(self.machine) and self.machine == _machine()

    def describe(self, age_s: float) -> str:
        """Return who runs where, since when, for a person."""
        return (
            f"{self.job} since {self.since} on {self.host}, process {self.pid}, last sign of life {age_s:.0f} s ago"
            f"{' (dead)' if self.is_dead(age_s) else ''}"
        )


@contextmanager
def hold_run_folder(run: RunFolder, job: str) -> Iterator[None]:
    """Keep other jobs out of a run folder.

    Args:
        run: Run folder. A branch of another has claims of its own.
        job: Name of the job, for those that are turned away.

    Raises:
        RefusedInputError: If another job runs there; it says which, where, and since when. To see whether one on
            another machine lives takes up to `HEARTBEAT_S`, and `STALE_S` if it was killed.
        RuntimeError: If this one was taken for dead, because it was suspended for long.
    """
    with _leave_nothing(run):
        claim, name = Claim.of_this_process(job), f"{uuid.uuid4().hex}.json"
        try:
            run.write_json(asdict(claim), FOLDER, name)
        except FileNotFoundError:  # a refused job has just removed the folder that it had made
            run.write_json(asdict(claim), FOLDER, name)
        ended, lost = threading.Event(), threading.Event()
        heart = threading.Thread(target=_beat, args=(run, claim, name, ended, lost), daemon=True)
        try:
            _require_alone(run, claim, name)
            heart.start()
            yield
        except KeyboardInterrupt:
            if not lost.is_set():
                raise
            raise RuntimeError(f"{job} was silent for over {STALE_S:.0f} s and lost {run.uri} to another job") from None
        finally:
            ended.set()
            if heart.is_alive():
                heart.join()
            _remove(run, name)


def read_claims(run: RunFolder) -> dict[str, tuple[Claim, datetime]]:
    """Return the claims in a run folder and when they were last written, by the storage's clock, by file name."""
    selector = fs.FileSelector(run.path(FOLDER), allow_not_found=True)
    found = {}
    for info in run.filesystem.get_file_info(selector):
        if info.base_name.endswith(".json"):
            with suppress(FileNotFoundError):  # it ended meanwhile
                claim = Claim(**run.read_json(FOLDER, info.base_name))
                found[info.base_name] = (claim, datetime.fromtimestamp(info.mtime_ns / 1e9, UTC))
    return found


@contextmanager
def _leave_nothing(run: RunFolder) -> Iterator[None]:
    """Remove the local folders that a job made, if it is refused and nothing has come to lie in them."""
    local = isinstance(run.filesystem, fs.LocalFileSystem)
    folder = Path(run.path(FOLDER))
    made = [path for path in (folder, *folder.parents) if local and not path.exists()]
    try:
        yield
    except RefusedInputError:
        with suppress(OSError):  # one that is not empty stays, with those above it
            for path in made:
                path.rmdir()
        raise


def _require_alone(run: RunFolder, claim: Claim, name: str) -> None:
    """Remove dead claims; refuse to run beside a living one; watch another machine's until it is one or the other."""
    seen: dict[str, datetime] = {}
    while others := _find_others(run, name):
        for other, (holder, written, age_s) in others.items():
            if holder.is_here() or written > seen.get(other, written):
                raise RefusedInputError(
                    f"{run.uri}: another job runs in this folder: {holder.describe(age_s)}. Wait for it or stop it"
                )
            if other not in seen:
                sys.stderr.write(
                    f"{run.uri}: waiting for another sign of life, or {STALE_S:.0f} s without one, of"
                    f" {holder.describe(age_s)}\n"
                )
            seen[other] = written
        time.sleep(HEARTBEAT_S / 4)
        run.write_json(asdict(claim), FOLDER, name)


def _find_others(run: RunFolder, name: str) -> dict[str, tuple[Claim, datetime, float]]:
    """Remove dead claims; return the others but one's own: when each was written, and how many seconds before that."""
    claims = read_claims(run)
    _, now = claims.pop(name)
    others = {}
    for other, (claim, written) in claims.items():
        age_s = max(0.0, (now - written).total_seconds())
        if claim.is_dead(age_s):
            _remove(run, other)
        else:
            others[other] = (claim, written, age_s)
    return others


def _beat(run: RunFolder, claim: Claim, name: str, ended: threading.Event, lost: threading.Event) -> None:
    """Write a claim again and again; interrupt the process if somebody removed it, perhaps just before a late write."""
    written = time.time()
    while not ended.wait(HEARTBEAT_S):
        with suppress(OSError):  # a share that is away for a moment
            begun, there = time.time(), run.exists(FOLDER, name)
            if there:
                run.write_json(asdict(claim), FOLDER, name)
                late = time.time() - written > STALE_S
                there = not late or set(read_claims(run)) == {name}
                written = begun
            if not there:
                lost.set()
                in_background = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # as of `nohup`
                os.kill(os.getpid(), signal.SIGTERM if in_background else signal.SIGINT)
                return


def _remove(run: RunFolder, name: str) -> None:
    """Remove a claim, unless somebody did."""
    with suppress(FileNotFoundError):
        run.remove(FOLDER, name)


def _machine() -> str:
    """Return what differs between machines, boots and containers; empty where the system does not say."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _is_gone(pid: int, started: str) -> bool:
    """Tell whether a process of this machine ended, though its number may be another's now."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's, whose `/proc` may be hidden
        return False
    return _started(pid) != started


def _started(pid: int) -> str:
    """Return when a process began, in ticks since the boot; empty if it ended or the system does not say."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in ("Z", "X") else fields[18]
