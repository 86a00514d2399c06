"""Predict the tumors of the validation and test volumes with the trained segmenter."""

from __future__ import annotations

from collections import Counter

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `predictions/VOLUME.nii.gz`, a mask on its own grid, where there is none, then `predictions.csv`."""
    with Step.begin(config, "predict_segmentation", uses=("segmenter", "grid"), needs=("train_segmenter",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import retry_rejected
        from pipeline.predicted_volumes import find_unmeasured, write_prediction_table
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.base import set_aside
        from pipeline.stages.predict_segmentation import (
            NOTHING_TO_PREDICT,
            PREDICTED_SPLITS,
            measure_predictions,
            predict_volumes,
            prediction_path,
        )
        from pipeline.stages.session import ray_session

        run, reasons = step.run, Counter[str]()
        retry_rejected(run, step.name)
        volumes = {row.volume_id: row for row in read_volume_rows(run, *PREDICTED_SPLITS)}
        if not volumes:
            print(f"predict_segmentation: {NOTHING_TO_PREDICT}")
        missing = [volume_id for volume_id in volumes if not run.exists(*prediction_path(volume_id))]
        if missing or find_unmeasured(run, volumes):
            with ray_session(config.ray, run):
                predicted = predict_volumes(run, config, volumes, missing)
                _, reasons = set_aside(run, step.name, step.progress(predicted, len(missing), "volume"))
                unmeasured = find_unmeasured(run, volumes)
                measured = measure_predictions(run, config.grid, volumes, unmeasured)
                _, more = set_aside(run, step.name, step.progress(measured, len(unmeasured), "mask"))
                reasons += more
        given = write_prediction_table(run, list(volumes.values()))
        return step.commit(taken=len(volumes), given=given, quarantined=reasons)


if __name__ == "__main__":
    run_job(main, sections=("segmenter", "couinaudnet", "grid", "ray"))
