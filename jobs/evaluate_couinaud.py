"""Compare constructors of the Couinaud map with annotated maps of an archive, and see what their errors cost ILR."""

from __future__ import annotations

from collections import Counter

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.steps import Step

PICTURED = 4
"""Volumes in the picture."""


def main(config: PipelineConfig) -> int:
    """Write `couinaud_evaluation/`: `cases.csv`, `summary.json` and `slices.png`; print the summary."""
    uses = ("source", "phantom", "couinaud", "couinaud_evaluation", "image_labels")
    with Step.begin(config, "evaluate_couinaud", uses=uses) as step:
        from pipeline.couinaud.evaluation import CASE_COLUMNS, case_rows, format_summary, summarize

        folder = "couinaud_evaluation"
        if step.committed:
            print(format_summary(step.run.read_json(folder, "summary.json")))
            return step.exit_code
        from pipeline.archive.catalog import list_cases
        from pipeline.couinaud.evaluation_picture import draw_volumes
        from pipeline.csv_text import format_csv
        from pipeline.stages.evaluate_couinaud import evaluate_constructors, evaluation_config
        from pipeline.stages.session import ray_session
        from pipeline.stages.volumes import prepare_networks

        config = prepare_networks(evaluation_config(config))
        listed, _ = list_cases(config, labels_required=False)
        cases = [case for case in listed if case.couinaud_map or case.layout == "phantom"]
        if not cases:
            raise RefusedInputError(f"evaluate_couinaud: none of {len(listed)} cases has an annotated Couinaud map")
        results, pictures = [], []
        with ray_session(config.ray, step.run, config.source.path):
            flow = evaluate_constructors(step.run, config, cases, PICTURED)
            for found, picture in step.progress(flow, total=len(cases), unit="volume"):
                results += found
                pictures += [picture] if picture else []
        results.sort(key=lambda result: (result.volume_id, result.method))
        pictures.sort(key=lambda picture: picture.volume_id)
        summary = summarize(results)
        step.run.write_bytes(format_csv(CASE_COLUMNS, case_rows(results)).encode(), folder, "cases.csv")
        step.run.write_json(summary, folder, "summary.json")
        if pictures:
            step.run.write_bytes(draw_volumes(pictures, ["annotation", *summary]), folder, "slices.png")
        print(f"{format_summary(summary)}\n\nCases and picture: {step.run.path(folder)}")
        rejected = Counter(result.code for result in results if result.code)
        compared = len({result.volume_id for result in results if result.agreement})
        return step.commit(taken=len(cases), given=compared, quarantined=rejected)


if __name__ == "__main__":
    run_job(main, sections=("source", "phantom", "couinaud", "couinaud_evaluation", "image_labels", "ray"))
