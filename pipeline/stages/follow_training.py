"""Looking at a training while it runs: Ray Train's `fit` blocks, so it runs in a task and its history is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipeline.run_folder import RunFolder
from pipeline.training_history import read_history

if TYPE_CHECKING:
    import ray

POLL_INTERVAL_S = 1.0


def follow_training(run: RunFolder, network: str, fitting: ray.ObjectRef[None]) -> Iterator[dict[str, Any]]:
    """Give the record of each epoch as it is written, earlier ones at once, until training ends.

    Args:
        run: Run folder.
        network: Folder of the training.
        fitting: The task that runs `fit`; its error is raised here.
    """
    import ray

    running, seen = True, 0
    while running:
        running = not ray.wait([fitting], timeout=POLL_INTERVAL_S)[0]
        history = read_history(run, network)
        yield from history[seen:]
        seen = max(seen, len(history))
    ray.get(fitting)
