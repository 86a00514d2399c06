"""Extrapolate a finished run to a larger archive on clusters of several sizes, and name what would hold each up."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import EXIT_DONE


def main(config: PipelineConfig) -> int:
    """Measure what the run cost, simulate `schedule`, print a table and write `size_cluster.json` into the run folder.

    While it measures, there is a folder `rows-*` with rows that are written to be timed.
    """
    from dataclasses import asdict

    from pipeline.branch_folder import open_run_folder
    from pipeline.cluster.schedule import (
        DriverCost,
        extrapolate,
        format_schedule,
        measure_rows,
        measure_steps,
        measure_trainings,
        to_json,
    )
    from pipeline.stages.measure_blocks import measure_block
    from pipeline.stages.session import ray_session

    run, wanted = open_run_folder(config.run), config.schedule
    costs, trainings = measure_steps(run, wanted), measure_trainings(run)
    read_row, commit_row = measure_rows(run)
    with ray_session(config.ray):
        driver = DriverCost(read_row, commit_row, measure_block())
    outcomes = extrapolate(costs, driver, wanted)
    print(f"{wanted.cases} cases of {wanted.slices} slices, nodes of {wanted.cpus_per_node} CPUs")
    print(f"driver, ms: {', '.join(f'{name} {1000 * value:.1f}' for name, value in asdict(driver).items())}\n")
    print(format_schedule(costs, outcomes, trainings))
    facts = {"schedule": asdict(wanted), "driver": asdict(driver), "trainings": trainings, "steps": to_json(outcomes)}
    run.write_json({**facts, "costs": [asdict(cost) for cost in costs]}, "size_cluster.json")
    return EXIT_DONE


if __name__ == "__main__":
    run_job(main, writes=False, sections=("schedule", "ray"))
