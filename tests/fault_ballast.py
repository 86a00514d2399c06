"""Fills the object stores of a cluster to the brim and keeps them so, until stdin ends. Prints what was spilled.

Whatever Ray prints goes to stderr: on stdout is nothing but the answers.
"""

import os
import sys

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

SHARE = 1.5
"""Of each store: what does not fit is spilled to disk."""
PIECE_BYTES = 10_000_000


@ray.remote(num_cpus=0)
def make_piece(number):
    return np.full(PIECE_BYTES, number, np.uint8)


def serve(address):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ray.init(address=address, log_to_driver=False, logging_level="error")
    pieces = []
    for node in ray.nodes():
        if node["Alive"]:
            here = make_piece.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
            store = node["Resources"]["object_store_memory"]
            pieces += [here.remote(number) for number in range(int(SHARE * store / PIECE_BYTES))]
    ray.wait(pieces, num_returns=len(pieces), fetch_local=False)
    answers.write("full\n")
    answers.flush()
    sys.stdin.read()
    kept = sum(int(ray.get(piece)[-1] == number) for piece, number in zip(pieces[:4], range(4), strict=False))
    from ray._private.internal_api import memory_summary

    answers.write(f"{kept}\n{memory_summary(address, stats_only=True)}\n")
    answers.close()


if __name__ == "__main__":
    serve(sys.argv[1])
