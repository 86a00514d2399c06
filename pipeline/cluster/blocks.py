"""Into how many blocks the rows of a flow are cut."""

from __future__ import annotations

BLOCKS_PER_CPU = 16
"""Enough that an uneven item does not hold up the others, and that results, which leave a block when all of it is done,
show progress."""
MAXIMUM_BLOCKS = 20_000
"""One process sends all blocks out, some 60 a second: on a very large cluster fewer, fatter blocks are done earlier."""


def count_blocks(rows: int, cpus: int, blocks_per_cpu: int = BLOCKS_PER_CPU) -> int:
    """Return the number of blocks: no more than rows, at least one.

    Example:
        >>> count_blocks(5, 2), count_blocks(100_000, 160), count_blocks(100_000, 16_000)
        (5, 2560, 20000)
    """
    return max(1, min(rows, cpus * blocks_per_cpu, MAXIMUM_BLOCKS))
