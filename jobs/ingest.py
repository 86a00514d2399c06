"""Read an archive of CT volumes and write its liver slices; a case that cannot be used is quarantined with a reason."""

from __future__ import annotations

from dataclasses import replace

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.steps import EXIT_DONE, Step


def main(config: PipelineConfig) -> int:
    """Write `slices/`, `references/` and, last for each accepted volume, its row in `volumes/`."""
    with Step.begin(config, "ingest", uses=("source", "phantom", "grid", "couinaud")) as step:
        later = set(step.run.names("reports")) - {"ingest.json", "extract_labels.json"}
        if step.committed and (later or step.exit_code == EXIT_DONE):
            return step.exit_code  # rejected cases are tried again until a later step has used the accepted ones
        from pipeline.archive.catalog import list_cases
        from pipeline.archive.reports import write_review
        from pipeline.couinaud import prepare
        from pipeline.stages.ingest import commit_outcomes, find_pending, ingest_cases
        from pipeline.stages.session import ray_session

        config = replace(config, couinaud=prepare(config.couinaud))
        cases, rejections = list_cases(config)
        if config.source.reports:
            write_review(step.run, rejections)
        reasons = commit_outcomes(step.run, rejections)
        pending = find_pending(step.run, cases)
        with ray_session(config.ray):
            outcomes = step.progress(ingest_cases(step.run, config, pending), total=len(pending), unit="volume")
            reasons += commit_outcomes(step.run, outcomes)
        accepted = len(step.run.names("volumes"))
        if not accepted:
            counts = ", ".join(f"{count} {code}" for code, count in sorted(reasons.items())) or "the source is empty"
            raise RefusedInputError(f"ingest: no case can be used: {counts}")
        return step.commit(taken=len(cases) + len(rejections), given=accepted, quarantined=reasons)


if __name__ == "__main__":
    run_job(main)
