"""The run folder: where each table lies, and writing that can be done twice.

Every file is written under a temporary name and renamed, so that a reader sees a whole file or none, and a retried
task overwrites its own output with the same bytes. What a share refuses for a moment is tried again. Sliced tables hold
one file per slab: `TABLE/VOLUME/SLAB.parquet`, slab j holding the slice indices [j * L, (j + 1) * L).
"""

from __future__ import annotations

import functools
import json
import os
import posixpath
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from pipeline.archive.steady_file import try_again
from pipeline.errors import RefusedInputError

P = ParamSpec("P")
T = TypeVar("T")


def steadily(action: Callable[P, T]) -> Callable[P, T]:
    """Make an action on files, one that may be done twice, be tried again where its error may pass."""

    @functools.wraps(action)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        """Try for some seconds."""
        return try_again(lambda: action(*args, **kwargs))

    return tried


def join_uri(uri: str, *parts: str) -> str:
    """Return the path or URI of a member of a folder; options of the URI, such as `?region=...`, stay at its end.

    Args:
        uri: A local folder, or a URI.
        parts: Names below the folder; `..` goes up.

    Example:
        >>> join_uri("s3://bucket/run?region=eu-west-1", "..", "other"), join_uri("/runs/mine?", "tune")
        ('s3://bucket/other?region=eu-west-1', '/runs/mine?/tune')
    """
    if "://" not in uri:
        return posixpath.normpath(posixpath.join(uri, *parts))
    address, *options = re.split(r"(?=[?#])", uri, maxsplit=1)
    scheme, separator, path = address.partition("://")
    joined = posixpath.normpath(posixpath.join(path, *map(quote, parts)))
    return "".join((scheme, separator, joined, *options))


def spell_path(path: str) -> str:
    """Return one spelling of a path or URI: no slash at its end, and a local path absolute.

    In a job that was submitted to a cluster a relative path stays relative: it lies in the job's working directory, a
    copy that has another place with each submission.

    Example:
        >>> spell_path("/data//archive/"), spell_path("s3://bucket/archive/"), spell_path("")
        ('/data/archive', 's3://bucket/archive', '')
    """
    if "://" in path:
        return path.rstrip("/")
    local = os.path.normpath(os.path.expanduser(path)) if path else ""
    return local if not local or "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else os.path.abspath(local)


