"""The losses of every epoch of the segmenter: `history.jsonl` for programs, TensorBoard for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.run_folder import RunFolder
from pipeline.training_history import SEGMENTER, write_history

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_CURVES = ("train_loss", "validation_loss", "pseudo_dice", "learning_rate")

EpochRow = dict[str, float | int | None]
"""`epoch`, `train_loss`, `validation_loss`, `pseudo_dice`, `learning_rate`, `seconds`.

Validation is on one batch of the training cases without augmentation, as there are no references; `pseudo_dice` is None
if that batch has no tumor."""


class HistoryWriter:
    """Keeps the history of one training.

    Args:
        run: Run folder, local or mounted.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self._board: SummaryWriter | None = None

    def write(self, history: Sequence[EpochRow]) -> None:
        """Write all epochs so far, so that a training that went back to a checkpoint leaves no epoch twice.

        Args:
            history: One row per finished epoch, from epoch 0 on; at least one.
        """
        write_history(self.run, SEGMENTER, history)
        last = history[-1]
        board = self._open_board(int(last["epoch"] or 0))
        for name in _CURVES:
            if last[name] is not None:
                board.add_scalar(f"segmenter/{name}", last[name], last["epoch"])
        board.flush()

    def _open_board(self, epoch: int) -> SummaryWriter:
        """Open TensorBoard's file at the first epoch, hiding what an earlier process wrote from this epoch on."""
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.run.local(SEGMENTER, "tensorboard")), purge_step=epoch)
        return self._board
