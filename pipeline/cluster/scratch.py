"""Folders of a run folder that are there while a cluster is looked at, and what killed jobs left of them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from pipeline.run_folder import RunFolder

PROBE, ROWS = "probe-", "rows-"
"""Beginnings of their names: words that nodes exchange, and rows of volumes that are written to be timed."""
_STALE = timedelta(days=1)
"""The work on them takes minutes: an older one is nobody's."""


def sweep_scratch(run: RunFolder) -> None:
    """Remove the folders that jobs left which were killed at least a day ago; what cannot be removed stays."""
    for name in run.names():
        if name.startswith((PROBE, ROWS)):
            with suppress(OSError):  # another job's sweep, or another account's folder
                written = run.last_written(name, recursive=True)
                if written is not None and datetime.now(UTC) - written > _STALE:
                    run.remove(name)
