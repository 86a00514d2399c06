"""How long an archive would take on clusters that there are not: a finished run extrapolated, its schedule simulated.

A step is a queue of blocks of cases. Its blocks share three things: the CPUs of the nodes; the storage, through which a
block's bytes pass when it begins; and the driver, which sends out the blocks one after the other, and commits a row per
case in the first step and reads all rows before each other step. Cases differ in length like a log-normal variable of
30 %.

Measured are seconds and bytes per slice, from the run's reports and tables, all CPUs of its machine counting as busy
(but for the one that pools of actors leave free), and what the driver does per row and per block. Assumed are the
storage's throughput, the archive's bytes per slice, CPUs like this machine's, and that nothing is lost; GPUs and the
start of nodes are not in it.
"""

from __future__ import annotations

import heapq
import statistics
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pyarrow import fs

from pipeline.cluster.blocks import BLOCKS_PER_CPU, count_blocks
from pipeline.cluster.scratch import ROWS, sweep_scratch
from pipeline.config import ScheduleConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows, write_volume_row
from pipeline.text_table import align

_SPREAD = 0.3
_ROWS = 100
_FLOWS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ingest": ((), ("slices", "references", "volumes")),
    "refine_image_labels": (("slices",), ("image_labels",)),
    "predict_tumors": (("slices", "image_labels"), ("probabilities",)),
    "refine_pixel_labels": (("image_labels", "probabilities"), ("pseudo_labels",)),
    "predict_segmentation": (("slices",), ("predictions",)),
    "evaluate": (("predictions", "references", "image_labels", "probabilities", "pseudo_labels"), ("evaluation",)),
}
"""Tables that each step over cases reads, beside the archive, and writes. They count whole, though some steps need only
some of their volumes or columns."""
_POOLS = ("predict_tumors", "predict_segmentation")
TRAININGS = ("train_couinaudnet", "train_segmenter")
"""Their length is a setting: an archive that is larger does not make them longer."""


@dataclass(frozen=True)
class StepCost:
    """What a step costs per slice of the archive.

    Args:
        step: Name of its job.
        cpu_seconds: Seconds of one CPU.
        megabytes: Bytes read from and written to the shared storage.
    """

    step: str
    cpu_seconds: float
    megabytes: float


@dataclass(frozen=True)
class DriverCost:
    """Seconds that the driver, which is one process, needs for what only it does.

    Args:
        read_row: To read the row of a volume, before each step but the first.
        commit_row: To commit a volume.
        block: To send out a block and take its result.
    """

    read_row: float
    commit_row: float
    block: float


@dataclass(frozen=True)
class Simulated:
    """A step on a cluster.

    Args:
        seconds: How long it takes.
        shares: For `CPUs`, `storage` and `driver`, the share of that time that each is busy.
    """

    seconds: float
    shares: dict[str, float]

    @property
    def bottleneck(self) -> str:
        """What is busy longest; `uneven cases` if nothing is for half of the time."""
        name = max(self.shares, key=lambda resource: self.shares[resource])
        return name if self.shares[name] >= 0.5 else "uneven cases"


def measure_steps(run: RunFolder, config: ScheduleConfig) -> list[StepCost]:
    """Return what the steps of a run cost that are done.

    Args:
        run: Run folder, made on one machine.
        config: Bytes per slice of the archive.

    Raises:
        RefusedInputError: If there is none.
    """
    slices = sum(row.native_shape[0] for row in read_volume_rows(run))
    costs = []
    for step in _FLOWS:
        if slices and run.exists("reports", f"{step}.json"):
            report = run.read_json("reports", f"{step}.json")
            megabytes = sum(_megabytes(run, table) for table in _find_tables(step, report["settings"])) / slices
            source = config.source_mb_per_slice if step == "ingest" else 0.0
            cpus = max(1, report["machine"]["cpus"] - (step in _POOLS))
            costs.append(StepCost(step, report["seconds"] * cpus / slices, megabytes + source))
    if not costs:
        raise RefusedInputError(f"{run.uri}: a run to extrapolate has at least ingested its cases, this has not")
    return costs


def _find_tables(step: str, settings: Mapping[str, Any]) -> list[str]:
    """Return the tables that a step read and wrote, by the settings in its report."""
    reads, writes = _FLOWS[step]
    labels = settings.get("pixel_labels", {})
    by_lesion = step == "refine_pixel_labels" and labels.get("enabled") and labels.get("method") == "lesions"
    return [*reads, *writes, *["slices"] * bool(by_lesion)]


def measure_trainings(run: RunFolder) -> dict[str, float]:
    """Return the seconds of the trainings of a run that are done."""
    done = [step for step in TRAININGS if run.exists("reports", f"{step}.json")]
    return {step: run.read_json("reports", f"{step}.json")["seconds"] for step in done}


