"""A full disk, told in one line: it ends a job in many ways, most of them tracebacks of somebody else's code."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from pathlib import Path

from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder

_SIGNS = ("No space left on device", "Disk quota exceeded", "OutOfDiskError")
_FULL_BYTES = 2**20
"""Some libraries say only that they could not write. With less than this free, that is why."""


def explain_full_disk(error: BaseException, uri: str) -> str:
    """Return what to tell a person if a disk is full, else an empty string.

    Args:
        error: What ended the job, perhaps on another machine.
        uri: Run folder.
    """
    places = (_folder(uri), Path(tempfile.gettempdir()), Path("/dev/shm"))
    disks = {path: shutil.disk_usage(path) for path in places if path and path.exists()}
    if not says_full_disk(error) and all(disk.free > _FULL_BYTES for disk in disks.values()):
        return ""
    room = ", ".join(f"{disk.free / 1e9:.3f} of {disk.total / 1e9:.3f} GB of {path}" for path, disk in disks.items())
    return f"a disk is full, here or on another node; free here: {room}. Make room, then the same command goes on"


def says_full_disk(error: BaseException) -> bool:
    """Tell whether an error, or one that led to it, says itself that a disk is full."""
    text = "".join(traceback.format_exception(error))
    return any(sign in text for sign in _SIGNS)


def _folder(uri: str) -> Path | None:
    """Return the run folder as a local path, if it is one."""
    try:
        return RunFolder(uri).local()
    except RefusedInputError:
        return None
