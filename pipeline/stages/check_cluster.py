"""Asking every node of a cluster: what it is like, and whether it sees the run folder."""

from __future__ import annotations

import glob
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.cluster.check import Access, NodeFacts, describe_versions
from pipeline.cluster.storage_probe import StorageProbe
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder

ANSWER_S = 120.0
"""A node that says nothing for so long, its Python processes being started in that time, is broken."""
_SOCKETS = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENING = "0A"


class NodeProbe:
    """An actor on one node, which takes no CPU."""

    def answer(self, probe: StorageProbe, node_id: str) -> str:
        """Return what is wrong with this node's view of the run folder; empty if nothing is."""
        return probe.answer(node_id)

    def describe(self, run: RunFolder, temp: str, gpus: float) -> dict[str, Any]:
        """Return what only the node itself knows, as fields of `NodeFacts`."""
        disk = shutil.disk_usage(temp)
        return {
            "versions": describe_versions(),
            "run_free_gb": _free_gb(run),
            "temp_free_gb": disk.free / 1e9,
            "temp_free_share": disk.free / disk.total,
            "cuda_devices": _count_cuda_devices() if gpus or glob.glob("/dev/nvidia[0-9]*") else None,
        }

    def clock(self) -> float:
        """Return the node's time."""
        return time.time()

    def look_at_dashboard(self, url: str) -> Access:
        """Ask the dashboard for its jobs as a stranger would."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        host, _, port = url.rpartition(":")
        everywhere = listens_everywhere(host, int(port))
        try:
            with opener.open(f"http://{url}/api/jobs/", timeout=10) as response:
                return Access(url, response.status, everywhere)
        except urllib.error.HTTPError as error:
            return Access(url, error.code, everywhere)
        except OSError:
            return Access(url, None, everywhere)


def examine_cluster(run: RunFolder, source: str = "") -> tuple[list[NodeFacts], Access]:
    """Return the facts of all nodes, the head first, and who can reach the dashboard.

    Args:
        run: Run folder.
        source: Archive that all nodes have to see; empty for none.
    """
    nodes = _living_nodes()
    probes = _place_probes(nodes)
    facts = {node["NodeID"]: _count(node) for node in nodes}
    described = _ask(
        probes,
        lambda actor, node_id: actor.describe.remote(run, _temp_folder(nodes, node_id), facts[node_id].gpus),
    )
    complaints = _exchange(run, source, probes)
    for node_id, answer in described.items():
        if isinstance(answer, str):
            facts[node_id] = replace(facts[node_id], failure=answer)
            continue
        clock_s, error_s = _compare_clocks(probes[node_id])
        known = replace(facts[node_id], clock_s=clock_s, clock_error_s=error_s, storage=complaints[node_id])
        facts[node_id] = replace(known, **answer)
    return list(facts.values()), _find_access(probes, nodes)


def require_shared_storage(run: RunFolder, source: str = "") -> None:
    """Refuse to start a job on a cluster of several nodes unless all of them see the run folder.

    Args:
        run: Run folder.
        source: Archive that all nodes have to see; empty for none.

    Raises:
        RefusedInputError: Naming the first node that does not.
    """
    nodes = _living_nodes()
    if len(nodes) < 2:
        return
    complaints = _exchange(run, source, _place_probes(nodes))
    living = {node["NodeID"] for node in _living_nodes()}
    for node in nodes:
        complaint = complaints[node["NodeID"]]
        if complaint and node["NodeID"] in living:  # one that was taken away meanwhile does no harm
            raise RefusedInputError(
                f"{run.uri}: node {_name(node)} {complaint}; run folder and source must be on storage that all nodes"
                " see, under the same path (jobs.check_cluster says more)"
            )


def listens_everywhere(host: str, port: int) -> bool:
    """Tell whether this machine accepts connections to a port from other machines.

    Args:
        host: Address that the server says it has.
        port: Its port.
    """
    lines = [
        line.split() for table in _SOCKETS if Path(table).exists() for line in Path(table).read_text().splitlines()[1:]
    ]
    wide = {f"{'0' * digits}:{port:04X}" for digits in (8, 32)}
    return host not in ("127.0.0.1", "localhost", "::1", "[::1]") or any(
        line[1] in wide and line[3] == _LISTENING for line in lines
    )


def _living_nodes() -> list[dict[str, Any]]:
    """Return Ray's records of the nodes, the head first."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    return sorted(nodes, key=lambda node: (not _is_head(node), _name(node), node["NodeID"]))


