"""One comparison: its arms and seeds, what has to be done for them, and what becomes of the results."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.archive.quarantine import read_rejections
from pipeline.branch_folder import BranchFolder
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.reproduce.arms import Arm, choose_arms, read_arms
from pipeline.reproduce.benchmark import Benchmark
from pipeline.reproduce.plan import ARM_STEPS, NETWORK_STEPS, SEGMENTER_STEPS, Node, describe_settings, plan_arm
from pipeline.reproduce.results import (
    assemble,
    explain_stale,
    hash_inputs,
    read_result,
    read_seconds,
    result_path,
    write_result,
)
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.steps import EXIT_QUARANTINED

VolumesByCohort = Mapping[str, Sequence[VolumeRow]]
"""The volumes of each cohort, by the cohort's name in the plan."""


@dataclass(frozen=True)
class Comparison:
    """Arms and seeds on a benchmark.

    Args:
        config: The settings that all arms share; `run` is the job's run folder.
        arms: All arms that there are, by name.
        benchmark: What they are compared on.
        nodes: For each arm and seed that is asked for its run folders, from the cohort down to its own.
    """

    config: PipelineConfig
    arms: Mapping[str, Arm]
    benchmark: Benchmark
    nodes: Mapping[tuple[str, int], Sequence[Node]]

    @classmethod
    def of(cls, config: PipelineConfig) -> Comparison:
        """Return the comparison that the settings ask for.

        Raises:
            RefusedInputError: If an arm is unknown, its settings are not allowed, or the benchmark is not there.
        """
        arms = read_arms()
        chosen = choose_arms(arms, config.reproduce.arms)
        if config.reproduce.benchmark == "phantom":
            chosen = [arm for arm in chosen if not arm.left_out]  # they name volumes of 3D-IRCADb
        nodes = {
            (arm.name, seed): plan_arm(config, arms, arm, seed)
            for seed in dict.fromkeys(config.reproduce.seeds)
            for arm in chosen
        }
        return cls(config, arms, Benchmark.of(config), nodes)

    @property
    def side_by_side(self) -> int:
        """Trainings at the same time."""
        return self.config.reproduce.side_by_side or os.cpu_count() or 1

    def cohorts(self) -> list[Node]:
        """Return the cohorts of all arms, each once."""
        return list({nodes[0].name: nodes[0] for nodes in self.nodes.values()}.values())

    def find_stale(self, volumes: VolumesByCohort) -> dict[tuple[str, int], str]:
        """Return which arms and seeds have to be trained, and why.

        Args:
            volumes: The volumes of all cohorts.
        """
        reasons = {}
        for (name, seed), nodes in self.nodes.items():
            inputs = hash_inputs(volumes[nodes[0].name])
            settings = describe_settings(self.config, self.arms, self.arms[name])
            if reason := explain_stale(self.read(name, seed), settings, inputs):
                reasons[name, seed] = reason
        return reasons

    def pending(self, stale: Iterable[tuple[str, int]]) -> list[Node]:
        """Return the run folders below the cohorts that arms and seeds need, each once, parents first."""
        return list({node.name: node for key in stale for node in self.nodes[key][1:]}.values())

    def read(self, arm: str, seed: int) -> dict[str, Any] | None:
        """Return the result of an arm and seed, if there is one."""
        return read_result(result_path(self.benchmark.results, arm, seed))

    def read_all(self) -> list[dict[str, Any]]:
        """Return the results of all arms and seeds, asked for or not, that were made with the settings of today."""
        results = []
        for name, arm in self.arms.items():
            paths = () if arm.same_as else sorted(self.benchmark.results.glob(f"{name}_*.json"))
            found = [result for path in paths if (result := read_result(path)) and result["arm"] == name]
            if found:
                settings = describe_settings(self.config, self.arms, arm)
                results += [result for result in found if not explain_stale(result, settings, None)]
        return sorted(results, key=lambda result: (list(self.arms).index(result["arm"]), result["seed"]))

    def write(self, node: Node, run: RunFolder, volumes: VolumesByCohort, measured: Mapping[str, Any]) -> None:
        """Write the result of an arm, unless there is one that is still true, as of a teacher that was trained again.

        Args:
            node: The arm's run folder in the plan.
            run: The run folder.
            volumes: The volumes of all cohorts.
            measured: What `pipeline.stages.reproduce.measure_arm` gave.
        """
        assert node.arm is not None, "what arms share has no result"
        key = (node.arm.name, node.config.seed)
        settings = describe_settings(self.config, self.arms, node.arm)
        cohort, *_, segmenter, _ = plan_arm(self.config, self.arms, node.arm, node.config.seed)
        inputs = hash_inputs(volumes[cohort.name])
        if explain_stale(self.read(*key), settings, inputs):
            asked = (self.config.reproduce.benchmark, self.config.reproduce.budget)
            result = assemble(*key, asked, settings, inputs, describe_seconds(segmenter, run), measured)
            write_result(result_path(self.benchmark.results, *key), result)


def describe_seconds(segmenter: Node, run: RunFolder) -> dict[str, Any]:
    """Return what an arm took: `steps` in seconds, those done in folders that other segmenters `share` too, `total`.

    Args:
        segmenter: The folder of its segmenter in the plan.
        run: The arm's run folder.
    """
    steps = read_seconds(run, ["ingest", *NETWORK_STEPS, *SEGMENTER_STEPS, *ARM_STEPS])
    shared = [step for step in steps if f"reports/{step}.json" in segmenter.shared]
    if segmenter.teacher is not None:
        assert isinstance(run, BranchFolder), "an arm branches off its segmenter"
        assert isinstance(run.parent, BranchFolder), "a student branches off its teacher"
        taught = read_seconds(run.parent.parent, [*NETWORK_STEPS, *SEGMENTER_STEPS])
        steps, shared = steps | {"teacher": round(sum(taught.values()), 2)}, [*shared, "teacher"]
    return {"steps": steps, "shared": shared, "total": round(sum(steps.values()), 2)}


def explain_exit(run: RunFolder, step: str, code: int) -> str:
    """Return which volumes the arms of a folder go on without, after a step that did not end with 0.

    Args:
        run: The folder.
        step: The step.
        code: Its exit code.

    Raises:
        RuntimeError: If the step is not ILR, which sets a volume aside whose label names nothing that is there.
    """
    if (step, code) != ("refine_image_labels", EXIT_QUARANTINED):
        raise RuntimeError(f"{step} ended with exit code {code}")
    return "; ".join(f"without {item.volume_id}: {item.code}" for item in read_rejections(run) if item.step == step)


def report_failures(nodes: Sequence[Node], done: set[str], failed: Mapping[str, BaseException]) -> str:
    """Return what to say about run folders that could not be finished: their errors, and the arms that miss them."""
    lines = []
    for name, error in failed.items():
        refused = isinstance(error, RefusedInputError)
        lines.append(f"{name} failed: {error if refused else ''.join(traceback.format_exception(error)).rstrip()}")
    lost = [f"{node.arm.name}, seed {node.config.seed}" for node in nodes if node.arm and node.name not in done]
    if lost:
        lines.append(f"error: without a result: {'; '.join(lost)}. The same command takes up where they were.")
    return "".join(f"{line}\n" for line in lines)
