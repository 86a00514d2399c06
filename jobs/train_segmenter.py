"""Train the tumor segmenter, nnU-Net, on the refined pseudo labels of the training volumes."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Export the cases, let nnU-Net plan and preprocess them, and train from the newest checkpoint on."""
    with Step.begin(config, "train_segmenter", uses=("segmenter", "grid"), needs=("refine_pixel_labels",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.errors import RefusedInputError
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.session import ray_session, work_items
        from pipeline.stages.train_segmenter import ExportCase, PreprocessCase, plan_segmenter, train_segmenter

        run = step.run
        volumes = {row.volume_id: row for row in read_volume_rows(run, "train")}
        if not volumes:
            raise RefusedInputError(f"train_segmenter needs training volumes, {run.uri} has none")
        work = [{"volume_id": volume_id} for volume_id in volumes]
        with ray_session(config.ray):
            export = work_items(work).map_batches(
                ExportCase(run, config, volumes), batch_size=1, batch_format="pyarrow"
            )
            exported = list(step.progress(export.iter_rows(), total=len(work), unit="case"))
            plan_segmenter(run, config, exported)
            preprocess = work_items(work).map_batches(PreprocessCase(run), batch_size=1, batch_format="pyarrow")
            preprocessed = list(step.progress(preprocess.iter_rows(), total=len(work), unit="case"))
            epochs = list(step.progress(train_segmenter(run, config), total=config.segmenter.epochs, unit="epoch"))
        return step.commit(taken=len(work), given=len(preprocessed), last_epoch=epochs[-1])


if __name__ == "__main__":
    run_job(main)
