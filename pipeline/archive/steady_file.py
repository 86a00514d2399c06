"""Files of a share that now and then fails: what can be read on another try is read.

A network share answers EIO or ESTALE for a moment and then works again. Each operation on a file of the source is tried
`len(WAITS_SECONDS)` times more; a file is opened anew for that, and read on where it was. An error that another try
cannot mend, such as a missing file, is raised at once, and one that stays is raised in the end.
"""

from __future__ import annotations

import errno
import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)
"""Pauses before the further tries. They count as time of the case."""
PASSING_ERRORS = frozenset(
    {
        errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ENETDOWN,
        errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ECONNABORTED, errno.ECONNREFUSED,
        errno.ECONNRESET, errno.ENOTCONN, None,
    }
)  # fmt: skip
"""What may work on another try. Errors of object stores have no number."""
_LASTING_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def try_again(action: Callable[[], T]) -> T:
    """Return what an action returns, tried again where its error may pass.

    Raises:
        OSError: The error of the last try, or the first that does not pass.
    """
    for wait in WAITS_SECONDS:
        try:
            return action()
        except OSError as error:
            if error.errno not in PASSING_ERRORS or isinstance(error, _LASTING_ERRORS):
                raise
        time.sleep(wait)
    return action()


def open_steadily(open_file: Callable[[], IO[bytes]]) -> IO[bytes]:
    """Open a file for reading.

    Args:
        open_file: Opens it as a seekable stream, best without a buffer.

    Raises:
        OSError: As `try_again`, from every operation of the stream.
    """
    return io.BufferedReader(_SteadyFile(open_file))


def open_path(path: Path) -> IO[bytes]:
    """Open a file of the local file system for reading, as `open_steadily` does."""
    return open_steadily(lambda: path.open("rb", buffering=0))


class _SteadyFile(io.RawIOBase):
    """A stream that is opened anew where an operation fails."""

    name = ""
    """pydicom asks every buffered reader for its name."""

    def __init__(self, open_file: Callable[[], IO[bytes]]) -> None:
        self._open_file = open_file
        self._position = 0
        self._stream: Any = None
        self._steadily(lambda stream: None)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it has positions."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position and return it; the stream follows when it is read."""
        if whence == io.SEEK_END:
            offset += self._steadily(lambda stream: stream.seek(0, io.SEEK_END))
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return how many bytes that were."""
        count: int = self._steadily(lambda stream: stream.readinto(buffer))
        self._position += count
        return count

    def readall(self) -> bytes:
        """Return the rest."""
        data: bytes = self._steadily(lambda stream: stream.read())
        self._position += len(data)
        return data

    def close(self) -> None:
        """Close the stream that is open."""
        self._drop()
        super().close()

    def _steadily(self, action: Callable[[Any], T]) -> T:
        """Apply an action to the stream at this file's position."""

        def attempt() -> T:
            """Apply it once; drop the stream if it fails."""
            if self._stream is None:
                self._stream = self._open_file()
            try:
                self._stream.seek(self._position)
                return action(self._stream)
            except OSError:
                self._drop()
                raise

        return try_again(attempt)

    def _drop(self) -> None:
        """Close the stream, whatever it says to that."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()
