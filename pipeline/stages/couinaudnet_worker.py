"""What one Ray Train worker does to train CouinaudNet: its share of every epoch, and on rank 0 the book-keeping."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pipeline.config import CouinaudNetConfig, PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.stages.healthy_slices import decode_healthy_slices
from pipeline.training_history import COUINAUDNET, write_history

if TYPE_CHECKING:
    from torch import nn, optim
    from torch.utils.tensorboard import SummaryWriter

    from pipeline.models.checkpoint import TrainingState
    from pipeline.training import StepResult

TENSORBOARD = (COUINAUDNET, "tensorboard")
SHUFFLE_BUFFER_SLICES = 512
PREFETCHED_BATCHES = 2


def count_steps(config: CouinaudNetConfig, healthy_slices: int) -> int:
    """Return the steps per epoch, equal on all workers: Ray Data gives each of them the same number of slices."""
    return math.ceil(healthy_slices // config.num_workers / config.batch_size)


def fix_epochs(config: PipelineConfig, healthy_slices: int) -> PipelineConfig:
    """Return settings whose `couinaudnet.epochs` are the passes of the whole training, however its length is given."""
    net = config.couinaudnet
    if not net.steps:
        return config
    epochs = math.ceil(net.steps / max(1, count_steps(net, healthy_slices)))
    return replace(config, couinaudnet=replace(net, epochs=epochs))


def train_on_worker(settings: dict[str, Any]) -> None:
    """Train from the newest checkpoint on.

    Args:
        settings: `run`, the run folder; `config`, the settings of the run, whose `epochs` are the whole
            schedule; `steps`, the steps per epoch; `stop`, how many epochs there are to be at the end.
    """
    import ray.train
    import torch
    from ray.train.collective import broadcast_from_rank_zero
    from ray.train.torch import prepare_model

    from pipeline.models import checkpoint
    from pipeline.training import make_optimizer, summarize

    run, config, steps = settings["run"], settings["config"], settings["steps"]
    net = config.couinaudnet
    torch.set_num_threads(max(1, int(net.cpus_per_worker)))
    first = ray.train.get_context().get_world_rank() == 0
    name = broadcast_from_rank_zero(checkpoint.newest_checkpoint(run) if first else None)
    state = replace(checkpoint.read_state(run, name), num_workers=net.num_workers)
    start = state.epochs_done
    network = checkpoint.build_couinaudnet(net, config.seed)
    model = prepare_model(network)
    optimizer = make_optimizer(network, net)
    if name is not None:
        checkpoint.restore(run, name, network, optimizer)
    board = _open_board(run, start * steps) if first else None
    for epoch in range(start, settings["stop"]):
        began = time.monotonic()
        results = _train_epoch(model, optimizer, config, epoch, steps)
        record = {"steps": steps, "seconds": round(time.monotonic() - began, 2), "resumed": 0 < start == epoch}
        state = state.after({**record, **summarize(results)})
        if board is not None:
            _draw(board, results, epoch * steps)
        if first:
            _report(run, state, checkpoint.write_checkpoint(run, network, optimizer, state))
        else:
            ray.train.report(state.history[-1])


def _train_epoch(
    model: nn.Module, optimizer: optim.Optimizer, config: PipelineConfig, epoch: int, steps: int
) -> list[StepResult]:
    """Pass once over this worker's share of the healthy slices.

    Raises:
        RuntimeError: If Ray Data gave more or fewer batches than the run has slices for; workers would wait for each
            other in vain, or slices be lost.
    """
    import ray.train
    from ray.train.torch import get_device

    from pipeline.training import learning_rate, train_step
    from pipeline.training_batches import make_batch

    net = config.couinaudnet
    results: list[StepResult] = []
    batches = ray.train.get_dataset_shard("train").iter_batches(
        batch_size=net.batch_size,
        batch_format="numpy",
        prefetch_batches=PREFETCHED_BATCHES,
        local_shuffle_buffer_size=SHUFFLE_BUFFER_SLICES,
        local_shuffle_seed=config.seed + epoch,
    )
    for columns in batches:
        batch = make_batch(decode_healthy_slices(columns, config.grid, net.context_slices), epoch, config)
        batch = batch.to(get_device())
        rate = learning_rate(net, (epoch + len(results) / steps) / net.epochs)
        results.append(train_step(model, optimizer, batch, net, rate))
    if len(results) != steps:
        raise RuntimeError(f"epoch {epoch}: Ray Data gave {len(results)} batches, the run has slices for {steps}")
    return results


def _report(run: RunFolder, state: TrainingState, folder: tuple[str, ...]) -> None:
    """Write the history, then tell Ray Train of a checkpoint that is already where it belongs."""
    import ray.train
    from ray.train import Checkpoint, CheckpointUploadMode

    write_history(run, COUINAUDNET, state.history)
    ray.train.report(
        state.history[-1],
        checkpoint=Checkpoint(run.path(*folder), run.filesystem),
        checkpoint_upload_mode=CheckpointUploadMode.NO_UPLOAD,
    )


def _open_board(run: RunFolder, first_step: int) -> SummaryWriter | None:
    """Open the loss curves; what a killed worker drew beyond its last checkpoint is hidden.

    Returns:
        None behind a URI, for which TensorBoard needs packages of its own: `history.jsonl` has the curves, too.
    """
    from pyarrow.fs import LocalFileSystem
    from torch.utils.tensorboard import SummaryWriter

    if not isinstance(run.filesystem, LocalFileSystem):
        return None
    return SummaryWriter(run.path(*TENSORBOARD), purge_step=first_step or None)


def _draw(board: SummaryWriter, results: Sequence[StepResult], first_step: int) -> None:
    """Add one epoch's steps to the curves."""
    for step, result in enumerate(results, start=first_step):
        for name, value in asdict(result).items():
            board.add_scalar(f"couinaudnet/{name}", value, step)
    board.flush()
