"""Train the network of the Couinaud constructor `shape` on a folder of label maps, or cross-validate it there."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Train and write `couinaud_shape/couinaud_shape.safetensors`, or write and print figures of unseen livers."""
    with Step.begin(config, "train_couinaud_shape", uses=("couinaud_shape",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.couinaud.shape_job import cross_validate, train_members
        from pipeline.couinaud.shape_maps import read_shapes

        shapes = read_shapes(config.couinaud_shape.shapes)
        if config.couinaud_shape.folds:
            figures = cross_validate(step.run, config, shapes)
            for name, value in figures.items():
                print(f"{name:<20}{value}")
            return step.commit(taken=len(shapes), given=len(shapes), figures=figures)
        epochs = config.couinaud_shape.epochs * config.couinaud_shape.members
        records = list(step.progress(train_members(step.run, config, shapes), total=epochs, unit="epoch"))
        return step.commit(taken=len(shapes), given=len(shapes), last_epoch=records[-1])


if __name__ == "__main__":
    run_job(main)
