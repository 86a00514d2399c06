"""How far a run is, from its folder alone: what is done, begun, set aside and left.

A step that is done has a report. Of one that is begun, its outputs are counted: volumes, slabs or epochs, of as many as
the steps before it have made. Steps that the run does not take are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.archive.quarantine import Rejection, read_rejections
from pipeline.branch_folder import open_run_folder
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.run_lock import Claim, read_claims
from pipeline.slabs import VolumeRow, read_volume_rows
from pipeline.text_table import align
from pipeline.trained_model import RECORD
from pipeline.training_history import COUINAUDNET, SEGMENTER, read_history

REJECTIONS_SHOWN = 20
"""How many of the cases that were set aside are listed."""


@dataclass(frozen=True)
class StepStatus:
    """How far one step is.

    Args:
        step: Name of its job.
        state: `done`, `begun` or `to do`.
        finished: Outputs that are there.
        expected: Outputs that there will be; None where nobody can know yet.
        unit: What is counted.
        seconds: What it took; None before it is done.
        written: When it last wrote an output, in UTC; None if it has none.
    """

    step: str
    state: str
    finished: int
    expected: int | None
    unit: str
    seconds: float | None = None
    written: datetime | None = None


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Args:
        steps: The method's steps that the run takes, in their order.
        rejections: Cases that were set aside, in the order of their ids.
        running: The jobs that run, commonly one or none, and when each last gave a sign of life.
    """

    steps: tuple[StepStatus, ...]
    rejections: Sequence[Rejection]
    running: Sequence[tuple[Claim, datetime]] = ()

    @property
    def quarantined(self) -> dict[str, int]:
        """How many cases were set aside, by reason code."""
        return dict(sorted(Counter(item.code for item in self.rejections).items()))


@dataclass(frozen=True)
class _Output:
    """What a step leaves: the folder of its outputs, what is counted in it, and how many there will be."""

    folder: str
    unit: str
    count: Callable[[RunFolder], int]
    expect: Callable[[RunFolder, list[VolumeRow]], int | None]


def read_status(uri: str) -> RunStatus:
    """Read how far a run is; writes nothing.

    Args:
        uri: Run folder.

    Raises:
        RefusedInputError: If there is no run in the folder.
    """
    run = open_run_folder(uri)
    if not run.exists("settings"):
        raise RefusedInputError(f"{uri}: no run has begun in this folder")
    volumes = read_volume_rows(run)
    names = _WITH_MODEL if run.exists(RECORD) else _OUTPUTS
    steps = [_read_step(run, volumes, name, _OUTPUTS[name]) for name in names]
    return RunStatus(_find_taken(steps), read_rejections(run), tuple(read_claims(run).values()))


def format_status(status: RunStatus, now: datetime) -> str:
    """Lay out a status for the console.

    Args:
        status: The status.
        now: The time that ages are counted from.
    """
    rows = []
    for step in status.steps:
        expected = "?" if step.expected is None else step.expected
        age = (
            None if step.written is None or step.state == "done" else _format_age((now - step.written).total_seconds())
        )
        seconds = None if step.seconds is None else f"{step.seconds:.0f}"
        rows.append([step.step, step.state, f"{step.finished}/{expected} {step.unit}", seconds, age])
    parts = [align(["step", "state", "outputs", "seconds", "last written"], rows)]
    if status.quarantined:
        parts.append(align(["quarantined", "cases"], list(status.quarantined.items())))
        parts.append(_list_rejections(status.rejections))
    for claim, written in status.running:
        parts.append(f"running: {claim.describe(max(0.0, (now - written).total_seconds()))}")
    return "\n\n".join(parts)


def _list_rejections(rejections: Sequence[Rejection]) -> str:
    """Return a line for each of the first cases that were set aside."""
    shown = rejections[:REJECTIONS_SHOWN]
    width = max(len(item.volume_id) for item in shown)
    lines = [f"{item.volume_id.ljust(width)}  {item.code}: {item.message}" for item in shown]
    if more := len(rejections) - len(shown):
        lines.append(f"and {more} more; the page that jobs.report writes has them all")
    return "\n".join(lines)


