"""Measure what Ray costs: refinement on 1, 2 and 3 nodes of one CPU, all on this machine, beside bare processes.

The cohort is that of `jobs.benchmark refinement`. Ratios are medians of paired rounds.
"""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Print a line per number of nodes; write `reports/benchmark_nodes.json`."""
    from pipeline.benchmarks.cohort import open_cohort
    from pipeline.stages.benchmark_nodes import measure_nodes
    from pipeline.stages.benchmark_refinement import RefinementFlows

    step = Step.begin(config, "benchmark_nodes")
    run, volumes, deep = open_cohort(config)
    flows = RefinementFlows(run, config, volumes, deep)
    measured = measure_nodes(flows)
    figures = {
        str(nodes): {
            "slices_per_second": flows.slices / timings.median("ray"),
            "speed_over_processes": timings.ratio("processes", "ray"),
        }
        for nodes, timings in measured.items()
    }
    for nodes, values in figures.items():
        speed, ratio = values.values()
        print(f"{nodes} nodes: {speed:.0f} slices a second, {ratio:.3f} of the speed of as many bare processes")
    seconds = {str(nodes): timings.seconds for nodes, timings in measured.items()}
    return step.commit(taken=flows.slices, given=flows.slices, figures=figures, seconds_of=seconds)


if __name__ == "__main__":
    run_job(main, sections=("phantom", "grid", "pixel_labels"))
