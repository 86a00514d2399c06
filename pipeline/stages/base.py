"""What all stages share: declared columns, one row at a time, cases set aside, and the check that a flow fits.

A row is the only thing that Ray Data keeps whole, so a row is a work item (a volume, or a slab of one), and a stage
takes one row and gives any number of rows. Blocks may be split and merged at will without changing a result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.attempts import attempt
from pipeline.config import RayConfig
from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder

Row = dict[str, Any]

REASON = ("code", "message")
"""Columns that say why a case cannot be used; empty where it can. A stage may give the `step` of the error, too."""
ATTEMPTS_SETTING = "attempts_per_case"
"""Key under which Ray Data's context carries the setting of that name to the workers."""


class Stage(ABC):
    """One step of a flow. Construct cheaply; load models in `setup`, in the process where they are used."""

    reads: ClassVar[tuple[str, ...]]
    """Columns that the stage needs."""
    emits: ClassVar[tuple[str, ...]]
    """Columns of the rows that the stage gives."""

    def setup(self) -> None:  # noqa: B027 - most stages have nothing to load
        """Load what is expensive, unless it is loaded: this runs before every batch."""

    @abstractmethod
    def process(self, row: Row) -> Iterator[Row]:
        """Give the rows that follow from one row, with exactly the columns of `emits` and no nulls."""

    def attempt(self, row: Row) -> Iterator[Row]:
        """Give the rows that follow from one row."""
        return self.process(row)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Apply `process` to every row of an Arrow batch, streaming one output row at a time."""
        self.setup()
        for row in batch.to_pylist():
            for result in self.attempt(row):
                if set(result) != set(self.emits):
                    raise ValueError(f"{type(self).__name__} promised {sorted(self.emits)}, gave {sorted(result)}")
                yield pa.Table.from_pylist([result])


class CaseStage(Stage):
    """A stage whose rows are cases, or parts of cases, and which says why one of them cannot be used.

    `process` gives the columns of `emits` without the reason, or raises `CaseError`. A case whose workers die is tried
    as often as the setting `ray.attempts_per_case` says; see `pipeline.attempts`.
    """

    step: ClassVar[str]
    """Name of the step."""
    nothing: ClassVar[Row] = {}
    """What the row of a rejected case holds in columns that are not its own."""
    run: RunFolder

    def attempt(self, row: Row) -> Iterator[Row]:
        """Give the rows of one case, or a single row that says why there are no more."""
        try:
            with attempt(self.marked_run(), self.step, name_item(row), _attempts_per_case()):
                for result in self.process(row):
                    yield {**{name: "" for name in (*REASON, "step") if name in self.emits}, **result}
        except CaseError as error:
            yield self.reject(row, error)

    def marked_run(self) -> RunFolder:
        """Return the run folder of the job, where attempts are marked."""
        return self.run

    def reject(self, row: Row, error: CaseError) -> Row:
        """Return the row of a case that cannot be used."""
        known = {**row, **self.nothing, **vars(error)}
        return {name: known[name] for name in self.emits}


def name_item(row: Row) -> str:
    """Return the name of a work item: a case, or a case and its first slab.

    Example:
        >>> name_item({"volume_id": "a"}), name_item({"volume_id": "a", "slabs": [3, 4]}), name_item({"case_id": "a+1"})
        ('a', 'a@3', 'a+1')
    """
    name = row["volume_id"] if "volume_id" in row else row["case_id"]
    slabs = row.get("slabs") or [row.get("slab")]
    return str(name) if slabs[0] is None else f"{name}@{slabs[0]}"


def set_aside(run: RunFolder, step: str, rows: Iterable[Row], *tables: str) -> tuple[list[Row], Counter[str]]:
    """Quarantine the volumes that a `CaseStage` gave a reason for, and remove what it wrote of them.

    Args:
        run: Run folder.
        step: Name of the step.
        rows: Rows of the stage, in any order.
        tables: Folders with a member for each volume.

    Returns:
        The rows of the other volumes, and the number of quarantined volumes by reason code.
    """
    known = list(rows)
    rejected = {
        row["volume_id"]: Rejection(row["volume_id"], row["code"], row["message"], step) for row in known if row["code"]
    }
    for volume_id, rejection in rejected.items():
        write_rejection(run, rejection)
        for table in tables:
            run.remove(table, volume_id)
    accepted = [row for row in known if row["volume_id"] not in rejected]
    return accepted, Counter(rejection.code for rejection in rejected.values())


def require_whole(rows: Iterable[Row]) -> Iterator[Row]:
    """Give rows on, where no case may be missing.

    Raises:
        RuntimeError: If a row says that its case cannot be used.
    """
    for row in rows:
        if row["code"]:
            raise RuntimeError(f"{name_item(row)}: {row['code']}: {row['message']}")
        yield row


def _attempts_per_case() -> int:
    """Return the setting, as the driver gave it to Ray Data."""
    from ray.data import DataContext

    attempts: int = DataContext.get_current().get_config(ATTEMPTS_SETTING, RayConfig.attempts_per_case)
    return attempts


def check_flow(columns: Sequence[str], stages: Sequence[type[Stage]]) -> None:
    """Check that each stage finds its columns.

    Args:
        columns: Columns of the first rows.
        stages: The stages in order.

    Raises:
        ValueError: If a stage reads a column that the rows before it do not have; both sides are quoted.
    """
    before, available = "the source", set(columns)
    for stage in stages:
        missing = set(stage.reads) - available
        if missing:
            raise ValueError(f"{stage.__name__} reads {sorted(missing)}, but {before} gives {sorted(available)}")
        before, available = stage.__name__, set(stage.emits)