def _format_age(seconds: float) -> str:
    """Return an age in the unit that suits it.

    Example:
        >>> _format_age(40), _format_age(600), _format_age(9000)
        ('40 s ago', '10 min ago', '2.5 h ago')
    """
    if seconds < 100:
        return f"{max(0.0, seconds):.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 6000 else f"{seconds / 3600:.1f} h ago"


def _find_taken(steps: Sequence[StepStatus]) -> tuple[StepStatus, ...]:
    """Return the steps without those passed over: not begun although a later one is, as it does not need them."""
    last = max((place for place, step in enumerate(steps) if step.state != "to do"), default=-1)
    return tuple(step for place, step in enumerate(steps) if step.state != "to do" or place > last)


def _read_step(run: RunFolder, volumes: list[VolumeRow], step: str, output: _Output) -> StepStatus:
    """Read how far one step is."""
    finished, written = output.count(run), run.last_written(output.folder)
    if run.exists("reports", f"{step}.json"):
        report = run.read_json("reports", f"{step}.json")
        return StepStatus(step, "done", finished, finished, output.unit, report["seconds"], written)
    state = "begun" if finished or run.names(output.folder) else "to do"
    return StepStatus(step, state, finished, output.expect(run, volumes), output.unit, None, written)


def _count_names(folder: str) -> Callable[[RunFolder], int]:
    """Return what counts the members of a folder."""
    return lambda run: len(run.names(folder))


def _count_epochs(network: str) -> Callable[[RunFolder], int]:
    """Return what counts the epochs of a training."""
    return lambda run: len(read_history(run, network))


def _setting(run: RunFolder, section: str, key: str) -> Any:
    """Return a setting of the run; None before a step has used its section."""
    path = ("settings", f"{section}.json")
    return run.read_json(*path).get(key) if run.exists(*path) else None


def _expect_volumes(*splits: str, pathological: bool = False) -> Callable[[RunFolder, list[VolumeRow]], int | None]:
    """Return what counts the volumes of some splits, all if none is named; unknown until they are ingested."""

    def expect(run: RunFolder, volumes: list[VolumeRow]) -> int | None:
        """Count them once they are all there."""
        if not run.exists("reports", "ingest.json"):
            return None
        return sum((not splits or row.split in splits) and not (pathological and row.healthy) for row in volumes)

    return expect


def _expect_epochs(section: str) -> Callable[[RunFolder, list[VolumeRow]], int | None]:
    """Return what knows the length of a training; unknown where it is counted in steps."""
    return lambda run, volumes: None if _setting(run, section, "steps") else _setting(run, section, "epochs")


_OUTPUTS = {
    "ingest": _Output("volumes", "volumes", _count_names("volumes"), lambda run, volumes: None),
    "refine_image_labels": _Output("image_labels", "volumes", _count_names("image_labels"), _expect_volumes()),
    "train_couinaudnet": _Output(COUINAUDNET, "epochs", _count_epochs(COUINAUDNET), _expect_epochs("couinaudnet")),
    "predict_tumors": _Output(
        "probabilities",
        "volumes",
        _count_names("probabilities"),
        _expect_volumes("train", "validation", pathological=True),
    ),
    "refine_pixel_labels": _Output(
        "pseudo_labels", "volumes", _count_names("pseudo_labels"), _expect_volumes("train", pathological=True)
    ),
    "train_segmenter": _Output(SEGMENTER, "epochs", _count_epochs(SEGMENTER), _expect_epochs("segmenter")),
    "predict_segmentation": _Output(
        "predictions", "volumes", _count_names("predictions"), _expect_volumes("validation", "test")
    ),
    "evaluate": _Output("evaluation", "files", _count_names("evaluation"), lambda run, volumes: 4),
}
_WITH_MODEL = ("ingest", "predict_segmentation", "evaluate")
"""Steps of a run folder whose segmenter another one has trained."""
