"""Evaluate a run: the segmenter on test and validation volumes, and the weak labels, as far as there are any."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step, made_with


def main(config: PipelineConfig) -> int:
    """Write `evaluation/`: `cases.csv`, `lesions.csv`, `pseudo_masks.csv` and `summary.json`."""
    uses = ("image_labels", "pixel_labels", "segmenter")
    with Step.begin(config, "evaluate", uses=uses, needs=("predict_segmentation",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import retry_rejected
        from pipeline.case_results import CaseResult, LabelResult
        from pipeline.evaluation import EVALUATED_SPLITS, write_evaluation
        from pipeline.masks import require_predictions
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.base import set_aside
        from pipeline.stages.evaluate import EvaluateLabels, EvaluateSegmentation, evaluate_volumes
        from pipeline.stages.session import ray_session

        retry_rejected(step.run, step.name)
        predicted = {row.volume_id: row for row in read_volume_rows(step.run, *EVALUATED_SPLITS)}
        require_predictions(step.run, list(predicted.values()))
        weak = [row for row in read_volume_rows(step.run, "train", "validation") if not row.healthy]
        labeled = {row.volume_id: row for row in weak if row.has_reference}
        with ray_session(config.ray, step.run):
            found = evaluate_volumes(EvaluateSegmentation(step.run, predicted), predicted)
            rows, reasons = set_aside(step.run, step.name, step.progress(found, len(predicted), "case"))
            cases = [CaseResult.from_json(row["result"]) for row in rows]
            found = evaluate_volumes(EvaluateLabels(step.run, config, labeled), labeled)
            rows, more = set_aside(step.run, step.name, step.progress(found, len(labeled), "label"))
            labels = [LabelResult.from_json(row["result"]) for row in rows]
        write_evaluation(step.run, cases, labels, config)
        given = len(cases) + len(labels)
        return step.commit(taken=len(predicted) + len(labeled), given=given, quarantined=reasons + more)


if __name__ == "__main__":
    made = made_with("image_labels", "pixel_labels", "segmenter")
    run_job(main, base=made, sections=("image_labels", "pixel_labels", "segmenter", "ray"))
