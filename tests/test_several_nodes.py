"""Refinement gives the same bytes on one, two and three nodes, and what each of them adds is measured."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parent.parent


def run_alone(*arguments):
    """Run Python in a process that may start a cluster; return what it prints."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as temp:  # sockets need a short path
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
        environment |= {"RAY_TMPDIR": temp, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
        command = [sys.executable, *arguments]
        result = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.splitlines()


def test_refinement_writes_the_same_bytes_on_one_two_and_three_nodes(tmp_path):
    lines = run_alone("tests/several_nodes.py", str(tmp_path))
    one, two, three = json.loads(lines[-1]).values()
    assert {path.split("/")[0] for path in one} == {"image_labels", "pseudo_labels"}
    assert one == two == three


def test_benchmark_compares_each_size_with_bare_processes(tmp_path):
    size = ["--phantom.train-pathological", "2", "--phantom.slices", "8", "--grid.height", "24", "--grid.width", "20"]
    lines = run_alone("-m", "jobs.benchmark_nodes", "--run", str(tmp_path), *size)
    assert [line.split()[0] for line in lines[-3:]] == ["1", "2", "3"]
    figures = json.loads((tmp_path / "reports" / "benchmark_nodes.json").read_text())["figures"]
    assert all(figures[nodes]["speed_over_processes"] > 0 for nodes in "123")
