"""Predict the tumors of new CTs with the segmenter that another run folder has trained. No label table is needed."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.trained_model import read_model_settings

STALE = ("report", "evaluate", "predict_segmentation")
"""Jobs whose reports are of the volumes that there were."""


def main(config: PipelineConfig) -> int:
    """Ingest what is new in the source as test cases, predict each that has no mask, and write `predictions.csv`."""
    from dataclasses import replace

    from jobs import ingest, predict_segmentation
    from pipeline.branch_folder import open_run_folder
    from pipeline.predicted_volumes import TABLE
    from pipeline.stages.room import require_method_room
    from pipeline.stages.session import ray_session
    from pipeline.trained_model import take_model

    config = replace(config, source=replace(config.source, unlabeled=True))
    take_model(config)
    run = open_run_folder(config.run)
    with ray_session(config.ray, run, config.source.path):
        require_method_room(config, ["predict_segmentation"])
        code = ingest.main(config)
        for step in STALE:
            run.remove("reports", f"{step}.json")
        code = max(code, predict_segmentation.main(config))
    print(f"Predictions: {run.path('predictions')}, measured in {run.path(TABLE)}")
    return code


if __name__ == "__main__":
    run_job(
        main,
        base=read_model_settings,
        sections=("predict", "source", "couinaud", "couinaudnet", "segmenter", "ray"),
    )
