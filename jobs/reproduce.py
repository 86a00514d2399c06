"""Train and evaluate the arms of the paper's tables and others, doing only what is missing or stale."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from pipeline.command_line import run_job
from pipeline.config import METHOD_SECTIONS, PipelineConfig
from pipeline.steps import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from pipeline.reproduce.comparison import Comparison, VolumesByCohort
    from pipeline.reproduce.plan import Node

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # the libraries of Ray's workers, one thread each
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread that outlives the cluster after an interrupt must not start another
}


def main(config: PipelineConfig) -> int:
    """Ingest the benchmark, train what arms share and then the arms, several side by side, and write the tables."""
    from pipeline.reproduce.comparison import Comparison, report_failures
    from pipeline.reproduce.page import format_section, replace_section, require_section
    from pipeline.reproduce.schedule import run_nodes
    from pipeline.run_folder import RunFolder
    from pipeline.stages.reproduce import fit_in_cluster, ingest_cohort
    from pipeline.stages.session import ray_session

    comparison = Comparison.of(config)
    benchmark, side_by_side = comparison.benchmark, comparison.side_by_side
    if benchmark.page:
        require_section(benchmark.page, benchmark.name)
    os.environ.update(ENVIRONMENT)
    cpus = config.ray.cpus or 2 * side_by_side + 1  # for each training one and one for its data
    with ray_session(replace(config.ray, cpus=cpus), RunFolder(config.run)):
        ingest = partial(ingest_cohort, sources=benchmark.sources)
        volumes = {node.name: ingest(node.config, left_out=node.left_out) for node in comparison.cohorts()}
        stale = comparison.find_stale(volumes)
        for arm, seed in comparison.nodes:
            print(f"{arm}, seed {seed}: {stale.get((arm, seed), 'done before')}", flush=True)
        nodes = comparison.pending(stale)
        done, failed = run_nodes(nodes, partial(take_steps, comparison, volumes), fit_in_cluster(side_by_side))
    section = format_section(comparison.arms, comparison.read_all(), benchmark.name)
    if benchmark.page:
        replace_section(benchmark.page, benchmark.name, section)
    print(f"\n{section}\n\nResults: {benchmark.results}")
    sys.stderr.write(report_failures(nodes, done, failed))
    return EXIT_FAILED if len(done) < len(nodes) else EXIT_DONE


def take_steps(comparison: Comparison, volumes: VolumesByCohort, node: Node) -> None:
    """Do what is left to be done in a run folder of the plan."""
    from pipeline.reproduce.comparison import explain_exit
    from pipeline.reproduce.plan import RESULT_STEP, TEACHER_STEP
    from pipeline.stages.reproduce import measure_arm, predict_as_teacher

    with node.hold() as run:
        for step in node.steps:
            print(f"{node.name}: {step}", flush=True)
            if step == RESULT_STEP:
                comparison.write(node, run, volumes, measure_arm(run))
            elif step == TEACHER_STEP and node.teacher is not None:
                predict_as_teacher(node.config, node.teacher)
            elif code := import_module(f"jobs.{step}").main(node.config):
                print(f"{node.name}: {explain_exit(run, step, code)}", flush=True)


if __name__ == "__main__":
    from pipeline.reproduce.benchmark import default_config

    run_job(main, [*default_config(sys.argv[1:]), *sys.argv[1:]], sections=("reproduce", *METHOD_SECTIONS))
