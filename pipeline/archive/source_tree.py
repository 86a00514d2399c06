"""A tree of files of any nesting, local or behind a URI: listed folder by folder, opened one by one, zips included.

A file is named by its path below the root; a member of a zip by the zip's path, `ZIP_MARK` and its own. Names travel
packed: millions of them fit where as many strings would not, and those that are no UTF-8 pass. Links are never
followed: what they name inside the tree is visited at its own place, and what lies outside is not the archive.
"""

from __future__ import annotations

import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

from pipeline.archive.checks import reading
from pipeline.archive.members import is_junk, open_zip, zip_errors
from pipeline.archive.steady_file import open_path, open_steadily, try_again
from pipeline.errors import RefusedInputError

if TYPE_CHECKING:
    import zipfile

CHUNK_FILES = 256
"""Files per work item of the discovery."""
MAXIMUM_ARCHIVE_BYTES = 2**36
"""Largest sum of the files of one zip. Only headers are read of most, and each under the sandbox's limits."""
ZIP_MARK = "\0/"
"""Between the path of a zip and that of its member: no path holds it."""


@dataclass(frozen=True)
class FileState:
    """A file as listed: what tells a changed one from an unchanged one without reading it.

    Args:
        name: Path below the root.
        size: Bytes.
        stamp: Modification time in nanoseconds, or the CRC of a zip's member.
    """

    name: str
    size: int
    stamp: int


