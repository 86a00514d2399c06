"""A run folder that branches off another: input tables are the other's, everything that follows is its own."""

from __future__ import annotations

from pipeline.run_folder import RunFolder

SHARED = ("volumes", "slices", "references", "quarantine")
"""Tables that a branch reads from its parent, and never writes."""


class BranchFolder(RunFolder):
    """Paths and files of a branch. Tables are shared by reference, on any file system: nothing is copied or linked.

    Args:
        uri: The branch's own folder.
        parent: The run folder that it branches off.
    """

    def __init__(self, uri: str, parent: str) -> None:
        super().__init__(uri)
        self.parent = RunFolder(parent)

    def __reduce__(self) -> tuple[type[BranchFolder], tuple[str, str]]:  # type: ignore[override]
        return BranchFolder, (self.uri, self.parent.uri)

    def path(self, *parts: str) -> str:
        """Return the path of a member, shared tables being the parent's."""
        return self.parent.path(*parts) if parts[:1] and parts[0] in SHARED else super().path(*parts)

    def remove(self, *parts: str) -> None:
        """Delete a file or folder of the branch if it is there.

        Raises:
            ValueError: If it is of a shared table.
        """
        self._check_own(parts)
        super().remove(*parts)

    def _begin(self, parts: tuple[str, ...]) -> tuple[str, str]:
        """Return target and temporary path of a file of the branch."""
        self._check_own(parts)
        return super()._begin(parts)

    def _check_own(self, parts: tuple[str, ...]) -> None:
        """Raise `ValueError` if a member is of a shared table."""
        if parts[0] in SHARED:
            raise ValueError(f"{'/'.join(parts)} belongs to {self.parent.uri}, of which {self.uri} is a branch")