def _is_head(node: Mapping[str, Any]) -> bool:
    """Tell whether a node is the head."""
    return "node:__internal_head__" in node["Resources"]


def _name(node: Mapping[str, Any]) -> str:
    """Return a node's host name and address."""
    return f"{node['NodeManagerHostname']} [{node['NodeManagerAddress']}]"


def _count(node: Mapping[str, Any]) -> NodeFacts:
    """Return what Ray counts on a node."""
    counted = node["Resources"]
    return NodeFacts(
        name=_name(node),
        head=_is_head(node),
        cpus=counted.get("CPU", 0.0),
        gpus=counted.get("GPU", 0.0),
        memory_gb=counted.get("memory", 0.0) / 1e9,
        store_gb=counted.get("object_store_memory", 0.0) / 1e9,
    )


def _temp_folder(nodes: Sequence[Mapping[str, Any]], node_id: str) -> str:
    """Return the folder of Ray's session on a node, which holds the sockets."""
    socket = next(node["ObjectStoreSocketName"] for node in nodes if node["NodeID"] == node_id)
    return str(Path(socket).parent.parent)


def _place_probes(nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return an actor on each node, by node id."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor = ray.remote(NodeProbe)
    return {
        node["NodeID"]: actor.options(
            num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote()
        for node in nodes
    }


def _ask(probes: Mapping[str, Any], ask: Callable[[Any, str], Any]) -> dict[str, Any]:
    """Ask all nodes at once; return answers, or why there is none, by node id in the order of the probes."""
    import ray

    asked = {node_id: ask(actor, node_id) for node_id, actor in probes.items()}
    ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=ANSWER_S)
    arrived = set(ready)
    return {
        node_id: _get(ref) if ref in arrived else f"does not answer within {ANSWER_S:.0f} s"
        for node_id, ref in asked.items()
    }


def _get(answer: Any) -> Any:
    """Return an answer, or why there is none."""
    import ray

    try:
        return ray.get(answer)
    except ray.exceptions.RayError as error:
        return f"does not answer: {type(error).__name__}: {str(error).strip().splitlines()[-1]}"


def _exchange(run: RunFolder, source: str, probes: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with each node's view of the run folder, by node id."""
    probe = StorageProbe.begin(run, source)
    try:
        answers = _ask(probes, lambda actor, node_id: actor.answer.remote(probe, node_id))
        return {node_id: answer or probe.check(node_id) for node_id, answer in answers.items()}
    finally:
        probe.end()


def _compare_clocks(actor: Any) -> tuple[float, float]:
    """Return how far a node's clock is off, and how far off that may be: half of the time that asking takes."""
    before = time.time()
    there = _get(actor.clock.remote())
    after = time.time()
    return (0.0 if isinstance(there, str) else there - (before + after) / 2), (after - before) / 2


def _find_access(probes: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> Access:
    """Return who can reach the dashboard, looked at from the head."""
    from ray._private.worker import get_dashboard_url

    url, head = get_dashboard_url(), next((node["NodeID"] for node in nodes if _is_head(node)), "")
    if not url or not head:
        return Access()
    found = _get(probes[head].look_at_dashboard.remote(url))
    return found if isinstance(found, Access) else Access(url)


def _free_gb(run: RunFolder) -> float | None:
    """Return the free disk under a run folder; None for one that is no folder of the node."""
    try:
        return shutil.disk_usage(run.local()).free / 1e9
    except (RefusedInputError, OSError):
        return None


def _count_cuda_devices() -> int:
    """Return how many GPUs torch can use."""
    import torch

    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
