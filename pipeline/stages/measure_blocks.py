"""What Ray costs per block, in one process that does all sending and receiving: the driver."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipeline.stages.base import Row, Stage
from pipeline.stages.session import work_items

_BLOCKS = 200
_FLOWS = 3


class PassOn(Stage):
    """Do nothing."""

    reads = ("block",)
    emits = ("block",)

    def process(self, row: Row) -> Iterator[Row]:
        """Give the row on."""
        yield row


def measure_block() -> float:
    """Return the seconds that a block of no work takes, on as many CPUs as there are: the least of some flows."""
    return min(_send_blocks() for _ in range(_FLOWS)) / _BLOCKS


def _send_blocks() -> float:
    """Send blocks of one row through a flow; return its seconds."""
    begun = time.perf_counter()
    work = work_items("size_cluster", [{"block": number} for number in range(_BLOCKS)], blocks_per_cpu=_BLOCKS)
    given = sum(1 for _ in work.map_batches(PassOn(), batch_size=1, batch_format="pyarrow").iter_rows())
    assert given == _BLOCKS, "Ray keeps rows whole"
    return time.perf_counter() - begun
