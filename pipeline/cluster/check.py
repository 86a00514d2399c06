"""What a cluster must be like before an archive is entrusted to it: facts of its nodes, and what is wrong with them."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pipeline
from pipeline.steps import package_versions
from pipeline.text_table import align

CLOCK_LIMIT_S = 5.0
RUN_FREE_GB = 1.0
TEMP_FREE_SHARE = 0.05
"""Ray spills no objects to a disk that is fuller, and its tasks fail."""
_SHAPING = (".py", ".toml", ".safetensors")
"""Files of this package by which results are made: code, configurations and shipped weights."""


@dataclass(frozen=True)
class NodeFacts:
    """What is known of a node.

    Args:
        name: Host name and address.
        head: Whether it is the head.
        cpus: CPUs, as Ray counts them.
        gpus: GPUs, likewise.
        memory_gb: Memory for tasks, likewise.
        store_gb: Object store.
        failure: Why it did not answer; then the rest is not known.
        storage: What is wrong with its view of the run folder; empty if nothing is.
        versions: Versions of `describe_versions`.
        run_free_gb: Free disk under the run folder; None where it is not on a disk of the node.
        temp_free_gb: Free disk under Ray's temporary folder.
        temp_free_share: The same as a share of the disk.
        cuda_devices: GPUs that torch can use; None where nobody looked.
        clock_s: Its clock minus the driver's.
        clock_error_s: How far off that may be.
    """

    name: str
    head: bool
    cpus: float
    gpus: float
    memory_gb: float
    store_gb: float
    failure: str = ""
    storage: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    run_free_gb: float | None = None
    temp_free_gb: float | None = None
    temp_free_share: float = 1.0
    cuda_devices: int | None = None
    clock_s: float = 0.0
    clock_error_s: float = 0.0


@dataclass(frozen=True)
class Access:
    """Who can reach the dashboard, through which anybody's code is run.

    Args:
        url: Its address; empty if the cluster has none.
        status: HTTP status of a request without a token; None if nobody answered.
        everywhere: Whether it listens to other machines.
    """

    url: str = ""
    status: int | None = None
    everywhere: bool = False


def describe_versions() -> dict[str, str]:
    """Return the versions of all that shapes results, and a hash of `pipeline`: of this project, all that nodes run."""
    content, package = hashlib.sha256(), Path(pipeline.__file__).parent
    for path in sorted(path for path in package.rglob("*") if path.suffix in _SHAPING):
        content.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return {**package_versions(), "pipeline": content.hexdigest()[:12], "machine": platform.machine()}


def find_problems(nodes: Sequence[NodeFacts], versions: Mapping[str, str]) -> list[str]:
    """Return what is wrong with nodes, one sentence each.

    Args:
        nodes: The nodes.
        versions: Versions of the driver.
    """
    return [f"{node.name} {problem}" for node in nodes for problem in _find_problems(node, versions)]


def find_open_doors(access: Access) -> list[str]:
    """Return what is wrong with the cluster's access, one sentence each."""
    if access.url and access.status is None:
        return [f"the dashboard at {access.url} does not answer"]
    if access.status is None or access.status in (401, 403):
        return []
    who = "every machine that reaches it" if access.everywhere else "every account of the head node"
    return [
        f"the dashboard at {access.url} answers {access.status} without a token: {who} can run code on the cluster."
        " Start all nodes with RAY_AUTH_MODE=token, or say --force"
    ]


def format_nodes(nodes: Sequence[NodeFacts]) -> str:
    """Lay out nodes for the console."""
    header = ["node", "CPUs", "GPUs", "CUDA", "memory GB", "store GB", "run GB free", "temp GB free", "clock s"]
    rows = [
        [
            f"{node.name}{' (head)' * node.head}",
            f"{node.cpus:g}",
            f"{node.gpus:g}",
            node.cuda_devices,
            *(_one_decimal(value) for value in (node.memory_gb, node.store_gb, node.run_free_gb, node.temp_free_gb)),
            f"{node.clock_s:+.1f}",
        ]
        for node in nodes
    ]
    return align(header, rows)


def _one_decimal(value: float | None) -> str | None:
    """Return a number's text."""
    return None if value is None else f"{value:.1f}"


def _find_problems(node: NodeFacts, versions: Mapping[str, str]) -> list[str]:
    """Return what is wrong with one node, with a verb in front."""
    if node.failure:
        return [node.failure]
    problems = [node.storage] if node.storage else []
    for name in sorted(versions.keys() | node.versions.keys()):
        here, there = versions.get(name), node.versions.get(name)
        if here != there:
            problems.append(f"has {name} {there}, the driver has {here}")
    if node.cuda_devices is not None and node.cuda_devices < node.gpus:
        problems.append(f"has {node.gpus:g} GPUs for Ray, but torch can use {node.cuda_devices}")
    if node.run_free_gb is not None and node.run_free_gb < RUN_FREE_GB:
        problems.append(f"has {node.run_free_gb:.1f} GB free under the run folder, at least {RUN_FREE_GB:g} are needed")
    if node.temp_free_share < TEMP_FREE_SHARE:
        problems.append(
            f"has {node.temp_free_share:.0%} free under Ray's temporary folder, Ray stops at {TEMP_FREE_SHARE:.0%}"
        )
    if abs(node.clock_s) - node.clock_error_s > CLOCK_LIMIT_S:
        problems.append(f"has a clock that is {node.clock_s:+.1f} s off the driver's, {CLOCK_LIMIT_S:g} are allowed")
    return problems
