"""The whole method on a tiny phantom cohort: it survives the loss of its driver and of a training worker."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

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

    def hashes(self, *tables):
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for table in tables
            for path in sorted((self.folder / table).rglob("*.parquet"))
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


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker through /proc")
def test_killed_driver_and_killed_worker_lose_nothing(tmp_path):
    run = Run(tmp_path / "run")
    first = run.start()
    run.wait_for_epochs(first, "couinaudnet", 2)
    finished = run.hashes("slices", "image_labels", "volumes")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    reports = {path.name: path.stat().st_mtime_ns for path in (run.folder / "reports").glob("*.json")}
    before = len(run.history("couinaudnet"))
    assert set(reports) == {"ingest.json", "refine_image_labels.json"}

    second = run.start()
    run.wait_for_epochs(second, "segmenter", 2)
    for process in processes_below(second.pid, "RayTrainWorker"):
        os.kill(process, signal.SIGKILL)
    assert second.wait(timeout=DEADLINE_S) == 0, (tmp_path / "log.txt").read_text()[-3000:]

    assert run.hashes("slices", "image_labels", "volumes") == finished
    assert {path: (run.folder / "reports" / path).stat().st_mtime_ns for path in reports} == reports
    epochs = [entry["epoch"] for entry in run.history("couinaudnet")]
    assert before >= 2
    assert sorted(set(epochs)) == list(range(6))
    assert epochs.count(0) == 1
    segmenter = [entry["epoch"] for entry in run.history("segmenter")]
    assert sorted(set(segmenter)) == list(range(6))
    assert segmenter.count(0) == 1
    summary = json.loads((run.folder / "evaluation" / "summary.json").read_text())
    assert summary["segmenter"]["test"]["n_cases"] == 1
    assert (run.folder / "report.html").exists()
