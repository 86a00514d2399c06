"""Whether all machines see the same run folder: each finds what the first wrote, and the first finds its answer."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass

from pyarrow import fs

from pipeline.cluster.scratch import PROBE, sweep_scratch
from pipeline.run_folder import RunFolder

_QUESTION = "question"


@dataclass(frozen=True)
class StorageProbe:
    """One exchange of words through a run folder.

    Args:
        run: Run folder.
        source: Archive that the machines have to see too; empty for none.
        token: What sets this exchange apart from others.
    """

    run: RunFolder
    source: str
    token: str

    @property
    def folder(self) -> str:
        """Name of the folder in the run folder."""
        return f"{PROBE}{self.token}"

    @classmethod
    def begin(cls, run: RunFolder, source: str = "") -> StorageProbe:
        """Write the question, and sweep what killed ones left."""
        sweep_scratch(run)
        probe = cls(run, source, uuid.uuid4().hex)
        run.write_bytes(probe.token.encode(), probe.folder, _QUESTION)
        return probe

    def answer(self, machine: str) -> str:
        """Read the question and write an answer, on another machine.

        Args:
            machine: Name of the machine, fit for a file name.

        Returns:
            What is wrong, with a verb in front; empty if nothing is.
        """
        try:
            if not self.run.exists(self.folder, _QUESTION):
                return "does not see what others write into the run folder"
            if self.run.read_bytes(self.folder, _QUESTION) != self.token.encode():
                return "reads other bytes from the run folder than were written"
            self.run.write_bytes(self._expected(machine), self.folder, machine)
        except OSError as error:
            return f"cannot use the run folder: {error.strerror or type(error).__name__}"
        return "" if not self.source or _holds_something(self.source) else "does not see the source, or an empty one"

    def check(self, machine: str) -> str:
        """Return what is wrong with a machine's answer, with a verb in front; empty if nothing is."""
        path = (self.folder, machine)
        arrived = self.run.exists(*path) and self.run.read_bytes(*path) == self._expected(machine)
        return "" if arrived else "writes into the run folder what does not arrive"

    def end(self) -> None:
        """Remove question and answers."""
        self.run.remove(self.folder)

    def _expected(self, machine: str) -> bytes:
        """Return a machine's answer."""
        return f"{self.token} {machine}".encode()


def _holds_something(source: str) -> bool:
    """Tell whether a source is a file or a folder with something in it: a mount that is not there is an empty one."""
    try:
        if "://" in source:
            filesystem, path = fs.FileSystem.from_uri(source)
            return bool(filesystem.get_file_info(path).type != fs.FileType.NotFound)
        with os.scandir(os.path.expanduser(source)) as entries:
            return any(True for _ in entries)
    except NotADirectoryError:
        return True
    except OSError:
        return False
