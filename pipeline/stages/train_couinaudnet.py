"""CouinaudNet in Ray Train workers, fed by Ray Data, going on from its newest checkpoint whatever was killed.

Ray Train can bring back a run by its name, but it loses an epoch that was reported and not yet polled, and its list of
checkpoints is not written by rename. So the workers look in the run folder for the newest whole checkpoint themselves,
which serves a restarted worker and a restarted driver alike; Ray Train is told of each, and deletes the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.archive.quarantine import read_rejections
from pipeline.config import CouinaudNetConfig, PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.stages.base import Row
from pipeline.stages.couinaudnet_worker import count_steps, fix_epochs, train_on_worker
from pipeline.stages.follow_training import follow_training
from pipeline.stages.healthy_slices import ReadHealthySlices
from pipeline.stages.room import require_training_room
from pipeline.training_history import COUINAUDNET, read_history

if TYPE_CHECKING:
    import ray.data
    from ray.train.torch import TorchTrainer

CHECKPOINTS_KEPT = 2


def check_workers(config: CouinaudNetConfig, healthy_slices: int) -> None:
    """Refuse what would wait for ever: more than the cluster has room for, or a worker without a slice.

    Args:
        config: Workers and what they reserve.
        healthy_slices: Slices to train on.

    Raises:
        RefusedInputError: Quoting what is asked for and what there is.
    """
    require_training_room(config)
    if healthy_slices < config.num_workers:
        raise RefusedInputError(
            f"couinaudnet.num_workers: {config.num_workers} workers need a healthy slice each, there are"
            f" {healthy_slices}"
        )


def check_checkpoint(run: RunFolder, config: CouinaudNetConfig) -> None:
    """Refuse to go on with another number of workers: batches and epochs of the training would be others.

    Args:
        run: Run folder, perhaps with a checkpoint.
        config: Workers.

    Raises:
        RefusedInputError: If the newest checkpoint was made by another number; both are quoted.
    """
    from pipeline.models.checkpoint import CHECKPOINTS, newest_checkpoint, read_state

    name = newest_checkpoint(run)
    before = read_state(run, name).num_workers
    if before not in (None, config.num_workers):
        raise RefusedInputError(
            f"couinaudnet.num_workers: {name} was trained by {before} workers, now it is {config.num_workers};"
            f" go on with {before}, or remove {run.path(COUINAUDNET, CHECKPOINTS)} to train from the beginning"
        )


def train_couinaudnet(
    run: RunFolder, config: PipelineConfig, slabs: Sequence[Row], stop: int = 0
) -> Iterator[dict[str, Any]]:
    """Train from the newest checkpoint on; give the record of each epoch when it is done, earlier ones at once.

    At the end the networks and `couinaudnet.json` are in the run folder and the checkpoints are gone. A run folder
    that has them is left as it is. If a case that ends its workers stopped the training, it begins without that case.

    Args:
        run: Run folder.
        config: Settings.
        slabs: Rows of `CountHealthySlices`.
        stop: Epochs after which the training ends early, on the schedule of the whole one; 0 trains all of them.

    Raises:
        RefusedInputError: If the cluster is too small, or a checkpoint was made by another number of workers.
        ray.train.TrainingFailedError: If workers failed more often than the settings allow.
    """
    from pipeline.models.checkpoint import CHECKPOINTS, DESCRIPTION

    left: Sequence[Row] = [] if run.exists(COUINAUDNET, DESCRIPTION) else slabs
    if not left:
        yield from read_history(run, COUINAUDNET)
    while left:
        try:
            yield from _train(run, config, left, stop)
        except Exception:
            rejected = {rejection.volume_id for rejection in read_rejections(run)}
            before, left = left, [slab for slab in left if slab["volume_id"] not in rejected]
            if len(left) in (0, len(before)):
                raise
        else:
            break
    run.remove(COUINAUDNET, CHECKPOINTS)


def _train(run: RunFolder, config: PipelineConfig, slabs: Sequence[Row], stop: int) -> Iterator[dict[str, Any]]:
    """Train on slabs and publish the networks; give the record of each epoch."""
    import ray

    healthy_slices = _count_healthy(slabs)
    config = fix_epochs(config, healthy_slices)
    stop = stop or config.couinaudnet.epochs
    check_workers(config.couinaudnet, healthy_slices)
    check_checkpoint(run, config.couinaudnet)
    fitting = ray.remote(_fit).options(num_cpus=0).remote(run, config, slabs, stop)
    yield from follow_training(run, COUINAUDNET, fitting)
    _publish(run, config, healthy_slices, stop)


def _count_healthy(slabs: Sequence[Row]) -> int:
    """Return the healthy slices of all slabs."""
    return sum(row["healthy_slices"] for row in slabs)


def _publish(run: RunFolder, config: PipelineConfig, healthy_slices: int, epochs: int) -> None:
    """Make the newest checkpoint the run's trained network."""
    from pipeline.models.checkpoint import newest_checkpoint, publish, read_state

    name = newest_checkpoint(run)
    history = read_state(run, name).history
    if name is None or len(history) != epochs:
        raise RuntimeError(f"training ended at checkpoint {name}, expected {epochs} epochs")
    description = {
        "grid": asdict(config.grid),
        "synthesis": asdict(config.synthesis),
        "seed": config.seed,
        "epochs": epochs,
        "steps": sum(record["steps"] for record in history),
        "healthy_slices": healthy_slices,
        "resumed_from_epoch": [record["epoch"] for record in history if record["resumed"]],
        "last_epoch": history[-1],
        "versions": {package: version(package) for package in ("ray", "torch", "numpy")},
    }
    publish(run, config.couinaudnet, name, description)


