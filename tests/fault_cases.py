"""The fault matrix as data, and what carries out one cell of it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from tests.whole_run import TINY

ROOT = Path(__file__).parent.parent
SETTINGS = (
    TINY.replace("train_healthy = 1", "train_healthy = 2")
    .replace("test = 1", "test = 2")
    .replace("epochs = 6", "epochs = 3")
)
"""phantom_000 and 001 have tumors and are for training, 002 and 003 are healthy, 004 and 005 are for the test."""
DEADLINE_S = 900
SECONDS = ("couinaud_seconds",)
"""Columns that say how long something took."""


@dataclass(frozen=True)
class Stage:
    """A step of the method.

    Args:
        outputs: What it leaves in the run folder, as glob patterns; compared byte by byte.
        touched: What its workers read or write, where faults strike.
        victim: The case that is poisoned.
        folders: What is removed of a complete run to have one that is complete up to this step.
        first: Strikes that are let go: the faults of a training come when there is a checkpoint.
    """

    outputs: tuple[str, ...]
    touched: str
    victim: str
    folders: tuple[str, ...]
    first: int = 0


STAGES = {
    "ingest": Stage(
        ("volumes/*", "slices/*/*", "references/**/*.parquet"),
        "slices/",
        "slices/phantom_001/",
        ("volumes", "slices", "references", "couinaud_maps", "archive.json"),
    ),
    "refine_image_labels": Stage(("image_labels/*/*",), "image_labels/", "slices/phantom_001/", ("image_labels",)),
    "train_couinaudnet": Stage(
        ("couinaudnet/*.safetensors",), "couinaudnet/history", "image_labels/phantom_001/", ("couinaudnet",), 1
    ),
    "predict_tumors": Stage(("probabilities/*/*",), "probabilities/", "slices/phantom_001/", ("probabilities",)),
    "refine_pixel_labels": Stage(
        ("pseudo_labels/*/*",), "pseudo_labels/", "probabilities/phantom_001/", ("pseudo_labels",)
    ),
    "train_segmenter": Stage(
        ("segmenter/segmenter.safetensors",), "segmenter/history", "slices/phantom_001/", ("segmenter",), 1
    ),
    "predict_segmentation": Stage(
        ("predictions/*", "predictions.csv"),
        "predictions/",
        "slices/phantom_005/",
        ("predictions", "predicted_volumes", "predictions.csv"),
    ),
    "evaluate": Stage(("evaluation/*",), "predictions/", "predictions/phantom_005", ("evaluation",)),
}
TRAININGS = ("train_couinaudnet", "train_segmenter")


@dataclass
class Outcome:
    """One row of the table."""

    fault: str
    stage: str
    injected: int
    lost: int
    duplicates: int
    result: str
    seconds: float = 0.0


@dataclass
class Bench:
    """A cluster, a complete run, and the file that the injection looks at.

    Args:
        folder: Everything lies below it.
        address: The cluster.
        cluster: Process that holds it.
    """

    folder: Path
    address: str
    cluster: subprocess.Popen
    outcomes: list = field(default_factory=list)

    @property
    def plan(self):
        return self.folder / "plan" / "plan.json"

    @property
    def complete(self):
        return self.folder / "complete"

    def start(self, job, run):
        """Start a job as a person would."""
        command = [sys.executable, "-m", f"jobs.{job}", "--config", str(self.folder / "tiny.toml"), "--run", str(run)]
        command += ["--ray.address", self.address]
        log = (self.folder / "log.txt").open("w")
        return subprocess.Popen(command, cwd=ROOT, env=environment(self.folder), stdout=log, stderr=log)

    def run(self, job, run):
        """Run a job to its end; return exit code and what it said."""
        code = self.start(job, run).wait(timeout=DEADLINE_S)
        return code, (self.folder / "log.txt").read_text()

    def make_complete(self, kept=None):
        """Run the method, undisturbed; or take the run that an earlier call kept, so that a matrix can go in pieces."""
        if not (kept and Path(kept).exists()):
            code, text = self.run("run_all", self.complete)
            assert code == 0, text[-3000:]
        if kept:
            source, target = (kept, self.complete) if Path(kept).exists() else (self.complete, kept)
            shutil.copytree(source, target)

    def inject(self, action, path, *, operations=("write",), everywhere=False, once=False, first=0, times=1):
        """Let a fault strike from now on."""
        self.heal()
        values = {"action": action, "path": path, "operations": operations, "everywhere": everywhere}
        text = json.dumps(values | {"once_per_path": once, "first": first, "times": times})
        self.plan.with_name("next").write_text(text)
        self.plan.with_name("next").rename(self.plan)

    def heal(self):
        """Let no fault strike."""
        shutil.rmtree(self.plan.parent, ignore_errors=True)
        self.plan.parent.mkdir()

    def strikes(self):
        """Return how many times the fault was looked for, the strikes that were let go included."""
        return len(list(self.plan.parent.glob("strike-*")))

    def wait_until_hanging(self, process):
        """Wait for a worker to hang; return its node."""
        note, deadline = self.plan.with_name("hanging"), time.monotonic() + DEADLINE_S
        while not note.exists():
            assert process.poll() is None, (self.folder / "log.txt").read_text()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return note.read_text()

    def lose_node(self, node):
        """Kill a node's raylet and workers, then add another node."""
        self.cluster.stdin.write(f"lose {node}\n")
        self.cluster.stdin.flush()
        assert self.cluster.stdout.readline() == "done\n"

    def prepare(self, stage, parent=None):
        """Return a copy of the run that is complete up to a stage."""
        names = list(STAGES)
        later = names[names.index(stage) :]
        gone = {folder for name in later for folder in STAGES[name].folders} | {"report.html", "running", "attempts"}
        run = (parent or self.folder) / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(self.complete, run, ignore=lambda folder, members: gone if folder == str(self.complete) else ())
        for name in [*later, "report"]:
            (run / "reports" / f"{name}.json").unlink(missing_ok=True)
        return run

    def compare(self, stage, run, victim=""):
        """Return lost and surplus files and rows of a stage's output, and whether what is there has the same bytes."""
        want, got = (hashes(folder, STAGES[stage].outputs, victim) for folder in (self.complete, run))
        given = [
            json.loads((folder / "reports" / f"{stage}.json").read_text())["given"] for folder in (self.complete, run)
        ]
        surplus = len(got.keys() - want.keys()) + (0 if victim else max(0, given[1] - given[0]))
        return len(want.keys() - got.keys()), surplus, all(got[name] == want[name] for name in want.keys() & got.keys())


