"""Evaluate a run: the segmenter on test and validation volumes, and the weak labels that it learned from."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `evaluation/`: `cases.csv`, `lesions.csv`, `pseudo_masks.csv` and `summary.json`."""
    uses = ("image_labels", "pixel_labels")
    with Step.begin(config, "evaluate", uses=uses, needs=("predict_segmentation",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.case_results import CaseResult, LabelResult
        from pipeline.evaluation import EVALUATED_SPLITS, write_evaluation
        from pipeline.masks import require_predictions
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.evaluate import EvaluateLabels, EvaluateSegmentation, evaluate_volumes
        from pipeline.stages.session import ray_session

        predicted = {row.volume_id: row for row in read_volume_rows(step.run, *EVALUATED_SPLITS)}
        require_predictions(step.run, list(predicted.values()))
        weak = [row for row in read_volume_rows(step.run, "train", "validation") if not row.healthy]
        labeled = {row.volume_id: row for row in weak if row.has_reference}
        with ray_session(config.ray, step.run):
            found = evaluate_volumes(EvaluateSegmentation(step.run, predicted), predicted)
            cases = [CaseResult.from_json(text) for text in step.progress(found, len(predicted), "case")]
            found = evaluate_volumes(EvaluateLabels(step.run, config, labeled), labeled)
            labels = [LabelResult.from_json(text) for text in step.progress(found, len(labeled), "label")]
        write_evaluation(step.run, cases, labels, config)
        return step.commit(taken=len(predicted) + len(labeled), given=len(cases) + len(labels))


if __name__ == "__main__":
    run_job(main)