def _fit(run: RunFolder, config: PipelineConfig, slabs: Sequence[Row], stop: int) -> None:
    """Run Ray Train; in a task of its own, so that the caller can look at the history meanwhile."""
    from pipeline.models.checkpoint import discard_stale_checkpoints

    discard_stale_checkpoints(run)
    _make_trainer(run, config, slabs, stop).fit()


def _make_trainer(run: RunFolder, config: PipelineConfig, slabs: Sequence[Row], stop: int) -> TorchTrainer:
    """Return the training up to an epoch, Ray Data being configured in this process."""
    from ray.data import ExecutionOptions
    from ray.train import CheckpointConfig, DataConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    from pipeline.models.checkpoint import CHECKPOINTS
    from pipeline.stages.session import configure_data

    configure_data(config.ray)
    net = config.couinaudnet
    return TorchTrainer(
        train_on_worker,
        train_loop_config={
            "run": run,
            "config": config,
            "steps": count_steps(net, _count_healthy(slabs)),
            "stop": stop,
        },
        scaling_config=ScalingConfig(
            num_workers=net.num_workers,
            use_gpu=net.use_gpu,
            resources_per_worker={"CPU": net.cpus_per_worker, "GPU": int(net.use_gpu)},
        ),
        run_config=RunConfig(
            name=CHECKPOINTS,
            storage_path=run.path(COUINAUDNET),
            storage_filesystem=run.filesystem,
            failure_config=FailureConfig(max_failures=net.maximum_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT),
        ),
        datasets={"train": _healthy_slices(run, config, slabs)},
        dataset_config=DataConfig(execution_options=ExecutionOptions(preserve_order=True)),
    )


def _healthy_slices(run: RunFolder, config: PipelineConfig, slabs: Sequence[Row]) -> ray.data.Dataset:
    """Return the dataset of healthy slices, slabs of different volumes mixed."""
    from pipeline.stages.session import work_items

    work = [{"volume_id": row["volume_id"], "slab": row["slab"]} for row in slabs if row["healthy_slices"]]
    work.sort(key=lambda row: (row["volume_id"], row["slab"]))
    order = np.random.default_rng([config.seed, len(work)]).permutation(len(work))
    slices = work_items("train_couinaudnet", [work[at] for at in order])
    return slices.map_batches(ReadHealthySlices(run, config.couinaudnet), batch_size=1, batch_format="pyarrow")
