"""The two ways in which input is turned away: one case is set aside, or a run is refused before it starts."""

from __future__ import annotations

import traceback
from pathlib import Path

_PACKAGE = Path(__file__).parent


class CaseError(Exception):
    """One case cannot be used: it is quarantined and the run goes on.

    Args:
        code: Upper-case reason that a program can count, such as `MASK_SHAPE_MISMATCH`.
        message: One sentence for a person. It quotes both sides of the disagreement and holds no patient name,
            id, date, report text or folder.
        step: The step that rejected the case, such as `read` or `construct_couinaud`.
    """

    def __init__(self, code: str, message: str, step: str = "read") -> None:
        super().__init__(code, message, step)
        self.code = code
        self.message = message
        self.step = step

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class RefusedInputError(ValueError):
    """The run as a whole cannot start: arguments or input contradict each other. Jobs exit with code 2."""


def describe_error(error: BaseException) -> str:
    """Return an exception's type and the innermost place in this package, never its text: it may name a patient."""
    place = "outside the package"
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).is_relative_to(_PACKAGE):
            place = f"{Path(frame.filename).relative_to(_PACKAGE.parent).as_posix()}:{frame.lineno}"
    return f"{type(error).__name__} at {place}"
