"""Run the whole method on an archive: from CT volumes and volume-level labels to an evaluated tumor segmenter."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import METHOD_SECTIONS, PipelineConfig
from pipeline.steps import EXIT_DONE


def main(config: PipelineConfig) -> int:
    """Run every step that is not committed yet, in the order of the method, then print the evaluation.

    What a step would refuse because of where the run folder lies, or of the size of the cluster, is refused before any.
    """
    from jobs import (
        evaluate,
        ingest,
        predict_segmentation,
        predict_tumors,
        refine_image_labels,
        refine_pixel_labels,
        report,
        train_couinaudnet,
        train_segmenter,
    )
    from pipeline.branch_folder import open_run_folder
    from pipeline.evaluation import format_table
    from pipeline.predicted_volumes import TABLE
    from pipeline.slabs import read_volume_rows
    from pipeline.stages.predict_segmentation import NOTHING_TO_PREDICT, PREDICTED_SPLITS
    from pipeline.stages.room import require_method_room
    from pipeline.stages.session import ray_session
    from pipeline.training_history import SEGMENTER

    method = (
        ingest,
        refine_image_labels,
        train_couinaudnet,
        predict_tumors,
        refine_pixel_labels,
        train_segmenter,
        predict_segmentation,
        evaluate,
        report,
    )
    run, code = open_run_folder(config.run), EXIT_DONE
    steps = {job.__name__.removeprefix("jobs."): job for job in method}
    left = [name for name in steps if not run.exists("reports", f"{name}.json")]
    if "train_segmenter" in left:
        run.local(SEGMENTER)  # nnU-Net knows plain paths only
    with ray_session(config.ray, run, config.source.path):
        require_method_room(config, left)
        for number, (name, job) in enumerate(steps.items(), start=1):
            print(f"[{number}/{len(steps)}] {name}{'' if name in left else ': done before'}", flush=True)
            code = max(code, job.main(config))
            report = run.read_json("reports", f"{name}.json")
            print(f"      {report['taken']} in, {report['given']} out, {report['seconds']:.0f} s", flush=True)
            if name == "ingest" and not read_volume_rows(run, *PREDICTED_SPLITS):
                print(f"      {NOTHING_TO_PREDICT}", flush=True)
    print(f"\n{format_table(run.read_json('evaluation', 'summary.json'))}\n")
    if run.exists(TABLE):  # earlier versions wrote none
        print(f"Predictions: {run.path('predictions')}, measured in {run.path(TABLE)}")
    print(f"Report: {run.path('report.html')}")
    return code


if __name__ == "__main__":
    run_job(main, sections=METHOD_SECTIONS)
