"""The Ray part of the refinement benchmark: the stage, Parquet in to Parquet out, and the memory of its workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pipeline.benchmarks.processes import BareRefinement
from pipeline.benchmarks.timing import ROUNDS, Timings, peak_mb, restart_peak, take_turns
from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.stages.base import Row, Stage
from pipeline.stages.count_statistics import CountStatistics
from pipeline.stages.measure_surface import measure_cohort
from pipeline.stages.refine_pixel_labels import RefinePixelLabels, cut_work, flow_over_slabs
from pipeline.sweep.grid import StackedStatistics
from pipeline.sweep.statistics_table import TABLE, read_statistics

_THRESHOLDS = [(1 + step) / 41 for step in range(40)]
_SCALES = [0.4 * (1 + step) for step in range(25)]
"""A sweep of 1,000 points."""


class MeasuredRefinement(RefinePixelLabels):
    """PLR that says how much memory its process took at most.

    Args:
        measurement: Name of the measurement; the peak of a process starts again with the first item of each.
        arguments: Those of `RefinePixelLabels`.
    """

    emits: ClassVar[tuple[str, ...]] = (*RefinePixelLabels.emits, "worker", "peak_mb")

    def __init__(self, measurement: str, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.measurement = measurement

    def process(self, row: Row) -> Iterator[Row]:
        """Refine and measure."""
        restart_peak(self.measurement)
        for result in super().process(row):
            yield {**result, "worker": os.getpid(), "peak_mb": peak_mb() or 0.0}


class RefinementFlows:
    """The flows that the benchmark compares, over the volumes of its cohort, on a running Ray.

    Args:
        run: Folder of the cohort.
        config: Settings.
        volumes: Volumes of the cohort.
        deep: A volume of ten times the depth.
    """

    def __init__(self, run: RunFolder, config: PipelineConfig, volumes: Sequence[VolumeRow], deep: VolumeRow) -> None:
        self.run = run
        self.config = config
        self.volumes = volumes
        self.deep = deep
        self.slices = sum(volume.slice_count for volume in volumes)

    def refine(self, tasks: int = 0) -> None:
        """Refine the cohort, as the job does."""
        known = {volume.volume_id: volume for volume in self.volumes}
        stage = RefinePixelLabels(self.run, self.config.grid, self.config.pixel_labels, known)
        self._drain(self._flow(stage, self.volumes, tasks))

    def sweep(self) -> None:
        """Count the statistics of the cohort and evaluate 1,000 points from them."""
        known = {volume.volume_id: volume for volume in self.volumes}
        self.run.remove(TABLE)
        stage = CountStatistics(self.run, self.config.grid, self.config.pixel_labels.radius, known)
        self._drain(self._flow(stage, self.volumes))
        labels = self.config.pixel_labels
        measure_cohort(self.run, labels, self.volumes, _THRESHOLDS, _SCALES, stability=False)

    def measure_time(self) -> Timings:
        """Time the stage on all CPUs and on one, as many bare processes, and the sweep, in turns."""
        self.sweep()
        cohort = StackedStatistics([read_statistics(self.run, volume) for volume in self.volumes])
        others: dict[str, Callable[[], object]] = {
            "ray_one_cpu": lambda: self.refine(tasks=1),
            "sweep": self.sweep,
            "points": lambda: cohort.evaluate(_THRESHOLDS, _SCALES),
        }
        return self.measure_against_processes(others)

    def measure_against_processes(self, others: Mapping[str, Callable[[], object]] | None = None) -> Timings:
        """Time the stage on all CPUs, as many bare processes, and perhaps other operations, in turns."""
        known = {volume.volume_id: volume for volume in self.volumes}
        work = cut_work(self.volumes, self.config.grid.slab_length)
        with BareRefinement(count_cpus(), self.run, self.config, known, find_niceness()) as processes:
            pair: dict[str, Callable[[], object]] = {"ray": self.refine, "processes": lambda: processes.refine(work)}
            return take_turns({**pair, **(others or {})}, ROUNDS)

    def measure_memory(self) -> dict[str, float]:
        """Return the largest peak of a worker in MB at a sixteenth, a quarter and all of the cohort, and in depth."""
        count = len(self.volumes)
        parts = {f"{times}x": self.volumes[: max(1, count * times // 16)] for times in (1, 4, 16)}
        return {name: self._peak(name, part) for name, part in {**parts, "10x_depth": [self.deep]}.items()}

    def _peak(self, measurement: str, volumes: Sequence[VolumeRow]) -> float:
        """Return the largest peak of a worker over some volumes."""
        known = {volume.volume_id: volume for volume in volumes}
        labels = self.config.pixel_labels
        stage = MeasuredRefinement(f"{measurement} {os.getpid()}", self.run, self.config.grid, labels, known)
        return max(row["peak_mb"] for row in self._flow(stage, volumes))

    def _flow(self, stage: Stage, volumes: Sequence[VolumeRow], tasks: int = 0) -> Iterator[Row]:
        """Run a stage over volumes."""
        length = self.config.grid.slab_length
        return flow_over_slabs(stage, cut_work(volumes, length), length, tasks)

    def _drain(self, rows: Iterator[Row]) -> None:
        """Run a flow over the cohort to its end.

        Raises:
            RuntimeError: If it did not take every slice: its time would mean nothing.
        """
        taken = sum(row["slices"] for row in rows)
        if taken != self.slices:
            raise RuntimeError(f"the flow took {taken} of {self.slices} slices")


def count_cpus() -> int:
    """Return the CPUs of the cluster."""
    import ray

    return int(ray.cluster_resources()["CPU"])


def find_niceness() -> int:
    """Return the priority of Ray's workers, which is lower than usual: on a busy machine that makes a difference."""
    import ray

    niceness: int = ray.get(ray.remote(lambda: os.nice(0)).remote())
    return niceness
