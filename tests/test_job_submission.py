"""`ray job submit` on a head that asks for a token: the documented way onto a cluster, end to end."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.run_folder import RunFolder

from .whole_run import Run

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
START_DEADLINE_S = 90
JOB_DEADLINE_S = 800
RESULTS = (
    *("slices/*/*.parquet", "image_labels/*/*.parquet", "probabilities/*/*.parquet", "pseudo_labels/*/*.parquet"),
    *("couinaudnet/*.safetensors", "segmenter/*.safetensors", "predictions/*.nii.gz", "evaluation/*.*"),
)
"""All that a run is for, and all that it comes from; beside them are times and logs."""
SURROUNDINGS = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status(url):
    """HTTP status of a request without a token; None while nobody answers."""
    try:
        return urllib.request.urlopen(url, timeout=2).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.fixture
def head(tmp_path):
    """A head node with token authentication, in a process group that the test alone ends."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name not in SURROUNDINGS}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    ports = [f"--port={free_port()}", f"--dashboard-port={port}", "--dashboard-host=127.0.0.1"]
    ports.append(f"--dashboard-agent-listen-port={free_port()}")  # the usual one is taken by the tests' own cluster
    ports.append(f"--ray-client-server-port={free_port()}")  # the usual one by another head on this machine
    limits = ["--node-ip-address=127.0.0.1", "--num-cpus=2", "--object-store-memory=200000000"]
    with (tmp_path / "head.txt").open("w") as log:
        process = subprocess.Popen(
            [BIN / "ray", "start", "--head", "--block", *ports, *limits],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + START_DEADLINE_S
            while status(f"http://127.0.0.1:{port}/api/jobs/") is None:
                assert process.poll() is None, (tmp_path / "head.txt").read_text()
                assert time.monotonic() < deadline, (tmp_path / "head.txt").read_text()
                time.sleep(0.3)
            yield f"http://127.0.0.1:{port}", environment
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):  # Ray itself waits half a minute for its own
                process.wait(timeout=5)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)


def submit(address, environment, *entrypoint):
    """`ray job submit` from the checkout; tried again while a young head has no agent yet to run the job."""
    command = [BIN / "ray", "job", "submit", "--address", address, "--working-dir", ".", "--", *entrypoint]
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=JOB_DEADLINE_S, check=False
        )
        if "No available agent" not in result.stderr or time.monotonic() > deadline:
            return result
        time.sleep(1)


def test_submitted_method_equals_a_local_run_and_a_stranger_is_turned_away(head, interrupted_run, tmp_path):
    (address, environment), local = head, interrupted_run.run
    run = Run(tmp_path / "run")
    job = ["python", "-m", "jobs.run_all", "--run", str(run.folder), "--config", str(run.config)]
    result = submit(address, environment, *job)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert not RunFolder(str(run.folder)).names("running")
    assert run.hashes(*RESULTS) == local.hashes(*RESULTS)
    assert len(run.hashes("evaluation/*.*")) == 4
    result = submit(address, environment, "python", "-m", "jobs.check_cluster", "--run", str(run.folder))
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert RunFolder(str(run.folder)).read_json("check_cluster.json")["access"]["status"] in (401, 403)
    assert status(f"{address}/api/jobs/") in (401, 403)
