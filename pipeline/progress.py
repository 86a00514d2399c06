"""How far a step is, for whoever watches: a bar in a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from typing import TypeVar

T = TypeVar("T")

INTERVAL_S = 60.0
"""Between two lines in a log, whether anything was done or not."""


class Progress:
    """Counts what is done and shows it on standard error until it is closed.

    Args:
        name: What goes on.
        total: How many there will be; None if nobody knows.
        unit: What is counted, one of it.
    """

    def __init__(self, name: str, total: int | None = None, unit: str = "item") -> None:
        from tqdm import tqdm

        self._name, self._total, self._unit = name, total, unit
        self._done, self._begun = 0, time.monotonic()
        self._ended = threading.Event()
        self._bar = tqdm(total=total, unit=unit, desc=name, disable=None, leave=False)  # only in a terminal
        if self._bar.disable:
            threading.Thread(target=self._log, daemon=True).start()

    def update(self) -> None:
        """Count one more."""
        self._done += 1
        self._bar.update()

    def close(self) -> None:
        """Show no more."""
        self._ended.set()
        self._bar.close()

    def _log(self) -> None:
        """Write lines until the end."""
        while not self._ended.wait(INTERVAL_S):
            line = format_progress(self._done, self._total, self._unit, time.monotonic() - self._begun)
            sys.stderr.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {self._name}: {line}\n")
            sys.stderr.flush()


def show_progress(items: Iterable[T], name: str, total: int | None = None, unit: str = "item") -> Iterator[T]:
    """Give items on and show how many went by.

    Args:
        items: The items.
        name: What goes on.
        total: How many there will be; None if nobody knows.
        unit: What is counted, one of it.
    """
    with closing(Progress(name, total, unit)) as progress:
        for item in items:
            progress.update()
            yield item


def format_progress(done: int, total: int | None, unit: str, seconds: float) -> str:
    """Return how far something is.

    Example:
        >>> format_progress(120, 4000, "volume", 600.0)
        '120 of 4000 volumes in 10 min, 12.0 a minute, 323 min left'
        >>> format_progress(0, None, "row", 90.0)
        '0 rows in 2 min'
    """
    parts = [f"{done}{'' if total is None else f' of {total}'} {unit}s in {seconds / 60:.0f} min"]
    if done:
        pace = done / seconds
        parts.append(f"{pace:.1f} a second" if pace > 1 else f"{60 * pace:.1f} a minute")
        if total is not None:
            parts.append(f"{(total - done) / pace / 60:.0f} min left")
    return ", ".join(parts)
