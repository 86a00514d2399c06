"""Train the networks of the Couinaud constructor `shape` on a folder of label maps, and cross-validate them."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Train a network per fold, write `couinaud_shape/couinaud_shape.safetensors`, print figures of unseen livers."""
    with Step.begin(config, "train_couinaud_shape", uses=("couinaud_shape",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.couinaud.shape_job import COUINAUD_SHAPE, measure_folds, train_folds
        from pipeline.couinaud.shape_maps import read_shapes

        step.run.local(COUINAUD_SHAPE)  # from where the networks are measured in the end
        settings = config.couinaud_shape
        shapes = read_shapes(settings.shapes, settings.folds)
        records = train_folds(step.run, config, shapes)
        last_epoch = list(step.progress(records, total=settings.epochs * settings.folds, unit="epoch"))[-1]
        figures = measure_folds(step.run, config, shapes)
        for name, value in figures.items():
            print(f"{name:<20}{value}")
        return step.commit(taken=len(shapes), given=len(shapes), last_epoch=last_epoch, figures=figures)


if __name__ == "__main__":
    run_job(main, sections=("couinaud_shape",))
