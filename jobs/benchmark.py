"""Measure the pipeline's own operations on this machine: `jobs.benchmark refinement` or `jobs.benchmark couinaud`.

`refinement` compares within one run; its cohort is as large as `phantom` and `grid` say, is written once, to
RUN/benchmark, and ratios are medians of paired rounds. `couinaud` divides a phantom of 512 x 512 x 200 voxels.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Compare PLR with a copy of its bytes, with bare processes and with a sweep; write `reports/benchmark.json`."""
    from pipeline.benchmarks.cohort import open_cohort
    from pipeline.benchmarks.kernels import measure_kernels
    from pipeline.benchmarks.refinement import compare, summarize
    from pipeline.stages.benchmark_refinement import RefinementFlows
    from pipeline.stages.session import ray_session

    step = Step.begin(config, "benchmark")
    run, volumes, deep = open_cohort(config)
    kernel = measure_kernels(config)
    flows = RefinementFlows(run, config, volumes, deep)
    with ray_session(config.ray, step.run):
        memory = flows.measure_memory()
        timings = flows.measure_time()
    figures = summarize(kernel, timings, memory, len(volumes), flows.slices)
    rows = compare(figures)
    show(rows)
    return step.commit(
        taken=flows.slices, given=flows.slices, figures=figures, targets=rows, seconds_of=timings.seconds
    )


def measure_couinaud(config: PipelineConfig) -> int:
    """Measure seconds, memory and throughput of constructors; write `reports/benchmark_couinaud.json`."""
    from pipeline.benchmarks.couinaud import TARGETS, summarize, write_benchmark_volume
    from pipeline.benchmarks.refinement import compare
    from pipeline.stages.benchmark_couinaud import measure_constructors
    from pipeline.stages.session import ray_session

    step = Step.begin(config, "benchmark_couinaud")
    write_benchmark_volume(step.run, config.seed)
    with ray_session(config.ray, step.run):
        measured, seconds = measure_constructors(step.run, config)
    figures, volumes = summarize(measured, seconds), sum(map(len, measured.values()))
    rows = compare(figures, TARGETS)
    show(rows)
    return step.commit(taken=volumes, given=volumes, figures=figures, targets=rows)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what was reached of what is to be reached."""
    for row in rows:
        value = "not measured" if row["value"] is None else f"{row['value']:.3f}"
        print(f"{row['figure']:<45} {value:>12}  to reach {row['to_reach']:<8} {'yes' if row['reached'] else 'NO'}")


SUBJECTS = {"refinement": main, "couinaud": measure_couinaud}


def take_subject(arguments: list[str]) -> tuple[Any, list[str]]:
    """Return what to measure, `refinement` unless the command line begins with another subject, and the rest of it."""
    named = bool(arguments) and arguments[0] in SUBJECTS
    return SUBJECTS[arguments[0] if named else "refinement"], arguments[1:] if named else arguments


if __name__ == "__main__":
    run_job(*take_subject(sys.argv[1:]))
