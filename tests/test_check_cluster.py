"""The check of a cluster: on two real nodes, and each fact that it stumbles over."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

import pipeline
from jobs import check_cluster as job
from pipeline.cluster.check import Access, NodeFacts, describe_versions, find_open_doors, find_problems, format_nodes
from pipeline.cluster.storage_probe import StorageProbe
from pipeline.command_line import parse
from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.stages.check_cluster import listens_everywhere

ROOT = Path(__file__).parent.parent
VERSIONS = {"ray": "2.60.0", "numpy": "2.4"}
NODE = NodeFacts("worker [10.0.0.2]", False, 16.0, 2.0, 64.0, 20.0, versions=VERSIONS, cuda_devices=2)


@pytest.fixture(scope="module")
def seen():
    """What `two_nodes.py` saw. Sockets in Ray's folder need a short path."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as temp, tempfile.TemporaryDirectory() as work:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
        environment |= {"RAY_TMPDIR": temp, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled"}
        command = [sys.executable, str(ROOT / "tests" / "two_nodes.py"), work]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout.splitlines()[-1])


def test_job_is_refused_where_a_node_has_another_folder_of_that_name(seen):
    assert "does not see what others write into the run folder" in seen["own"]
    assert "node " in seen["own"]
    assert "does not see the source, or an empty one" in seen["unseen source"]
    assert sorted(seen["complaints"]) == ["", "does not see what others write into the run folder"]


def test_89_two_nodes_are_as_they_should_be_but_for_their_open_door(seen):
    assert [(node["head"], node["cpus"], node["failure"]) for node in seen["nodes"]] == [(True, 1, ""), (False, 1, "")]
    assert all(node["run_free_gb"] > 0 and abs(node["clock_s"]) < 1 for node in seen["nodes"])
    assert all(node["versions"] == describe_versions() for node in seen["nodes"])
    assert seen["problems"] == []
    assert "answers 200 without a token: every account of the head node" in seen["doors"][0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"failure": "does not answer"}, "does not answer"),
        ({"storage": "does not see it"}, "does not see it"),
        ({"versions": VERSIONS | {"numpy": "2.3"}}, "has numpy 2.3, the driver has 2.4"),
        ({"versions": {"ray": "2.60.0"}}, "has numpy None, the driver has 2.4"),
        ({"cuda_devices": 0}, "has 2 GPUs for Ray, but torch can use 0"),
        ({"run_free_gb": 0.4}, "has 0.4 GB free under the run folder, at least 1 are needed"),
        ({"temp_free_share": 0.03}, "has 3% free under Ray's temporary folder, Ray stops at 5%"),
        ({"clock_s": -7.0, "clock_error_s": 0.1}, "has a clock that is -7.0 s off the driver's, 5 are allowed"),
        ({"clock_s": -7.0, "clock_error_s": 3.0}, ""),
    ],
)
def test_problem_names_node_and_both_sides(changes, problem):
    found = find_problems([replace(NODE, **changes)], VERSIONS)
    assert found == ([f"worker [10.0.0.2] {problem}"] if problem else [])


@pytest.mark.parametrize("file", ["steps.py", "stages/ingest.py", "couinaud/weights/new.safetensors"])
def test_change_of_any_code_or_weights_changes_the_version(tmp_path, monkeypatch, file):
    copy = Path(shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline"))
    monkeypatch.setattr(pipeline, "__file__", str(copy / "__init__.py"))
    (copy / "steps.pyc").touch()
    before = describe_versions()
    with (copy / file).open("ab") as code:
        code.write(b"\n")
    after = describe_versions()
    assert [name for name in before if before[name] != after[name]] == ["pipeline"]


def test_89_door_is_open_unless_a_token_is_asked_for():
    for status in (401, 403):
        assert not find_open_doors(Access("127.0.0.1:8265", status))
    assert not find_open_doors(Access())
    assert "does not answer" in find_open_doors(Access("127.0.0.1:8265"))[0]
    assert "every machine that reaches it" in find_open_doors(Access("10.0.0.1:8265", 200, True))[0]


@pytest.mark.parametrize(("host", "wide"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_listening_address_is_the_sockets_own(host, wide):
    with socket.create_server((host, 0)) as server:
        assert listens_everywhere("127.0.0.1", server.getsockname()[1]) == wide


def test_other_machine_with_a_folder_of_its_own_is_found(tmp_path):
    here, there = (RunFolder(str(tmp_path / name)) for name in ("here", "there"))
    probe = StorageProbe.begin(here)
    assert replace(probe, run=there).answer("node") == "does not see what others write into the run folder"
    assert probe.check("node") == "writes into the run folder what does not arrive"
    assert probe.answer("node") == probe.check("node") == ""
    here.write_bytes(b"other", probe.folder, "question")
    assert probe.answer("node").startswith("reads other bytes")
    probe.end()
    assert not list(here.local().iterdir())


def test_empty_mount_is_no_source(tmp_path):
    (tmp_path / "archive").mkdir()
    probe = StorageProbe.begin(RunFolder(str(tmp_path / "run")), str(tmp_path / "archive"))
    assert probe.answer("node") == "does not see the source, or an empty one"
    (tmp_path / "archive" / "case").mkdir()
    assert probe.answer("node") == ""


def test_table_has_a_line_per_node():
    lines = format_nodes([replace(NODE, head=True), replace(NODE, run_free_gb=12.34)]).splitlines()
    assert lines[1].split()[:4] == ["worker", "[10.0.0.2]", "(head)", "16"]
    assert lines[2].split()[-3:] == ["12.3", "-", "+0.0"]


def test_job_checks_this_machine(ray_cluster, tmp_path, capsys):
    assert job.main(PipelineConfig(run=str(tmp_path))) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 nodes, 0 problems"
    report = RunFolder(str(tmp_path)).read_json("check_cluster.json")
    assert (len(report["nodes"]), report["problems"]) == (1, [])


def test_force_is_an_option():
    assert parse(["--run", "x", "--force"]).ray.allow_open
