"""Predict the tumors of the validation and test volumes with the trained segmenter."""

from __future__ import annotations

from collections import Counter

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `predictions/VOLUME.nii.gz`, a mask on the volume's own grid, for each volume that has none yet."""
    with Step.begin(config, "predict_segmentation", uses=("segmenter", "grid"), needs=("train_segmenter",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import retry_rejected
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.base import set_aside
        from pipeline.stages.predict_segmentation import PREDICTED_SPLITS, predict_volumes, prediction_path
        from pipeline.stages.session import ray_session

        run, reasons = step.run, Counter[str]()
        retry_rejected(run, step.name)
        volumes = {row.volume_id: row for row in read_volume_rows(run, *PREDICTED_SPLITS)}
        missing = [volume_id for volume_id in volumes if not run.exists(*prediction_path(volume_id))]
        if missing:
            with ray_session(config.ray, step.run):
                predicted = predict_volumes(run, config, volumes, missing)
                rows = step.progress(predicted, total=len(missing), unit="volume")
                _, reasons = set_aside(run, step.name, rows)
        given = sum(run.exists(*prediction_path(volume_id)) for volume_id in volumes)
        return step.commit(taken=len(volumes), given=given, quarantined=reasons)


if __name__ == "__main__":
    run_job(main, sections=("segmenter", "couinaudnet", "grid", "ray"))
