"""Work in a tree: a node begins when its parent is done, several at a time; what fails stops nothing beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from pipeline.reproduce.plan import Node


def run_nodes(
    nodes: Sequence[Node], work: Callable[[Node], None], side_by_side: int
) -> tuple[set[str], dict[str, BaseException]]:
    """Work on nodes in threads, earlier ones first where there is a choice.

    Args:
        nodes: The nodes; parents that are not among them are done already.
        work: Does what is to be done for a node.
        side_by_side: Nodes at the same time.

    Returns:
        Names of the nodes that are done, and the errors of those that failed. Nodes below a failed one are in neither.
    """
    waiting, done = list(nodes), set[str]()
    running: dict[Future[None], str] = {}
    failed: dict[str, BaseException] = {}
    pool = ThreadPoolExecutor(side_by_side)
    try:
        while True:
            open_names = {node.name for node in nodes} - done
            ready = [node for node in waiting if node.parent not in open_names][: side_by_side - len(running)]
            for node in ready:
                waiting.remove(node)
                running[pool.submit(work, node)] = node.name
            if not running:
                return done, failed
            _collect(running, done, failed)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # interrupted: what runs ends with the cluster


def _collect(running: dict[Future[None], str], done: set[str], failed: dict[str, BaseException]) -> None:
    """Wait until something ends, and say how it ended."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        name, error = running.pop(future), future.exception()
        if error is None:
            done.add(name)
        else:
            failed[name] = error
