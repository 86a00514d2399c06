"""Whether the cluster has room for a step: workers that ask for more than there is would wait for ever."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from pipeline.config import CouinaudNetConfig, PipelineConfig, SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.stages.session import cluster_capacity


class WorkerSettings(Protocol):
    """What workers of a step reserve."""

    @property
    def cpus_per_worker(self) -> float:
        """CPUs of each."""

    @property
    def use_gpu(self) -> bool:
        """Whether each has a GPU."""


class PoolSettings(WorkerSettings, Protocol):
    """A pool of actors."""

    @property
    def prediction_actors(self) -> int:
        """Their number; 0 for as many as fit."""


def require_room(
    setting: str, workers: int, each: WorkerSettings, capacity: Mapping[str, float], spare_cpu: bool = False
) -> None:
    """Refuse workers that the cluster has no room for.

    Args:
        setting: Dotted name of the setting that gives their number.
        workers: Their number.
        each: What each of them reserves.
        capacity: `cluster_capacity()`.
        spare_cpu: Whether a CPU has to be left for those that read their data.

    Raises:
        RefusedInputError: Quoting what is asked for and what there is.
    """
    cpus, gpus = capacity.get("CPU", 0.0), capacity.get("GPU", 0.0)
    if workers * each.cpus_per_worker + spare_cpu > cpus or (each.use_gpu and workers > gpus):
        raise RefusedInputError(
            f"{setting}: {workers} workers need {each.cpus_per_worker:g} CPUs{' and a GPU' * each.use_gpu} each"
            f"{' and one CPU beside them' * spare_cpu}, the cluster has {cpus:g} CPUs and {gpus:g} GPUs"
        )


def require_training_room(config: CouinaudNetConfig | SegmenterConfig) -> None:
    """Refuse a training whose workers, and what reads their data, the cluster has no room for.

    Args:
        config: The network's settings. CouinaudNet's workers are fed by Ray Data, the segmenter's read files.

    Raises:
        RefusedInputError: As `require_room`.
    """
    fed = isinstance(config, CouinaudNetConfig)
    setting = f"{'couinaudnet' if fed else 'segmenter'}.num_workers"
    require_room(setting, config.num_workers, config, cluster_capacity(), spare_cpu=fed)


def pool_size(section: str, settings: PoolSettings, spare_cpu: bool = False) -> int:
    """Return how many actors a pool has: as many as asked for, or, asked for 0, as many as fit beside one free CPU.

    Args:
        section: Name of the section of settings.
        settings: The section.
        spare_cpu: Whether a CPU has to be left beside the actors in any case.

    Raises:
        RefusedInputError: As `require_room`.
    """
    capacity, actors = cluster_capacity(), settings.prediction_actors
    if not actors:
        room = (capacity.get("CPU", 0.0) - 1) / settings.cpus_per_worker
        actors = max(1, int(min(room, capacity.get("GPU", 0.0)) if settings.use_gpu else room))
    require_room(f"{section}.prediction_actors", actors, settings, capacity, spare_cpu)
    return actors


def require_method_room(config: PipelineConfig, steps: Collection[str]) -> None:
    """Refuse before the first step of the method what a later one would refuse.

    Args:
        config: Settings of the run.
        steps: Names of the steps that are left.

    Raises:
        RefusedInputError: As `require_room`.
    """
    for step, settings in (("train_couinaudnet", config.couinaudnet), ("train_segmenter", config.segmenter)):
        if step in steps:
            require_training_room(settings)
    if "predict_tumors" in steps:
        pool_size("couinaudnet", config.couinaudnet)
    if "predict_segmentation" in steps:
        pool_size("segmenter", config.segmenter)
