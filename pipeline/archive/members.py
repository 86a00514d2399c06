"""The files of a folder or of a zip that stands for it, seen alike. A zip is read in memory and never unpacked."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.archive.checks import reading
from pipeline.archive.steady_file import open_path, try_again
from pipeline.errors import CaseError

MAXIMUM_ZIP_BYTES = 2**32
"""Largest sum of the decompressed files of one zip."""
_JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", "dicomdir"})
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Member:
    """One file.

    Args:
        name: Path inside the folder or zip, with forward slashes. For sorting and grouping, never for messages.
        read: Returns the whole file.
    """

    name: str
    read: Callable[[], bytes]

    @property
    def folder(self) -> str:
        """Base name of the folder that holds the file; empty at the top."""
        return PurePosixPath(self.name).parent.name


@contextmanager
def open_members(path: Path, what: str, byte_cap: int = MAXIMUM_ZIP_BYTES) -> Iterator[list[Member]]:
    """Give the files of a folder or zip, in the order of their names; operating systems' own files are left out.

    Args:
        path: Folder or `.zip` file.
        what: The folder in words, for messages.
        byte_cap: Largest decompressed size of a zip.

    Raises:
        CaseError: `ZIP_UNSAFE_NAME` (a member outside of the zip's own folder), `ZIP_SYMLINK`, `ZIP_TOO_LARGE`,
            `ZIP_UNSUPPORTED` (encrypted, or neither stored nor deflated), `ZIP_CORRUPT`, also when a member is read
            later, or `FILE_UNREADABLE`.
    """
    with reading(what):
        is_folder = try_again(path.is_dir)
    if is_folder:
        yield _folder_members(path, what)
        return
    with open_zip(path, what, byte_cap) as (archive, infos):
        members = [Member(info.filename, partial(_read_zipped, archive, info, what)) for info in infos]
        yield _in_order(members)


@contextmanager
def open_zip(
    file: Path | IO[bytes], what: str, byte_cap: int = MAXIMUM_ZIP_BYTES
) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """Give a zip and the files that its table of contents lists, which is checked before anything is read.

    Raises:
        CaseError: As `open_members`.
    """
    with ExitStack() as stack:
        with reading(what), zip_errors(what):
            stream = stack.enter_context(open_path(file)) if isinstance(file, Path) else file
            archive = stack.enter_context(zipfile.ZipFile(stream))
        infos = [info for info in archive.infolist() if not info.is_dir()]
        _require_safe(infos, what, byte_cap)
        with zip_errors(what):
            yield archive, infos


def _folder_members(path: Path, what: str) -> list[Member]:
    """Return the files under a folder."""
    with reading(what):
        files = try_again(lambda: [file for file in path.rglob("*") if file.is_file()])
    return _in_order([Member(file.relative_to(path).as_posix(), partial(read_file, file, what)) for file in files])


def _in_order(members: list[Member]) -> list[Member]:
    """Sort by name within folders of the same base name, so that a zip with one more level gives the same order."""
    kept = [member for member in members if not is_junk(PurePosixPath(member.name))]
    return sorted(kept, key=lambda member: (member.folder, PurePosixPath(member.name).name, member.name))


def is_junk(name: PurePosixPath) -> bool:
    """Tell whether an operating system or viewer left this file."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
    return hidden or name.name.lower() in _JUNK_NAMES


def read_file(path: Path, what: str) -> bytes:
    """Return the whole of a file.

    Raises:
        CaseError: `FILE_UNREADABLE`.
    """
    with reading(what), open_path(path) as stream:
        return stream.read()


def _read_zipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, what: str) -> bytes:
    """Read a member, never more than its declared size; zipfile checks the CRC at the end."""
    with reading(what), zip_errors(what), archive.open(info) as stream:
        return stream.read(info.file_size)


@contextmanager
def zip_errors(what: str) -> Iterator[None]:
    """Turn the ways in which a zip can be broken into `ZIP_CORRUPT`."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise CaseError("ZIP_CORRUPT", f"{what}: the zip is damaged or truncated") from None


def _require_safe(infos: list[zipfile.ZipInfo], what: str, byte_cap: int) -> None:
    """Check a zip's table of contents before anything is read."""
    for info in infos:
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in info.filename.split("/")[0]:
            raise CaseError("ZIP_UNSAFE_NAME", f"{what}: the zip names a member outside of its own folder")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise CaseError("ZIP_SYMLINK", f"{what}: the zip holds a symbolic link, expected files")
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise CaseError("ZIP_UNSUPPORTED", f"{what}: the zip has members that are not plainly stored or deflated")
    total = sum(info.file_size for info in infos)
    if total > byte_cap:
        raise CaseError("ZIP_TOO_LARGE", f"{what}: the zip decompresses to {total} bytes, allowed are {byte_cap}")