class SourceTree:
    """The files below a folder. Cheap to make: it travels to workers as its URI.

    Args:
        uri: A local folder or a URI that `pyarrow.fs` opens.
    """

    def __init__(self, uri: str) -> None:
        local = unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
        self.uri = local if "://" in local else os.path.abspath(os.path.expanduser(local))
        self._zip_name = ""
        self._zip_stack = ExitStack()
        self._zip: zipfile.ZipFile | None = None

    def __reduce__(self) -> tuple[type[SourceTree], tuple[str]]:
        return SourceTree, (self.uri,)

    @cached_property
    def _remote(self) -> tuple[Any, str] | None:
        """File system and root; None for a local folder, which needs no such detour."""
        if "://" not in self.uri:
            return None
        from pyarrow import fs

        filesystem, root = fs.FileSystem.from_uri(self.uri)
        return filesystem, root.rstrip("/")

    def require(self) -> None:
        """Check that the root is there.

        Raises:
            RefusedInputError: If it is not a folder that can be opened.
        """
        try:
            there = try_again(lambda: next(iter(self._folder("")), None))
        except (OSError, ValueError) as error:
            raise RefusedInputError(f"source.path: expected a folder, got {self.uri!r}") from error
        if there is None:
            raise RefusedInputError(f"source.path: {self.uri!r} holds nothing")

    def chunks(self, skipped: Counter[str], size: int = CHUNK_FILES) -> Iterator[list[FileState]]:
        """Give the files in lists of at most `size`, in the order of a walk; a zip is one file, alone in its list.

        Args:
            skipped: Counts, by reason, what is left out: `LINK`, `SPECIAL_FILE`, `SYSTEM_FILE`, `EMPTY_FILE`,
                `FILE_UNREADABLE`, and `FOLDER_UNREADABLE` for a folder with all that lies in it.
            size: Longest list.
        """
        waiting: list[FileState] = []
        for state in self._walk("", skipped):
            if is_junk(PurePosixPath(state.name)):
                skipped["SYSTEM_FILE"] += 1
            elif not state.size:
                skipped["EMPTY_FILE"] += 1
            elif is_zip_name(state.name):
                yield [state]
            else:
                waiting.append(state)
            if len(waiting) == size:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def members(self, name: str) -> list[FileState]:
        """Return the members of a zip as files.

        Raises:
            CaseError: As `open_zip`.
        """
        infos = [info for info in self._open_zip(name).infolist() if not info.is_dir()]
        return [FileState(f"{name}{ZIP_MARK}{info.filename}", info.file_size, info.CRC) for info in infos]

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file or a zip's member as a seekable stream.

        Raises:
            CaseError: `FILE_UNREADABLE`, or as `open_zip`.
        """
        outer, mark, inner = name.partition(ZIP_MARK)
        with (
            reading("a file"),
            zip_errors("a zip"),
            self._open_zip(outer).open(inner) if mark else self._open(outer) as stream,
        ):
            yield stream

    def read(self, name: str) -> bytes:
        """Return the whole of a file."""
        with self.open(name) as stream:
            return stream.read()

    def close(self) -> None:
        """Close the zip that is open, if one is."""
        self._zip_stack.close()
        self._zip_name = ""

    def _open_zip(self, name: str) -> zipfile.ZipFile:
        """Open a zip, or return the one that is open: its table of contents is read once for all of its members."""
        if self._zip is None or self._zip_name != name:
            self.close()
            with reading("a zip"):
                stream = self._zip_stack.enter_context(self._open(name))
            self._zip, _ = self._zip_stack.enter_context(open_zip(stream, "a zip", MAXIMUM_ARCHIVE_BYTES))
            self._zip_name = name
        return self._zip

    def _open(self, name: str) -> IO[bytes]:
        """Open a file of the file system."""
        if self._remote:
            filesystem, root = self._remote
            return open_steadily(partial(filesystem.open_input_file, f"{root}/{name}"))
        return open_path(Path(self.uri, name))

    def _walk(self, folder: str, skipped: Counter[str]) -> Iterator[FileState]:
        """Give the files below a folder: its own first, then its folders', each in the order of names."""
        try:
            entries = try_again(lambda: sorted(self._folder(folder), key=lambda entry: entry[0]))
        except OSError:
            skipped["FOLDER_UNREADABLE"] += 1
            return
        for name, kind, size, stamp in entries:
            if kind == "file":
                yield FileState(name, size, stamp)
            elif kind != "folder":
                skipped[kind] += 1
        for name, kind, _, _ in entries:
            if kind == "folder":
                yield from self._walk(name, skipped)

    def _folder(self, folder: str) -> Iterator[tuple[str, str, int, int]]:
        """Give name, kind, size and stamp of what lies in a folder; a kind in capitals is a reason to skip it."""
        if self._remote:
            from pyarrow import fs

            filesystem, root = self._remote
            for info in filesystem.get_file_info(fs.FileSelector(f"{root}/{folder}".rstrip("/"))):
                kind = "folder" if info.type == fs.FileType.Directory else "file"
                name = f"{folder}/{info.base_name}".lstrip("/")
                yield name, kind, info.size or 0, info.mtime_ns or 0
            return
        with os.scandir(os.path.join(self.uri, folder)) as entries:
            for entry in entries:
                try:
                    state = try_again(partial(_state_of, entry))
                except OSError:
                    state = "FILE_UNREADABLE", 0, 0
                yield f"{folder}/{entry.name}".lstrip("/"), *state


def _state_of(entry: os.DirEntry[str]) -> tuple[str, int, int]:
    """Return kind, size and stamp of what lies in a folder; a kind in capitals is a reason to skip it."""
    if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
        return "LINK" if entry.is_symlink() else "SPECIAL_FILE", 0, 0
    if entry.is_dir():
        return "folder", 0, 0
    status = entry.stat()
    return "file", status.st_size, status.st_mtime_ns


def is_zip_name(name: str) -> bool:
    """Tell whether a file is a zip by its name."""
    return name.lower().endswith(".zip") and ZIP_MARK not in name


def pack_states(states: Sequence[FileState]) -> bytes:
    """Return files as a few bytes each."""
    rows = [[state.name, state.size, state.stamp] for state in states]
    return zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 1)


def unpack_states(packed: bytes) -> list[FileState]:
    """Return the files that `pack_states` packed."""
    return [FileState(name, size, stamp) for name, size, stamp in json.loads(zlib.decompress(packed))]
