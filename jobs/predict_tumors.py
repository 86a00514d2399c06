"""Predict tumor probabilities with CouinaudNet inside the segments that the labels name."""

from __future__ import annotations

from collections import Counter

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `probabilities/` for the training and validation volumes whose label names a segment."""
    uses = ("couinaudnet", "grid")
    with Step.begin(config, "predict_tumors", uses=uses, needs=("train_couinaudnet",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import retry_rejected
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.base import set_aside
        from pipeline.stages.predict_tumors import predict_tumors
        from pipeline.stages.session import ray_session, work_items

        retry_rejected(step.run, step.name)
        rows = [row for row in read_volume_rows(step.run, "train", "validation") if not row.healthy]
        work = [{"volume_id": row.volume_id, "slab": slab} for row in rows for slab in row.slabs]
        predicted, reasons = [], Counter[str]()
        if work:
            with ray_session(config.ray, step.run):
                flow = predict_tumors(step.run, config, work_items("predict_tumors", work))
                slabs = step.progress(flow.iter_rows(), total=len(work), unit="slab")
                predicted, reasons = set_aside(step.run, step.name, slabs, "probabilities")
        volumes = len(rows) - reasons.total()
        return step.commit(taken=len(work), given=len(predicted), quarantined=reasons, volumes=volumes)


if __name__ == "__main__":
    run_job(main, sections=("couinaudnet", "grid", "ray"))
