"""A cluster of three raylets for the fault matrix, in a process of its own: a head without CPUs and two nodes.

Reads commands from stdin and answers each with a line: `lose NODE_ID` removes a node and adds another one.
"""

import json
import sys
from contextlib import suppress

from ray.cluster_utils import Cluster

STORE_BYTES = 80_000_000
NODE = {"num_cpus": 2, "object_store_memory": STORE_BYTES}
START_S = 300
START_TRIES = 5
QUICK = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_failure_threshold": 5}
"""A lost node is noticed within seconds; usually it takes up to a minute."""


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def insist(start):
    """Start something; Ray gives a raylet 30 s, which a busy machine may need more than once."""
    for _ in range(START_TRIES - 1):
        with suppress(Exception):
            return start()
    return start()


def add_node(cluster):
    insist(lambda: cluster.add_node(wait=False, **NODE))
    cluster.wait_for_nodes(timeout=START_S)


def serve():
    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False, "_system_config": QUICK}
    cluster = insist(lambda: Cluster(initialize_head=True, head_node_args=head | {"wait": False}))
    try:
        for _ in range(2):
            add_node(cluster)
        say(json.dumps({"address": cluster.address}))
        for line in sys.stdin:
            (node,) = (node for node in cluster.worker_nodes if node._node_id == line.split()[1])
            cluster.remove_node(node, allow_graceful=False)
            add_node(cluster)
            say("done")
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    serve()
