"""The refinement stage on one, two and three nodes of one CPU each, all on this machine, beside bare processes."""

from __future__ import annotations

from pipeline.benchmarks.timing import Timings
from pipeline.config import RayConfig
from pipeline.stages.benchmark_refinement import RefinementFlows

NODES = (1, 2, 3)
"""Sizes of the cluster. On a machine of two CPUs the third node only shows what a node more costs."""
_NODE = {"num_cpus": 1, "object_store_memory": 150_000_000}


def measure_nodes(flows: RefinementFlows) -> dict[int, Timings]:
    """Return the seconds of `ray`, the stage, and of `processes`, as many as there are nodes, by number of nodes.

    Args:
        flows: The cohort; no Ray may be running in this process.
    """
    from ray.cluster_utils import Cluster

    from pipeline.stages.session import ray_session

    cluster, timings = Cluster(initialize_head=True, head_node_args=_NODE), {}
    try:
        for nodes in NODES:
            while len(cluster.list_all_nodes()) < nodes:
                cluster.add_node(**_NODE)
            with ray_session(RayConfig(address=cluster.address)):
                timings[nodes] = flows.measure_against_processes()
    finally:
        cluster.shutdown()
    return timings
