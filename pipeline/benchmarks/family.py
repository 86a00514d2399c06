"""CPU time and peak memory of this process's descendants: Ray's workers, and the processes that they throw away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.benchmarks.timing import peak_mb

_PROCESSES = Path("/proc")
_WORKERS = (b"ray::", b"sandbox_child")
"""What the command lines of workers and of their children hold."""
_PARENT, _TIMES = 1, slice(11, 15)
"""Fields of `/proc/PID/stat` behind the command's name: own and waited-for children's user and system time."""


def cpu_seconds() -> float:
    """Return the CPU time that this process and its descendants have taken, those that ended included; Linux only."""
    ticks = 0
    for pid in [os.getpid(), *_descendants()]:
        with suppress(OSError):
            ticks += sum(map(int, _stat(pid)[_TIMES]))
    return ticks / os.sysconf("SC_CLK_TCK")


def restart_worker_peaks() -> None:
    """Let the peak memory of all workers start from their present memory; Linux only."""
    for pid in _workers():
        with suppress(OSError):
            (_PROCESSES / str(pid) / "clear_refs").write_text("5")


def worker_peak_mb() -> float:
    """Return the largest peak of resident memory of a worker or a child of one, in MB; 0 where nothing says it."""
    return max((peak_mb(pid) or 0.0 for pid in _workers()), default=0.0)


def _workers() -> Iterator[int]:
    """Give the descendants that are Ray workers, or their children."""
    for pid in _descendants():
        with suppress(OSError):
            if any(mark in (_PROCESSES / str(pid) / "cmdline").read_bytes() for mark in _WORKERS):
                yield pid


def _descendants() -> list[int]:
    """Return the processes that this one started, and those that they started."""
    parents: dict[int, int] = {}
    for folder in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int(_stat(int(folder.name))[_PARENT])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def _stat(pid: int) -> list[str]:
    """Return the fields of a process's state behind its name."""
    return (_PROCESSES / str(pid) / "stat").read_text().rpartition(")")[2].split()