def measure_rows(run: RunFolder) -> tuple[float, float]:
    """Return seconds to read and to commit the row of one volume, on the storage of the run folder: medians.

    The rows are written into a folder of their own, `rows-*`, which is removed at the end.
    """
    sweep_scratch(run)
    name = f"{ROWS}{uuid.uuid4().hex}"
    there = RunFolder(run.member_uri(name))
    row = read_volume_rows(run)[0]
    try:
        seconds = []
        for _ in range(_ROWS):
            begun = time.perf_counter()
            write_volume_row(there, row)
            written = time.perf_counter()
            read_volume_rows(there)
            seconds.append((time.perf_counter() - written, written - begun))
        return statistics.median(read for read, _ in seconds), statistics.median(commit for _, commit in seconds)
    finally:
        run.remove(name)


def simulate(cost: StepCost, driver: DriverCost, config: ScheduleConfig, nodes: int, seed: int = 0) -> Simulated:
    """Simulate a step on a cluster.

    Args:
        cost: The step.
        driver: The driver.
        config: Archive, nodes and storage.
        nodes: Number of nodes.
        seed: Seed of the cases' lengths.
    """
    workers = nodes * config.cpus_per_node
    first = cost.step == "ingest"
    blocks = count_blocks(config.cases, workers, config.cases if first else BLOCKS_PER_CPU)
    lengths = np.random.default_rng(seed).lognormal(-(_SPREAD**2) / 2, _SPREAD, config.cases) * config.slices
    cases = np.array_split(lengths, blocks)
    slices = np.array([part.sum() for part in cases])
    work, transfer = slices * cost.cpu_seconds, slices * cost.megabytes / config.storage_mb_per_second
    handling = driver.block + (driver.commit_row if first else 0.0) * np.array([len(part) for part in cases])
    begun = 0.0 if first else config.cases * driver.read_row
    seconds = _run_blocks(workers, begun, work.tolist(), transfer.tolist(), handling.tolist())
    busy = {
        "CPUs": work.sum() / workers,
        "storage": transfer.sum(),
        "driver": begun + handling.sum(),
    }
    return Simulated(seconds, {name: float(value / seconds) for name, value in busy.items()})


def _run_blocks(
    workers: int, begun: float, work: Sequence[float], transfer: Sequence[float], handling: Sequence[float]
) -> float:
    """Return when the last block is done: each goes to the first free worker, once driver and storage served it."""
    free = [begun] * workers
    driver = storage = begun
    for computing, moving, sending in zip(work, transfer, handling, strict=True):
        ready = max(free[0], driver)
        driver = ready + sending
        storage = max(storage, ready) + moving
        heapq.heapreplace(free, max(driver, storage) + computing)
    return max(free)


def extrapolate(
    costs: Sequence[StepCost], driver: DriverCost, config: ScheduleConfig
) -> dict[str, dict[int, Simulated]]:
    """Simulate all steps on all sizes of cluster; return step to nodes to outcome."""
    return {cost.step: {nodes: simulate(cost, driver, config, nodes) for nodes in config.nodes} for cost in costs}


def format_schedule(
    costs: Sequence[StepCost], outcomes: dict[str, dict[int, Simulated]], trainings: dict[str, float]
) -> str:
    """Lay out a schedule for the console: hours, and what is busy for which share of them."""
    sizes = list(next(iter(outcomes.values())))
    rows: list[list[Any]] = [
        [cost.step, f"{1000 * cost.cpu_seconds:.2f}", cost.megabytes, *(_cell(outcomes[cost.step][n]) for n in sizes)]
        for cost in costs
    ]
    rows += [
        [step, None, None, *[f"{seconds / 3600:.2f} h, a setting"] * len(sizes)] for step, seconds in trainings.items()
    ]
    totals = [sum(outcome[nodes].seconds for outcome in outcomes.values()) / 3600 for nodes in sizes]
    rows.append(["all but trainings", None, None, *(f"{total:.2f} h" for total in totals)])
    return align(["step", "CPU ms a slice", "MB a slice", *(f"{nodes} nodes" for nodes in sizes)], rows)


def to_json(outcomes: dict[str, dict[int, Simulated]]) -> dict[str, Any]:
    """Return outcomes as JSON values."""
    return {
        step: {str(nodes): {**asdict(found), "bottleneck": found.bottleneck} for nodes, found in by_nodes.items()}
        for step, by_nodes in outcomes.items()
    }


def _cell(found: Simulated) -> str:
    """Return the text of one outcome."""
    return f"{found.seconds / 3600:.2f} h, {found.bottleneck} {max(found.shares.values()):.0%}"


def _megabytes(run: RunFolder, table: str) -> float:
    """Return the size of a table."""
    selector = fs.FileSelector(run.path(table), allow_not_found=True, recursive=True)
    return sum(info.size or 0 for info in run.filesystem.get_file_info(selector)) / 1e6
