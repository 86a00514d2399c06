"""Measure the pipeline's own operations on this machine, as ratios within one run."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step

ROUNDS = 5
SLICES = 512


def main(config: PipelineConfig) -> int:
    """Time PLR against a copy of the same bytes and against its plain definition, and the decoding of a phantom."""
    from pipeline.benchmarks import draw_probability, measure, refine_plainly
    from pipeline.phantom import list_phantoms, make_phantom
    from pipeline.pixel_labels import refine_pixel_labels

    step = Step.begin(config, "benchmark")
    labels = config.pixel_labels
    probability, slice_index = draw_probability(config.seed, SLICES, config.grid.height, config.grid.width)
    phantom_id = list_phantoms(config.phantom, config.seed)[0].volume_id
    seconds = measure(
        {
            "copy": probability.copy,
            "plr": lambda: refine_pixel_labels(probability, slice_index, labels.threshold, labels.scale),
            "plr_plain": lambda: refine_plainly(probability, labels.threshold, labels.scale),
            "phantom": lambda: make_phantom(config.phantom, config.seed, phantom_id),
        },
        ROUNDS,
    )
    figures = {
        "plr_us_per_slice": 1e6 * seconds["plr"] / SLICES,
        "plr_over_copy": seconds["plr"] / seconds["copy"],
        "plain_over_plr": seconds["plr_plain"] / seconds["plr"],
        "phantom_seconds": seconds["phantom"],
    }
    for name, value in figures.items():
        print(f"{name:>18} {value:10.3f}")
    return step.commit(taken=SLICES, given=SLICES, figures=figures)


if __name__ == "__main__":
    run_job(main)
