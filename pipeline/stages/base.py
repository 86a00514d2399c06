"""What all stages share: declared columns, one row at a time, and the check that a flow fits before it runs.

A row is the only thing that Ray Data keeps whole, so a row is a work item (a volume, or a slab of one), and a stage
takes one row and gives any number of rows. Blocks may be split and merged at will without changing a result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa

Row = dict[str, Any]


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

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        """Apply `process` to every row of an Arrow batch, streaming one output row at a time."""
        self.setup()
        for row in batch.to_pylist():
            for result in self.process(row):
                if set(result) != set(self.emits):
                    raise ValueError(f"{type(self).__name__} promised {sorted(self.emits)}, gave {sorted(result)}")
                yield pa.Table.from_pylist([result])


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
