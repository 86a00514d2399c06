"""The same reading, kernel and writing as the Ray stage's, in bare processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from pipeline.config import PipelineConfig
from pipeline.refinement.slab_refinement import refine_slabs
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow

_given: list[tuple[RunFolder, PipelineConfig, Mapping[str, VolumeRow]]] = []


class BareProcesses:
    """Two or more processes that wait for work items; use as a context manager.

    Args:
        count: Number of processes.
        run: Run folder.
        config: Settings.
        volumes: The volumes that work items may name.
        niceness: Priority of the processes, if it is lower than this process's.
    """

    def __init__(
        self,
        count: int,
        run: RunFolder,
        config: PipelineConfig,
        volumes: Mapping[str, VolumeRow],
        niceness: int = 0,
    ) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would take over Ray's threads half dead
        self._pool = context.Pool(count, _set_up, (niceness, run, config, volumes))

    def __enter__(self) -> BareProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes."""
        self._pool.terminate()
        self._pool.join()

    def refine(self, work: Sequence[Mapping[str, Any]]) -> int:
        """Refine the slabs that work items name, whichever process is free; return the number of slices."""
        return sum(self._pool.imap_unordered(_refine, work))


def _set_up(niceness: int, run: RunFolder, config: PipelineConfig, volumes: Mapping[str, VolumeRow]) -> None:
    """Keep what all work items share, and step back to the given priority."""
    os.nice(max(0, niceness - os.nice(0)))
    _given[:] = [(run, config, volumes)]


def _refine(item: Mapping[str, Any]) -> int:
    """Refine the slabs of one work item."""
    ((run, config, volumes),) = _given
    return refine_slabs(run, config.grid, config.pixel_labels, volumes[item["volume_id"]], item["slabs"]).slices
