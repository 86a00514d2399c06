"""Joining or starting a Ray cluster, and the Ray Data settings that the pipeline relies on."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.cluster.blocks import BLOCKS_PER_CPU, count_blocks
from pipeline.config import RayConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.stages.base import ATTEMPTS_SETTING
from pipeline.stages.check_cluster import require_shared_storage

if TYPE_CHECKING:
    import ray.data

NO_PROGRESS_TIMEOUT_S = 900
"""A flow in which nothing finishes for this long is stopped with an error."""


_LOG_LEVELS = {
    "ray.data": logging.WARNING,
    "ray.train": logging.WARNING,
    "ray.data._internal.progress": logging.ERROR,  # says that progress bars, which the jobs draw, are off
    "ray._private.authentication": logging.ERROR,  # says that a local cluster asks for a token
}


_growth = {"CPU": 0.0, "GPU": 0.0}
"""What the autoscaler of the cluster can add up to, by resource."""


@contextmanager
def ray_session(config: RayConfig, run: RunFolder | None = None, source: str = "") -> Iterator[None]:
    """Use the cluster that is there, or start one on this machine and stop it at the end.

    A cluster that this call did not start, be it the caller's or a submitted job's, is left running.

    Args:
        config: The cluster.
        run: Run folder that all nodes must see; None leaves that unchecked.
        source: Archive that they must see, too; empty for none.

    Raises:
        RefusedInputError: If this call joins a cluster and one of its nodes does not see them, or starts one and Ray
            gives up waiting for its own processes.
    """
    os.environ.setdefault("RAY_DATA_PARQUET_FOOTER_NUM_ACTORS", "1")
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "60")
    import ray

    _set_log_levels()
    started = not ray.is_initialized()
    if started:
        _start(config)
    configure_data(config)
    _growth.update(CPU=config.grows_to_cpus, GPU=config.grows_to_gpus)
    try:
        if started and run is not None:
            require_shared_storage(run, source)
        yield
    finally:
        if started:
            ray.shutdown()


def _set_log_levels() -> None:
    """Keep what is not for a person at the command line off it."""
    for logger, level in _LOG_LEVELS.items():
        logging.getLogger(logger).setLevel(level)


def _start(config: RayConfig) -> None:
    """Join the configured or surrounding cluster, else start a local one."""
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    if config.address or os.environ.get("RAY_ADDRESS"):
        ray.init(address=config.address or None, **options)
        return
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")  # a process more; nobody takes this machine away
    cpus = config.cpus or max(2, os.cpu_count() or 2)
    store = config.object_store_mb * 1_000_000 or None
    try:
        ray.init(
            address="local",
            num_cpus=cpus,
            object_store_memory=store,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **options,
        )
    except Exception as error:  # Ray has no type for it
        if "timed out" not in str(error).lower():
            raise
        raise RefusedInputError(
            "Ray did not start on this machine in time; it may be busy, or a disk full: the same command goes on"
        ) from error


def configure_data(config: RayConfig) -> None:
    """Set Ray Data's context of this process: no silent loss of rows, no endless wait, quiet logs.

    A task that makes a dataset has to call it, too: the context of the driver does not go there.
    """
    import ray.data  # sets the levels of its loggers

    _set_log_levels()
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0
    context.execution_no_progress_timeout_s = NO_PROGRESS_TIMEOUT_S
    context.set_config(ATTEMPTS_SETTING, config.attempts_per_case)


def cluster_capacity() -> dict[str, float]:
    """Return the resources of the cluster, or what it can grow to where that is more."""
    import ray

    there: dict[str, float] = ray.cluster_resources()
    return there | {name: max(there.get(name, 0.0), most) for name, most in _growth.items()}


def work_items(step: str, rows: Sequence[dict[str, Any]], blocks_per_cpu: int = BLOCKS_PER_CPU) -> ray.data.Dataset:
    """Turn work items into a dataset of few, fat blocks: a block costs Ray some 7 ms, a work item far more.

    Args:
        step: Name of the step, with which the label `dataset` of Ray's metrics begins.
        rows: At least one row, all with the same columns and no nulls.
        blocks_per_cpu: Blocks per CPU of the cluster.
    """
    import ray.data

    cpus = max(1, int(cluster_capacity()["CPU"]))
    items = ray.data.from_items(list(rows), override_num_blocks=count_blocks(len(rows), cpus, blocks_per_cpu))
    items.set_name(step)
    return items