class RunFolder:
    """Paths and atomic files of one run. Cheap to pickle: it travels to workers as its URI.

    Args:
        uri: A local folder (relative or absolute) or a URI that `pyarrow.fs` opens, such as `s3://bucket/run`.

    Raises:
        RefusedInputError: If the URI names an unknown file system.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri if "://" in uri else str(Path(uri).expanduser().absolute())
        try:
            self.filesystem, self.root = fs.FileSystem.from_uri(self.uri)
        except (pa.ArrowInvalid, OSError) as error:
            raise RefusedInputError(f"run folder {uri!r} cannot be opened: {error}") from error

    def __reduce__(self) -> tuple[type[RunFolder], tuple[str]]:
        return RunFolder, (self.uri,)

    def path(self, *parts: str) -> str:
        """Return the path of a member inside the run folder's file system."""
        return posixpath.join(self.root, *parts)

    def member_uri(self, *parts: str) -> str:
        """Return the path or URI by which a member opens as a run folder of its own."""
        return join_uri(self.uri, *parts)

    def local(self, *parts: str) -> Path:
        """Return a member as a local path.

        Raises:
            RefusedInputError: If the run folder is not on a local or mounted file system.
        """
        if not isinstance(self.filesystem, fs.LocalFileSystem):
            raise RefusedInputError(f"{'/'.join(parts)} needs a local or mounted run folder, got {self.uri}")
        return Path(self.path(*parts))

    @steadily
    def exists(self, *parts: str) -> bool:
        """Tell whether a file or folder is there."""
        return bool(self.filesystem.get_file_info(self.path(*parts)).type != fs.FileType.NotFound)

    @steadily
    def names(self, *parts: str) -> list[str]:
        """Return the sorted base names in a folder; empty if there is no such folder. Temporary files are left out."""
        selector = fs.FileSelector(self.path(*parts), allow_not_found=True)
        return sorted(
            info.base_name for info in self.filesystem.get_file_info(selector) if ".tmp-" not in info.base_name
        )

    @steadily
    def last_written(self, *parts: str, recursive: bool = False) -> datetime | None:
        """Return when a member of a folder was last written, in UTC; None if there is none whose time is known.

        Args:
            parts: The folder.
            recursive: Look at all that is below it, not at its own members alone.
        """
        selector = fs.FileSelector(self.path(*parts), allow_not_found=True, recursive=recursive)
        times = [info.mtime_ns for info in self.filesystem.get_file_info(selector) if info.mtime_ns]
        return datetime.fromtimestamp(max(times) / 1e9, UTC) if times else None

    @steadily
    def remove(self, *parts: str) -> None:
        """Delete a file or folder of the run if it is there.

        Raises:
            ValueError: If no member is named: nobody deletes a whole run.
        """
        if not any(parts):
            raise ValueError(f"{self.uri}: only members are removed, not the run folder")
        kind = self.filesystem.get_file_info(self.path(*parts)).type
        if kind == fs.FileType.Directory:
            self.filesystem.delete_dir(self.path(*parts))
        elif kind == fs.FileType.File:
            self.filesystem.delete_file(self.path(*parts))

    @steadily
    def touch(self, *parts: str) -> None:
        """Make an empty file."""
        target, _ = self._begin(parts)
        self.filesystem.open_output_stream(target, compression=None).close()

    @steadily
    def write_bytes(self, data: bytes, *parts: str) -> None:
        """Write a file by rename."""
        with (
            self._replacing(parts) as temporary,
            self.filesystem.open_output_stream(temporary, compression=None) as stream,
        ):
            stream.write(data)

    @steadily
    def read_bytes(self, *parts: str) -> bytes:
        """Read a whole file as it is; a `.gz` stays compressed."""
        with self.filesystem.open_input_stream(self.path(*parts), compression=None) as stream:
            return bytes(stream.read())

    def write_json(self, value: Any, *parts: str) -> None:
        """Write a JSON file by rename."""
        self.write_bytes((json.dumps(value, indent=2) + "\n").encode(), *parts)

    def read_json(self, *parts: str) -> Any:
        """Read a JSON file."""
        return json.loads(self.read_bytes(*parts))

    @steadily
    def write_table(self, table: pa.Table, *parts: str) -> None:
        """Write a Parquet file of one row group by rename. The same table gives the same bytes."""
        with self._replacing(parts) as temporary:
            pq.write_table(
                table,
                temporary,
                filesystem=self.filesystem,
                row_group_size=max(1, table.num_rows),
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
                write_statistics=False,
            )

    @steadily
    def read_table(self, *parts: str, columns: list[str] | None = None) -> pa.Table:
        """Read a Parquet file, or only some of its columns.

        Raises:
            KeyError: If a column is not there; it and those that are there are quoted.
        """
        with self.filesystem.open_input_file(self.path(*parts)) as source:
            file = pq.ParquetFile(source)
            there = file.schema_arrow.names
            missing = [name for name in columns or () if name not in there]
            if missing:
                raise KeyError(f"{posixpath.join(*parts)}: no column {missing[0]}, there are {', '.join(there)}")
            return file.read(columns=columns, use_threads=False)

    @contextmanager
    def _replacing(self, parts: tuple[str, ...]) -> Iterator[str]:
        """Give a temporary path; rename it at the end, or remove what there is of it, as on a full disk."""
        target, temporary = self._begin(parts)
        try:
            yield temporary
            self.filesystem.move(temporary, target)
        except OSError:
            with suppress(OSError):
                self.filesystem.delete_file(temporary)
            raise

    def _begin(self, parts: tuple[str, ...]) -> tuple[str, str]:
        """Return target and temporary path, making the parent folder."""
        target = self.path(*parts)
        self.filesystem.create_dir(posixpath.dirname(target), recursive=True)
        return target, f"{target}.tmp-{uuid.uuid4().hex}"
