"""nnU-Net's trainer, made to run in a process group that it did not start, on CPU or GPU, stopping and going on."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import time
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from pipeline.config import PipelineConfig, SegmenterConfig
from pipeline.run_folder import RunFolder
from pipeline.segmenter.folders import SegmenterFolders, nnunet_session
from pipeline.segmenter.history import EpochRow
from pipeline.segmenter.optimization import WEIGHT_DECAY, WarmUpCosine, average_weights, settle_augmentation
from pipeline.segmenter.planning import CONFIGURATION, PLANS_FILE, read_json
from pipeline.segmenter.weights import SegmenterDescription, write_segmenter

ALL_CASES = "all"
"""nnU-Net's name of the fold that trains on every case: there are no references to validate against."""
LATEST_CHECKPOINT = "checkpoint_latest.pth"
FINAL_CHECKPOINT = "checkpoint_final.pth"


class SegmenterTrainer(nnUNetTrainer):  # type: ignore[misc]
    """nnU-Net's trainer with its own network, losses and augmentation; optimizer and averaging as the settings say.

    What else differs is around the training: nnU-Net takes any process group for CUDA and the global rank for the
    device, so both are set right here; checkpoints are written by rename, and on the CPU an interrupted training ends
    with the weights of an uninterrupted one; nothing is drawn or printed per epoch.

    Args:
        plans: Plans with the configuration.
        configuration: Its name in the plans.
        fold: `ALL_CASES` or a number.
        dataset_json: nnU-Net's description of the data set.
        device: Where to train.
    """

    network: Any

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: str | int,
        dataset_json: dict[str, Any],
        device: torch.device,
    ) -> None:
        super().__init__({**plans, "continue_training": False}, configuration, fold, dataset_json, device)
        self.is_ddp = distributed.is_initialized() and distributed.get_world_size() > 1
        self.device = device
        if device.type != "cuda":
            self.grad_scaler = None
        self._settings = SegmenterConfig()
        self._seed = 0
        self._average: AveragedModel | None = None
        self._on_epoch: Callable[[list[EpochRow]], None] = lambda rows: None

    def configure(self, config: SegmenterConfig, seed: int, on_epoch: Callable[[list[EpochRow]], None]) -> None:
        """Set length and optimizer of the training, and what to call after each epoch with the rows of all so far."""
        self._settings = config
        self._seed = seed
        self.num_epochs = config.epochs
        self.num_iterations_per_epoch = config.iterations_per_epoch
        self.num_val_iterations_per_epoch = 1
        self.initial_lr = config.initial_learning_rate
        self.save_every = config.checkpoint_every
        self._on_epoch = on_epoch

    def initialize(self) -> None:
        """Build network, optimizer and loss as nnU-Net does, then share the batch among the workers."""
        seed_generators(self._seed, self.local_rank, 0)
        shared, self.is_ddp = self.is_ddp, False
        super().initialize()
        self.is_ddp = shared
        if self._settings.average_decay:
            self._average = average_weights(self.network, self._settings.average_decay)
        if shared:
            self._set_batch_size_and_oversample()
            self.loss = self._build_loss()
            devices = [self.device] if self.device.type == "cuda" else None
            self.network = DistributedDataParallel(self.network, device_ids=devices)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Any]:
        """Return optimizer and schedule."""
        if self._settings.optimizer == "sgd":
            return super().configure_optimizers()  # type: ignore[no-any-return]
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=WEIGHT_DECAY)
        return optimizer, WarmUpCosine(optimizer, self.initial_lr, self.num_epochs, self.num_iterations_per_epoch)

    def get_training_transforms(self, *args: Any, **kwargs: Any) -> Any:
        """Return nnU-Net's augmentation, the same for all channels of a patch."""
        transforms = super().get_training_transforms(*args, **kwargs)
        settle_augmentation(transforms, self.num_input_channels)
        return transforms

    def on_epoch_start(self) -> None:
        """Seed the generators of the epoch."""
        seed_generators(self._seed, self.local_rank, self.current_epoch + 1)
        super().on_epoch_start()

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Take one step as nnU-Net does, then move schedule and average on."""
        losses: dict[str, Any] = super().train_step(batch)
        if isinstance(self.lr_scheduler, WarmUpCosine):
            self.lr_scheduler.advance()
        if self._average is not None:
            self._average.update_parameters(self.bare_network)
        return losses

    @property
    def bare_network(self) -> torch.nn.Module:
        """The network without the wrapper of shared training."""
        return self.network.module if self.is_ddp else self.network

    @property
    def kept_network(self) -> torch.nn.Module:
        """The network whose weights are the result: the last ones, or their moving average."""
        return self.bare_network if self._average is None else self._average.module

    def print_to_log_file(self, *args: Any, also_print_to_console: bool = False, add_timestamp: bool = True) -> None:
        """Write to nnU-Net's log file only."""
        super().print_to_log_file(*args, also_print_to_console=False, add_timestamp=add_timestamp)

    def plot_network_architecture(self) -> None:
        """Draw nothing: it needs a library that is no longer kept up."""

    def _save_debug_information(self) -> None:
        """Write nothing: it holds the machine's name and paths."""

    def on_epoch_end(self) -> None:
        """Log the epoch, keep a checkpoint from time to time, and tell the caller."""
        self.logger.log("epoch_end_timestamps", time(), self.current_epoch)
        row = self.history()[-1]
        self.print_to_log_file(row)
        due = (self.current_epoch + 1) % self.save_every == 0
        if due and self.current_epoch + 1 < self.num_epochs:
            self.save_checkpoint(str(Path(self.output_folder) / LATEST_CHECKPOINT))
        self.current_epoch += 1
        self._on_epoch(self.history())

    def history(self) -> list[EpochRow]:
        """Return one row per finished epoch, from the first one on, whatever process trained it."""
        log = self.logger.get_checkpoint()
        names = ("train_losses", "val_losses", "mean_fg_dice", "lrs", "epoch_start_timestamps", "epoch_end_timestamps")
        rows: list[EpochRow] = []
        for epoch, (train, validation, dice, rate, start, end) in enumerate(
            zip(*(log[name] for name in names), strict=False)
        ):
            rows.append(
                {
                    "epoch": epoch,
                    "train_loss": float(train),
                    "validation_loss": float(validation),
                    "pseudo_dice": float(dice) if math.isfinite(dice) else None,
                    "learning_rate": float(rate),
                    "seconds": round(end - start, 3),
                }
            )
        return rows

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint by rename, so that a killed process leaves the one before.

        It is for `resume`: nnU-Net's tools do not know this trainer, nor the average among its weights.
        """
        if self.local_rank != 0:
            return
        checkpoint = {
            "network_weights": self.bare_network.state_dict(),
            "average_state": None if self._average is None else self._average.state_dict(),
            "optimizer_state": self.optimizer.state_dict(),
            "grad_scaler_state": None if self.grad_scaler is None else self.grad_scaler.state_dict(),
            "logging": self.logger.get_checkpoint(),
            "inference_allowed_mirroring_axes": self.inference_allowed_mirroring_axes,
            "current_epoch": self.current_epoch + 1,
            "init_args": self.my_init_kwargs,  # as all checkpoints of nnU-Net have these two
            "trainer_name": type(self).__name__,
        }
        temporary = f"{filename}.tmp"
        torch.save(checkpoint, temporary)
        os.replace(temporary, filename)

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one.

        Raises:
            pickle.UnpicklingError: If it holds anything but numbers, text and tensors.
        """
        folder = Path(self.output_folder)
        there = [path for name in (LATEST_CHECKPOINT, FINAL_CHECKPOINT) if (path := folder / name).exists()]
        if there:
            self.restore(read_checkpoint(max(there, key=lambda path: path.stat().st_mtime_ns), self.device))

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Take weights, optimizer, epoch and log from a checkpoint (nnU-Net's own method would unpickle anything)."""
        self.bare_network.load_state_dict(checkpoint["network_weights"])
        if self._average is not None:
            self._average.load_state_dict(checkpoint["average_state"])
        self.optimizer.load_state_dict(checkpoint["optimizer_state"])
        if self.grad_scaler is not None and checkpoint["grad_scaler_state"] is not None:
            self.grad_scaler.load_state_dict(checkpoint["grad_scaler_state"])
        self.logger.load_checkpoint(checkpoint["logging"])
        self.inference_allowed_mirroring_axes = checkpoint["inference_allowed_mirroring_axes"]
        self.current_epoch = checkpoint["current_epoch"]


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Load a checkpoint of nnU-Net without running anything that it may hold.

    Args:
        path: Checkpoint file.
        device: Where its tensors go.

    Raises:
        pickle.UnpicklingError: If it needs more than tensors, plain values and NumPy numbers.
    """
    make_number = np.float64().__reduce__()[0]
    numbers: list[Any] = [make_number, np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType]
    with torch.serialization.safe_globals(numbers):
        checkpoint: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return checkpoint


def train(
    run: RunFolder, config: PipelineConfig, device: torch.device, on_epoch: Callable[[list[EpochRow]], None]
) -> None:
    """Train from the newest checkpoint to the last epoch, then write the segmenter; call it on every worker.

    Args:
        run: Run folder with plans and preprocessed cases.
        config: Settings.
        device: Where this worker trains.
        on_epoch: Called on every worker after each epoch, with the rows of all epochs so far.
    """
    folders = SegmenterFolders.of(run)
    settings = config.segmenter
    processes = max(1, int(settings.cpus_per_worker) - 1) if device.type == "cuda" else 0
    with nnunet_session(folders, processes):
        plans = read_json(folders.preprocessed / PLANS_FILE)
        dataset_json = read_json(folders.preprocessed / "dataset.json")
        trainer = SegmenterTrainer(plans, CONFIGURATION, ALL_CASES, dataset_json, device)
        trainer.configure(settings, config.seed, on_epoch)
        trainer.initialize()
        trainer.resume()
        if trainer.current_epoch < trainer.num_epochs:
            trainer.run_training()
        if trainer.local_rank == 0:
            write_segmenter(run, trainer.kept_network, describe(trainer, config))


def describe(trainer: SegmenterTrainer, config: PipelineConfig) -> SegmenterDescription:
    """Return what the trainer's weights must be used with."""
    return SegmenterDescription(
        plans=trainer.plans_manager.plans,
        dataset_json={key: value for key, value in trainer.dataset_json.items() if key != "dataset"},
        configuration=trainer.configuration_name,
        mirroring_axes=list(trainer.inference_allowed_mirroring_axes),
        normalization=config.segmenter.normalization,
        grid=asdict(config.grid),
        epochs=trainer.current_epoch,
        seed=config.seed,
    )


def seed_generators(seed: int, rank: int, epoch: int) -> None:
    """Seed the global generators, which nnU-Net's augmentation and initialization draw from."""
    words = np.random.SeedSequence([seed, rank, epoch]).generate_state(4)
    np.random.seed(words)  # noqa: NPY002 - nnU-Net and batchgenerators use the global generator
    random.seed(int(words[0]))
    torch.manual_seed(int(words[1]))
