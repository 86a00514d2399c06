"""Measure the pipeline's own operations on this machine: `jobs.benchmark refinement`, `couinaud` or `dicom`.

`refinement` compares within one run; its cohort is as large as `phantom` and `grid` say; ratios are medians of paired
rounds. `couinaud` divides a phantom of 512 x 512 x 200 voxels. `dicom` takes turns between ingest and bare decoders on
archives of 16 series of 120 slices. Cohort and archives are written once, below RUN.
"""

from __future__ import annotations

import sys
from typing import Any

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Compare PLR with a copy of its bytes, with bare processes and with a sweep; write `reports/benchmark.json`."""
    from pipeline.benchmarks.cohort import open_cohort
    from pipeline.benchmarks.kernels import measure_kernels
    from pipeline.benchmarks.refinement import TARGETS, summarize
    from pipeline.stages.benchmark_refinement import RefinementFlows
    from pipeline.stages.session import ray_session

    step = Step.begin(config, "benchmark")
    run, volumes, deep = open_cohort(config)
    kernel = measure_kernels(config)
    flows = RefinementFlows(run, config, volumes, deep)
    with ray_session(config.ray, step.run):
        memory, timings = flows.measure_memory(), flows.measure_time()
    figures = summarize(kernel, timings, memory, len(volumes), flows.slices)
    return commit(step, figures, TARGETS, flows.slices, seconds_of=timings.seconds)


def measure_couinaud(config: PipelineConfig) -> int:
    """Measure seconds, memory and throughput of constructors; write `reports/benchmark_couinaud.json`."""
    from pipeline.benchmarks.couinaud import TARGETS, summarize, write_benchmark_volume
    from pipeline.stages.benchmark_couinaud import measure_constructors
    from pipeline.stages.session import ray_session

    step = Step.begin(config, "benchmark_couinaud")
    write_benchmark_volume(step.run, config.seed)
    with ray_session(config.ray, step.run):
        measured, seconds = measure_constructors(step.run, config)
    return commit(step, summarize(measured, seconds), TARGETS, sum(map(len, measured.values())))


def measure_dicom(config: PipelineConfig) -> int:
    """Compare ingest with pydicom alone on the same files; write `reports/benchmark_dicom.json`."""
    from jobs import ingest
    from pipeline.stages.benchmark_dicom import TARGETS, measure_ingest
    from pipeline.stages.session import ray_session

    step = Step.begin(config, "benchmark_dicom")
    with ray_session(config.ray, step.run):
        figures, seconds = measure_ingest(step.run, config, ingest.main)
    return commit(step, figures, TARGETS, len(seconds), seconds_of=seconds)


def commit(step: Step, figures: Any, targets: Any, taken: int, **extra: Any) -> int:
    """Print what was reached of what is to be reached, and commit the step."""
    from pipeline.benchmarks.refinement import compare

    rows = compare(figures, targets)
    for row in rows:
        value = "not measured" if row["value"] is None else f"{row['value']:.3f}"
        print(f"{row['figure']:<45} {value:>12}  to reach {row['to_reach']:<8} {'yes' if row['reached'] else 'NO'}")
    return step.commit(taken=taken, given=taken, figures=figures, targets=rows, **extra)


def take_subject(arguments: list[str]) -> tuple[Any, list[str]]:
    """Return what to measure, `refinement` unless the command line begins with another subject, and the rest of it."""
    subjects = {"refinement": main, "couinaud": measure_couinaud, "dicom": measure_dicom}
    named = arguments[:1] and arguments[0] in subjects
    return subjects[arguments[0]] if named else main, arguments[bool(named) :]


if __name__ == "__main__":
    run_job(*take_subject(sys.argv[1:]), sections=("phantom", "grid", "couinaud", "pixel_labels", "ray"))