def hashes(run, patterns, victim=""):
    """Hash what a stage left, but for a victim's files and lines and for columns that say how long something took."""
    paths = sorted({path for pattern in patterns for path in run.glob(pattern) if path.is_file()})
    names = {str(path.relative_to(run)): path for path in paths if ".tmp-" not in path.name}
    return {name: fingerprint(path, victim) for name, path in names.items() if not (victim and victim in name)}


def fingerprint(path, victim):
    """Hash a file; of a table of volumes its values, of a CSV file the lines that are not a victim's."""
    if path.parent.name == "volumes":
        (row,) = pq.read_table(path).to_pylist()
        return {name: value for name, value in row.items() if name not in SECONDS}
    lines = path.read_bytes().splitlines(keepends=True)
    if victim and path.suffix == ".csv":
        lines = [line for line in lines if not line.startswith(f"{victim},".encode())]
    return hashlib.sha256(b"".join(lines)).hexdigest()


def environment(folder):
    """Return the surroundings of the cluster and of its drivers: the injection is there, a token is not asked for."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_AUTH", "RAY_ADDRESS"))}
    paths = os.pathsep.join([str(ROOT / "tests" / "fault_injection"), str(ROOT)])
    settings = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": str(folder / "ray"), "OMP_NUM_THREADS": "1"}
    return kept | settings | {"PYTHONPATH": paths, "FAULT_PLAN": str(folder / "plan" / "plan.json")}


@contextmanager
def open_bench():
    """Start a cluster and run the method on it, undisturbed. Ray's sockets need a short path."""
    folder = Path(tempfile.mkdtemp(prefix="faults", dir="/tmp"))
    for name in ("ray", "plan"):
        (folder / name).mkdir()
    (folder / "tiny.toml").write_text(SETTINGS)
    command = [sys.executable, str(ROOT / "tests" / "fault_cluster.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (folder / "cluster.txt").open("w") as log:
        cluster = subprocess.Popen(command, cwd=ROOT, env=environment(folder), stderr=log, **pipes)
    try:
        said = cluster.stdout.readline()
        assert said, (folder / "cluster.txt").read_text()[-3000:]
        bench = Bench(folder, json.loads(said)["address"], cluster)
        bench.make_complete(os.environ.get("FAULT_ORACLE"))
        yield bench
    finally:
        cluster.stdin.close()
        cluster.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def small_disk(megabytes):
    """Mount a disk of its own; None if this machine does not allow it."""
    folder = Path(tempfile.mkdtemp(prefix="disk", dir="/tmp"))
    size = f"size={megabytes}m"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, check=False)
    try:
        yield folder if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def kill(process):
    """End a process as the out-of-memory killer does."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
