"""What a training records of each epoch: `NETWORK/history.jsonl`, one JSON object per finished epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.run_folder import RunFolder

COUINAUDNET = "couinaudnet"
SEGMENTER = "segmenter"
"""The folders of the two trainings."""
_FILE = "history.jsonl"


def read_history(run: RunFolder, network: str) -> list[dict[str, Any]]:
    """Return the records of all epochs so far; empty before the first.

    Args:
        run: Run folder.
        network: Folder of the training, `couinaudnet` or `segmenter`.
    """
    return (
        [json.loads(line) for line in run.read_bytes(network, _FILE).splitlines()] if run.exists(network, _FILE) else []
    )


def write_history(run: RunFolder, network: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Write the records of all epochs so far, so that a training that went back to a checkpoint leaves none twice."""
    run.write_bytes("".join(f"{json.dumps(record)}\n" for record in records).encode(), network, _FILE)
