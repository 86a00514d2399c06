"""Measure the pipeline's own operations on this machine, as ratios within one run: `jobs.benchmark refinement`.

The cohort is as large as `phantom` and `grid` say, and is written once, to RUN/benchmark. Ratios are medians of paired
rounds.
"""

from __future__ import annotations

import sys

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step

SUBJECT = "refinement"


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
    with ray_session(config.ray):
        memory = flows.measure_memory()
        timings = flows.measure_time()
    figures = summarize(kernel, timings, memory, len(volumes), flows.slices)
    for row in (rows := compare(figures)):
        value = "not measured" if row["value"] is None else f"{row['value']:.3f}"
        print(f"{row['figure']:<45} {value:>12}  to reach {row['to_reach']:<8} {'yes' if row['reached'] else 'NO'}")
    return step.commit(
        taken=flows.slices, given=flows.slices, figures=figures, targets=rows, seconds_of=timings.seconds
    )


def take_subject(arguments: list[str]) -> list[str]:
    """Return a command line without the name of what is measured, if it begins with it."""
    return arguments[1:] if arguments[:1] == [SUBJECT] else arguments


if __name__ == "__main__":
    run_job(main, take_subject(sys.argv[1:]))
