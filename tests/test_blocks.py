"""The number of blocks, and the name under which Ray counts them."""

import doctest

from pipeline.cluster import blocks
from pipeline.cluster.blocks import count_blocks


def test_examples_hold():
    assert doctest.testmod(blocks).failed == 0


def test_there_is_a_block_even_before_there_is_a_cpu():
    assert count_blocks(7, 0) == 1


def test_metrics_of_a_flow_name_its_step(ray_cluster):
    from pipeline.stages.session import work_items

    work = work_items("evaluate", [{"number": 1}])
    assert work.map_batches(lambda batch: batch, batch_format="pyarrow").get_dataset_id().startswith("evaluate_")
