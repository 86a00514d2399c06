"""A run folder that branches off another: some members are the other's, everything that follows is its own.

A branch that was made by `make_branch` holds a small `branch.json` that says so, and whoever opens the folder with
`open_run_folder` gets the branch. A branch may itself have branches.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from pipeline.run_folder import RunFolder

SHARED = ("volumes", "slices", "references", "quarantine")
"""Tables that a branch reads from its parent, unless it is told otherwise."""
_DESCRIPTION = "branch.json"


class BranchFolder(RunFolder):
    """Paths and files of a branch. Members are shared by reference, on any file system: nothing is copied or linked.

    Args:
        uri: The branch's own folder.
        parent: The run folder that it branches off, perhaps a branch itself.
        shared: Members that are the parent's and never written here: folders such as `slices`, or single files such
            as `reports/ingest.json`.
    """

    def __init__(self, uri: str, parent: str, shared: Sequence[str] = SHARED) -> None:
        super().__init__(uri)
        self.parent = open_run_folder(parent)
        self.shared = tuple(shared)

    def __reduce__(self) -> tuple[type[BranchFolder], tuple[str, str, tuple[str, ...]]]:  # type: ignore[override]
        return BranchFolder, (self.uri, self.parent.uri, self.shared)

    def path(self, *parts: str) -> str:
        """Return the path of a member, shared ones being the parent's."""
        return self.parent.path(*parts) if self._is_shared(parts) else super().path(*parts)

    def remove(self, *parts: str) -> None:
        """Delete a file or folder of the branch if it is there.

        Raises:
            ValueError: If it is shared.
        """
        self._check_own(parts)
        super().remove(*parts)

    def _begin(self, parts: tuple[str, ...]) -> tuple[str, str]:
        """Return target and temporary path of a file of the branch."""
        self._check_own(parts)
        return super()._begin(parts)

    def _is_shared(self, parts: Sequence[str]) -> bool:
        """Tell whether a member is the parent's."""
        name = posixpath.join("", *parts)
        return any(name == member or name.startswith(f"{member}/") for member in self.shared)

    def _check_own(self, parts: tuple[str, ...]) -> None:
        """Raise `ValueError` if a member is shared."""
        if self._is_shared(parts):
            raise ValueError(f"{'/'.join(parts)} belongs to {self.parent.uri}, of which {self.uri} is a branch")


def make_branch(uri: str, parent: str, shared: Sequence[str]) -> RunFolder:
    """Make a folder a branch of another, for everybody who opens it with `open_run_folder`; return it.

    Args:
        uri: The branch's own folder.
        parent: The other run folder, relative to `uri`, such as `../other`, so that both can be moved together.
        shared: As in `BranchFolder`.
    """
    run = RunFolder(uri)
    run.write_json({"parent": parent, "shared": list(shared)}, _DESCRIPTION)
    return open_run_folder(uri)


def open_run_folder(uri: str) -> RunFolder:
    """Return the run folder, or the branch that its `branch.json` describes."""
    run = RunFolder(uri)
    if not run.exists(_DESCRIPTION):
        return run
    described = run.read_json(_DESCRIPTION)
    return BranchFolder(run.uri, run.member_uri(described["parent"]), described["shared"])
