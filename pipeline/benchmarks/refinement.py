"""The figures of the refinement benchmark, and those that they should reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.benchmarks.timing import Timings

POINTS = 1000
Figures = dict[str, float | None]

TARGETS: dict[str, tuple[str, str, float]] = {
    "kernel up to CI, speed over a copy": ("kernel.index_speed_over_copy", ">=", 0.8),
    "kernel with both masks, speed over a copy": ("kernel.refine_speed_over_copy", ">=", 0.8),
    "kernel from packed masks, speed over a copy": ("kernel.packed_speed_over_copy", ">=", 3.0),
    "Ray stage, speed over bare processes": ("flow.speed_over_processes", ">=", 0.85),
    "1,000 points of a sweep, in passes of PLR": ("sweep.passes", "<=", 1.5),
    "one point more, ms per 100 volumes": ("sweep.ms_per_point_and_100_volumes", "<=", 1.0),
    "peak memory, 16x over 1x volumes": ("memory.16x_over_1x", "<=", 1.1),
    "peak memory, 10x over 1x depth": ("memory.depth_over_1x", "<=", 1.1),
}
"""What to reach: figure, relation and bound."""


def summarize(
    kernel: Mapping[str, float | None], timings: Timings, memory: Mapping[str, float], volumes: int, slices: int
) -> dict[str, Figures]:
    """Return all figures by part of the benchmark.

    Args:
        kernel: Figures of the kernels.
        timings: Seconds of `ray`, `processes`, `ray_one_cpu`, `sweep` and `points`.
        memory: Peaks in MB at `1x`, `4x`, `16x` the volumes and at `10x_depth`.
        volumes: Volumes of the cohort.
        slices: Slices of the cohort.
    """
    one_core = kernel["refine_us_per_slice"]
    assert one_core is not None, "the kernel is always measured"
    ray = timings.median("ray")
    return {
        "kernel": dict(kernel),
        "flow": {
            "seconds": ray,
            "slices_per_second": slices / ray,
            "slices_per_second_one_cpu": slices / timings.median("ray_one_cpu"),
            "speedup_of_all_cpus": timings.ratio("ray_one_cpu", "ray"),
            "processes_seconds": timings.median("processes"),
            "speed_over_processes": timings.ratio("processes", "ray"),
            "seconds_over_kernel_on_one_core": ray / (1e-6 * one_core * slices),
        },
        "sweep": {
            "seconds": timings.median("sweep"),
            "passes": timings.ratio("sweep", "ray"),
            "speed_over_1000_passes": POINTS / timings.ratio("sweep", "ray"),
            "ms_per_point_and_100_volumes": 1e3 * timings.median("points") / POINTS * 100 / volumes,
        },
        "memory": {
            **{f"{name}_mb": value for name, value in memory.items()},
            "16x_over_1x": memory["16x"] / memory["1x"] if memory["1x"] else None,
            "depth_over_1x": memory["10x_depth"] / memory["1x"] if memory["1x"] else None,
        },
    }


def compare(
    figures: Mapping[str, Figures], targets: Mapping[str, tuple[str, str, float]] = TARGETS
) -> list[dict[str, Any]]:
    """Return one row per figure to reach: its name, value and bound, and whether it is reached."""
    rows = []
    for name, (place, relation, bound) in targets.items():
        part, key = place.split(".")
        value = figures[part][key]
        reached = value is not None and (value >= bound if relation == ">=" else value <= bound)
        rows.append({"figure": name, "value": value, "to_reach": f"{relation} {bound:g}", "reached": reached})
    return rows
