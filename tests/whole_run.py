"""The whole method on a tiny phantom cohort, in processes of its own, whose driver and training workers are killed."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TINY = """
[source]
layout = "phantom"
[phantom]
train_pathological = 2
train_healthy = 1
test = 1
slices = 16
height = 64
width = 80
slice_spacing_mm = 9.0
pixel_spacing_mm = 4.0
[grid]
height = 56
width = 64
spacing_mm = 4.0
slab_length = 6
[synthesis]
style = "textured"
[couinaudnet]
inpainting_widths = [8, 16]
spotting_widths = [8, 16]
epochs = 6
batch_size = 4
precision = "float32"
[segmenter]
epochs = 6
iterations_per_epoch = 3
batch_size = 2
base_features = 8
stages = 3
checkpoint_every = 1
mirroring = false
"""
EARLY = ("volumes/*.parquet", "slices/*/*.parquet", "image_labels/*/*.parquet")
DEADLINE_S = 400


class Run:
    """A `run_all` in a process of its own, with its own cluster."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder.parent / "tiny.toml"
        self.config.write_text(TINY)

    def start(self):
        command = [sys.executable, "-m", "jobs.run_all", "--config", str(self.config), "--run", str(self.folder)]
        log = (self.folder.parent / "log.txt").open("a")
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)

    def history(self, network):
        path = self.folder / network / "history.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for_epochs(self, process, network, epochs):
        deadline = time.monotonic() + DEADLINE_S
        while len(self.history(network)) < epochs:
            assert process.poll() is None, (self.folder.parent / "log.txt").read_text()[-3000:]
            assert time.monotonic() < deadline, f"no epoch {epochs} of {network}"
            time.sleep(0.1)

    def report_times(self):
        return {path.name: path.stat().st_mtime_ns for path in (self.folder / "reports").glob("*.json")}

    def hashes(self, *patterns):
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for pattern in patterns
            for path in sorted(self.folder.glob(pattern))
        }


def processes_below(ancestor, title):
    """Process ids under `ancestor` whose command line holds `title`."""
    parents, titles = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                titles[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue

    def is_below(process):
        while process in parents:
            if process == ancestor:
                return True
            process = parents[process]
        return False

    return [process for process, text in titles.items() if title in text and is_below(process)]


@dataclass(frozen=True)
class Interruption:
    """What was there when the driver of a run was killed, and what the run was in the end."""

    run: Run
    hashes: dict[str, str]
    reports: dict[str, int]
    couinaudnet_epochs: int


def run_with_interruptions(folder):
    """Kill the driver during the first training and the worker of the second one; let the run end."""
    run = Run(folder / "run")
    first = run.start()
    run.wait_for_epochs(first, "couinaudnet", 2)
    hashes = run.hashes(*EARLY)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    reports, epochs = run.report_times(), len(run.history("couinaudnet"))
    second = run.start()
    run.wait_for_epochs(second, "segmenter", 2)
    for process in processes_below(second.pid, "RayTrainWorker"):
        os.kill(process, signal.SIGKILL)
    assert second.wait(timeout=DEADLINE_S) == 0, (folder / "log.txt").read_text()[-3000:]
    return Interruption(run, hashes, reports, epochs)
