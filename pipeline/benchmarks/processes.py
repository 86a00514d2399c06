"""Work in bare processes, which Ray is measured against; of refinement the same reading, kernel and writing."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from pipeline.config import PipelineConfig
from pipeline.refinement.slab_refinement import refine_slabs
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow

Item = TypeVar("Item")

_given: list[Any] = []


class BareProcesses:
    """Processes that wait for work items; use as a context manager.

    Args:
        count: Number of processes.
        niceness: Priority of the processes, if it is lower than this process's.
        given: What all work items share, for the functions that `work_through` is given.
    """

    def __init__(self, count: int, niceness: int = 0, given: Sequence[Any] = ()) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would take over Ray's threads half dead
        self._pool = context.Pool(count, _set_up, (niceness, given))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the processes."""
        self._pool.terminate()
        self._pool.join()

    def work_through(self, function: Callable[[Item], int], work: Iterable[Item]) -> int:
        """Apply a function to work items, whichever process is free; return the sum of what it counts."""
        return sum(self._pool.imap_unordered(function, work))


class BareRefinement(BareProcesses):
    """Refinement as the Ray stage does it.

    Args:
        count: Number of processes.
        run: Run folder.
        config: Settings.
        volumes: The volumes that work items may name.
        niceness: As `BareProcesses`.
    """

    def __init__(
        self, count: int, run: RunFolder, config: PipelineConfig, volumes: Mapping[str, VolumeRow], niceness: int = 0
    ) -> None:
        super().__init__(count, niceness, (run, config, volumes))

    def refine(self, work: Sequence[Mapping[str, Any]]) -> int:
        """Refine the slabs that work items name; return the number of slices."""
        return self.work_through(_refine, work)


def _set_up(niceness: int, given: Sequence[Any]) -> None:
    """Keep what all work items share, and step back to the given priority."""
    os.nice(max(0, niceness - os.nice(0)))
    _given[:] = given


def _refine(item: Mapping[str, Any]) -> int:
    """Refine the slabs of one work item."""
    run, config, volumes = _given
    slices: int = refine_slabs(run, config.grid, config.pixel_labels, volumes[item["volume_id"]], item["slabs"]).slices
    return slices
