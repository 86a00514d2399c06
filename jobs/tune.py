"""Search settings with Ray Tune: tau and c of pixel-level label refinement, or ILR's minimum area and the synthesis."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Sweep a space of `tune_spaces/`; write its points and the best settings as a file that `--config` takes."""
    return tune_refinement(config) if config.tune.space == "label_refinement" else tune_synthesis(config)


def tune_refinement(config: PipelineConfig) -> int:
    """Search tau and c from the statistics; write the whole surface, and print the best points beside the paper's."""
    from pipeline.sweep import files

    files.require_continuity(config.pixel_labels)
    with Step.begin(config, "tune_label_refinement", needs=("sweep_statistics",)) as step:
        from pipeline.stages.measure_surface import measure_cohort, measure_point
        from pipeline.stages.session import ray_session
        from pipeline.stages.tune_refinement import sweep_refinement
        from pipeline.stages.tuning import check_search
        from pipeline.sweep.config_file import recall_settings
        from pipeline.sweep.points import AS_GIVEN, PAPER, SCALE, THRESHOLD, format_points
        from tune_spaces.label_refinement import SPACE

        config = files.settle_split(step.run, config)
        tuned, made = config.tune, recall_settings(step.run, config, keep=AS_GIVEN)
        check_search(tuned)
        volumes, window = files.select_volumes(step.run, tuned), made.pixel_labels
        files.check_window(step.run, window)
        with ray_session(config.ray, step.run):
            surface = measure_cohort(step.run, window, volumes, SPACE[THRESHOLD].grid, SPACE[SCALE].grid)
            points = sweep_refinement(step.run, made, SPACE, volumes, surface)
            paper = measure_point(step.run, window, volumes, surface, PAPER)
        chosen = files.choose_points(points, surface, paper, tuned.objective)
        referenced = sum(volume.has_reference for volume in volumes)
        about = {**vars(tuned), "points": len(points), "volumes": len(volumes), "with_reference": referenced}
        files.write_refinement_sweep(step.run, made, surface, chosen, about)
        print(f"{len(points)} points, {len(volumes)} {tuned.split} volumes, {referenced} with reference masks")
        print(format_points(chosen.by_name))
        best = step.run.path("tune", tuned.space, "best.toml")
        print(f"Settings for --config, the best of the {chosen.best_of}: {best}")
        return step.commit(taken=len(points), given=len(points), **about, best=chosen.best.to_json())


def tune_synthesis(config: PipelineConfig) -> int:
    """Search ILR's minimum area and the synthesis by short trainings, each in a branch of the run folder."""
    with Step.begin(config, "tune_synthesis", needs=("ingest",)) as step:
        from pipeline.stages.session import ray_session
        from pipeline.stages.tune_synthesis import sweep_synthesis
        from pipeline.stages.tuning import check_search
        from pipeline.sweep.combinations import narrow_space
        from pipeline.sweep.config_file import recall_settings
        from pipeline.sweep.files import select_volumes, settle_split, write_synthesis_sweep
        from pipeline.sweep.points import EPOCHS, pick_best
        from tune_spaces.synthesis import SPACE

        config = settle_split(step.run, config)
        tuned, made = config.tune, recall_settings(step.run, config, keep=("couinaudnet.epochs",))
        check_search(tuned)
        volumes = select_volumes(step.run, tuned)
        space, left_out = narrow_space(made, SPACE, tuned.search)
        print("".join(f"{line}\n" for line in left_out), end="")
        with ray_session(config.ray, step.run):
            points = sweep_synthesis(step.run, made, space, volumes)
        longest = max(point.figures[EPOCHS] for point in points)
        best = pick_best([point for point in points if point.figures[EPOCHS] == longest], tuned.objective)
        about = {**vars(tuned), "points": len(points), "volumes": len(volumes)}
        write_synthesis_sweep(step.run, recall_settings(step.run, config), points, best, about)
        for name, value in best.to_json().items():
            print(f"{name:<32}{value:.4g}" if isinstance(value, float) else f"{name:<32}{value}")
        print(f"Settings for --config: {step.run.path('tune', tuned.space, 'best.toml')}")
        return step.commit(taken=len(points), given=len(points), **about, best=best.to_json())


if __name__ == "__main__":
    run_job(main, sections=("tune", "image_labels", "synthesis", "couinaudnet", "pixel_labels", "ray"))
