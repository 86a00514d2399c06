"""The history of a training that was interrupted reads as if it had not been."""

from pipeline.run_folder import RunFolder
from pipeline.segmenter.history import HistoryWriter
from pipeline.training_history import SEGMENTER, read_history


def rows(*losses):
    rest = {"validation_loss": 0.0, "pseudo_dice": None, "learning_rate": 0.1, "seconds": 1.0}
    return [{"epoch": epoch, "train_loss": loss, **rest} for epoch, loss in enumerate(losses)]


def test_no_epoch_before_the_first(tmp_path):
    assert read_history(RunFolder(str(tmp_path)), SEGMENTER) == []


def test_training_that_went_back_leaves_no_epoch_twice(tmp_path):
    run = RunFolder(str(tmp_path))
    HistoryWriter(run).write(rows(3.0, 2.0, 1.0))
    HistoryWriter(run).write(rows(3.0, 2.5))
    assert read_history(run, SEGMENTER) == rows(3.0, 2.5)


def test_curves_of_both_processes_are_one_line(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = RunFolder(str(tmp_path))
    first, second = HistoryWriter(run), HistoryWriter(run)
    for length in (1, 2, 3):
        first.write(rows(3.0, 2.0, 1.0)[:length])
    second.write(rows(3.0, 2.5))
    board = EventAccumulator(run.path("segmenter", "tensorboard")).Reload()
    assert [(event.step, event.value) for event in board.Scalars("segmenter/train_loss")] == [(0, 3.0), (1, 2.5)]
