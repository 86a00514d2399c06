"""The Ray part of the Couinaud benchmark: the same volume through one and two workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pipeline.benchmarks.couinaud import METHODS, VOLUMES, WORKERS, read_benchmark_volume
from pipeline.benchmarks.timing import peak_mb, restart_peak
from pipeline.config import PipelineConfig
from pipeline.couinaud import construct
from pipeline.run_folder import RunFolder
from pipeline.stages.base import Row, Stage
from pipeline.stages.session import work_items


class MeasureConstruction(Stage):
    """Construct the map of the benchmark's volume; say how long it took and how much memory.

    Args:
        run: Folder of the volume.
        config: Settings of the constructors.
    """

    reads = ("method", "number")
    emits = ("seconds", "start_mb", "peak_mb")

    def __init__(self, run: RunFolder, config: PipelineConfig) -> None:
        self.run = run
        self.config = config

    def process(self, row: Row) -> Iterator[Row]:
        """Read, construct and measure; memory is 0 where the system does not say."""
        volume = read_benchmark_volume(self.run)
        restart_peak(row["number"])
        start_mb, started = peak_mb() or 0.0, time.perf_counter()
        construct(volume, replace(self.config.couinaud, method=row["method"]))
        seconds = time.perf_counter() - started
        yield {"seconds": seconds, "start_mb": start_mb, "peak_mb": peak_mb() or 0.0}


def measure_constructors(
    run: RunFolder, config: PipelineConfig
) -> tuple[dict[tuple[str, int], list[Row]], dict[tuple[str, int], float]]:
    """Return, for each method and number of workers, what was measured of each volume, and the seconds of the flow.

    One volume per worker goes before, so that imports and models count nowhere.
    """
    rows: dict[tuple[str, int], list[Row]] = {}
    seconds: dict[tuple[str, int], float] = {}
    for method in METHODS:
        list(_flow(run, config, method, max(WORKERS), max(WORKERS)))
        for workers in WORKERS:
            started = time.perf_counter()
            rows[method, workers] = list(_flow(run, config, method, workers, VOLUMES))
            seconds[method, workers] = time.perf_counter() - started
    return rows, seconds


def _flow(run: RunFolder, config: PipelineConfig, method: str, workers: int, volumes: int) -> Iterator[Any]:
    """Run the volume so many times through a number of workers."""
    import ray.data

    items = [{"method": method, "number": f"{method} {workers} {number}"} for number in range(volumes)]
    work = work_items("benchmark_couinaud", items, blocks_per_cpu=volumes)
    work.context.op_resource_reservation_enabled = False
    compute = ray.data.TaskPoolStrategy(size=workers)
    stage = MeasureConstruction(run, config)
    yield from work.map_batches(stage, compute=compute, batch_size=1, batch_format="pyarrow").iter_rows()
