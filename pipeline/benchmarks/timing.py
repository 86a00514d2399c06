"""Taking the time of operations that take turns, and the peak of a process's memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROUNDS = 5
"""Paired rounds of which the median counts."""

_CLEAR = Path("/proc/self/clear_refs")
_measured: list[str] = []


class Timings:
    """Seconds of each operation in each round.

    Args:
        seconds: Operation to its seconds, round by round.
    """

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = seconds

    def median(self, name: str) -> float:
        """Return the median seconds of an operation."""
        return statistics.median(self.seconds[name])

    def ratio(self, numerator: str, denominator: str) -> float:
        """Return the median over the rounds of the quotient of two operations: noise that lasts hits both alike."""
        pairs = zip(self.seconds[numerator], self.seconds[denominator], strict=True)
        return statistics.median(a / b for a, b in pairs)


def take_turns(operations: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> Timings:
    """Time operations in interleaved rounds, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in operations}
    for turn in range(rounds + 1):
        for name, operation in operations.items():
            started = time.perf_counter()
            operation()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return Timings(seconds)


def restart_peak(measurement: str) -> None:
    """Let this process's peak memory start from its present memory, once per measurement; Linux only."""
    if measurement not in _measured:
        _measured.append(measurement)
        if _CLEAR.exists():
            _CLEAR.write_text("5")


def peak_mb(pid: int | str = "self") -> float | None:
    """Return the peak of a process's resident memory in MB; None where the system does not say, or it has ended."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    except OSError:
        return None
    return int(fields["VmHWM"].split()[0]) / 1024 if "VmHWM" in fields else None


def cache_bytes() -> int:
    """Return the size of the last-level cache; 32 MiB where the system does not say."""
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size.removesuffix("K")) << 10 for size in sizes if size.endswith("K")), default=32 << 20)
