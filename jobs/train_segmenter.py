"""Train the tumor segmenter, nnU-Net, on the refined pseudo labels of the training volumes, or on what bounds them."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Export the cases, let nnU-Net plan and preprocess them, and train from the newest checkpoint on."""
    settings = config.segmenter
    needs = "refine_pixel_labels" if settings.labels == "pseudo" else "ingest"
    uses = ("segmenter", "grid", *(("synthesis",) if settings.synthetic_copies else ()))
    with Step.begin(config, "train_segmenter", uses=uses, needs=(needs,)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import count_rejections
        from pipeline.errors import RefusedInputError
        from pipeline.segmenter.cases import list_cases
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.room import require_training_room
        from pipeline.stages.session import ray_session
        from pipeline.stages.train_segmenter import prepare_cases, train_segmenter
        from pipeline.training_history import SEGMENTER

        run = step.run
        run.local(SEGMENTER)  # nnU-Net knows plain paths only
        volumes = read_volume_rows(run, "train")
        if not volumes:
            raise RefusedInputError(f"train_segmenter needs training volumes, {run.uri} has none")
        cases = {case.case_id: case for case in list_cases(volumes, settings)}
        with ray_session(config.ray, step.run):
            require_training_room(settings)
            prepared = prepare_cases(step, cases)
            epochs = list(step.progress(train_segmenter(run, config), total=settings.epochs, unit="epoch"))
        reasons = count_rejections(run, step.name)  # of earlier starts, too: a training keeps the cases that it has
        return step.commit(taken=len(cases), given=len(prepared), quarantined=reasons, last_epoch=epochs[-1])


if __name__ == "__main__":
    run_job(main, sections=("segmenter", "grid", "synthesis", "ray"))
