"""A cluster of two raylets, for the tests of `check_cluster`, in a process of its own. Prints what was seen as JSON.

A path below `/proc/self/cwd` is a path that names another folder on the other node, because the nodes' processes have
different working directories: what a disk of their own would be on two machines.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from ray.cluster_utils import Cluster

from pipeline.cluster.check import describe_versions, find_open_doors, find_problems
from pipeline.config import RayConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.stages.check_cluster import examine_cluster
from pipeline.stages.session import ray_session


def see(folder):
    for name in ("first", "second", "source"):
        (folder / name).mkdir()
    os.chdir(folder / "second")  # where the raylet is started, so that its workers are there
    head = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": True, "dashboard_port": 0}
    cluster = Cluster(initialize_head=True, head_node_args=head | {"dashboard_host": "127.0.0.1"})
    os.chdir(folder / "first")
    cluster.add_node(num_cpus=1, object_store_memory=100_000_000)
    config, own, shared = RayConfig(address=cluster.address), RunFolder("/proc/self/cwd"), RunFolder(str(folder))
    try:
        yield "own", refusal(config, own)
        yield "unseen source", refusal(config, shared, str(folder / "source"))
        with ray_session(config, shared, str(folder)):
            nodes, access = examine_cluster(shared)
            yield "nodes", [asdict(node) for node in nodes]
            yield "problems", find_problems(nodes, describe_versions())
            yield "doors", find_open_doors(access)
            yield "everywhere", access.everywhere
            yield "complaints", [node.storage for node in examine_cluster(own)[0]]
    finally:
        cluster.shutdown()


def refusal(config, run, source=""):
    try:
        with ray_session(config, run, source):
            return ""
    except RefusedInputError as error:
        return str(error)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dict(see(Path(sys.argv[1])))))
