"""What stages over whole volumes share: their columns, their workers, and what becomes of an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from pipeline.archive.cases import CaseSource
from pipeline.archive.quarantine import Rejection
from pipeline.config import PipelineConfig
from pipeline.couinaud.methods import needs_network
from pipeline.errors import CaseError, describe_error
from pipeline.run_folder import RunFolder
from pipeline.stages.base import Stage

if TYPE_CHECKING:
    import ray.data

CASE_COLUMNS = tuple(field.name for field in fields(CaseSource))
"""Columns of a case as `CaseSource.to_row` gives it."""


def prepare_networks(config: PipelineConfig) -> PipelineConfig:
    """Check before the first volume that the networks can be used, and return settings for any worker.

    Raises:
        RefusedInputError: If a model folder cannot be used.
    """
    from pipeline.archive.liver_network import prepare_liver_network
    from pipeline.couinaud import prepare

    return replace(config, source=prepare_liver_network(config.source), couinaud=prepare(config.couinaud))


def load_networks(config: PipelineConfig) -> None:
    """Load the networks that a volume may need, once per process."""
    if needs_network(config.couinaud):
        from pipeline.couinaud.network import load_predictor

        load_predictor(config.couinaud)
    if config.source.liver_network:
        from pipeline.archive.liver_network import load_liver_network

        load_liver_network(config)


def map_volumes(
    work: ray.data.Dataset, stage: Callable[[RunFolder, PipelineConfig], Stage], run: RunFolder, config: PipelineConfig
) -> ray.data.Dataset:
    """Apply a stage to volumes, one at a time: in tasks, or in actors if there may be use for a network.

    Args:
        work: Rows with the columns that the stage reads.
        stage: Class of the stage.
        run: Run folder.
        config: Settings of the run.

    Raises:
        RefusedInputError: If the cluster has not the GPUs for the actors, or not a CPU left beside them.
    """
    import ray.data

    from pipeline.stages.room import pool_size

    couinaud = config.couinaud
    memory = config.source.memory_per_case_mb * 1_000_000 or None
    if not (needs_network(couinaud) or config.source.liver_network):
        return work.map_batches(stage(run, config), memory=memory, batch_size=1, batch_format="pyarrow")
    return work.map_batches(
        stage,
        fn_constructor_args=(run, config),
        compute=ray.data.ActorPoolStrategy(size=pool_size("couinaud", couinaud, spare_cpu=True)),
        num_cpus=couinaud.cpus_per_worker,
        num_gpus=int(couinaud.use_gpu),
        memory=memory,
        batch_size=1,
        batch_format="pyarrow",
    )


def reject(volume_id: str, error: Exception, step: str) -> Rejection:
    """Return the rejection of a case whose step failed, whatever the error was.

    Args:
        volume_id: The case.
        error: A `CaseError`, or anything else that a poisoned file or a mistake of ours can cause.
        step: Step to name for the latter.
    """
    if isinstance(error, CaseError):
        return Rejection.from_error(volume_id, error)
    return Rejection(volume_id, "UNEXPECTED", describe_error(error), step)
