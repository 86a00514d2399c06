"""The number of blocks."""

import doctest

from pipeline.cluster import blocks
from pipeline.cluster.blocks import count_blocks


def test_examples_hold():
    assert doctest.testmod(blocks).failed == 0


def test_there_is_a_block_even_before_there_is_a_cpu():
    assert count_blocks(7, 0) == 1
