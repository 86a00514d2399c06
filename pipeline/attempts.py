"""Attempts at a case: a case that ends its worker each time must not be tried for ever.

Ray starts a worker that was killed anew and gives it the same case. So an attempt leaves a mark before it begins,
`attempts/STEP/ITEM.NUMBER`, and takes it back however it ends, unless the process is gone. Marks that are left are
workers that died with this case in hand. One may be a lost node, or memory that another case took; after several the
case is set aside. A mark is an empty file: it is there or not, so it needs no rename.

Marks count within one start of a job: the next start drops them, because a job that is stopped leaves some, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder

FOLDER = "attempts"
CODE = "WORKER_DIED"
"""Reason code of a case that is set aside."""


@contextmanager
def attempt(run: RunFolder, step: str, item: str, limit: int) -> Iterator[None]:
    """Mark an item as begun while the body runs.

    Args:
        run: Run folder.
        step: Name of the step.
        item: The case, or the part of one, safe as a file name.
        limit: Workers that may die.

    Raises:
        CaseError: If so many died.
    """
    marks = [(FOLDER, step, f"{item}.{number}") for number in range(1, limit + 1)]
    left = next((number for number, mark in enumerate(marks) if not run.exists(*mark)), limit)
    if left == limit:
        message = f"{limit} workers died with this case in hand, as many as ray.attempts_per_case allows"
        raise CaseError(CODE, message, step)
    run.touch(*marks[left])
    try:
        yield
    finally:
        for mark in marks[: left + 1]:
            run.remove(*mark)


def forget_attempts(run: RunFolder, *branch: str) -> None:
    """Drop all marks of a run folder, or of the branch that lies in a folder of it."""
    run.remove(*branch, FOLDER)
