"""Write `report.html`: the run's figures, pictures, training curves and rejected cases in one file for people."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step, made_with


def main(config: PipelineConfig) -> int:
    """Build the page from what is in the run folder; remove `report.html` to have it made again."""
    with Step.begin(config, "report", uses=("grid",), needs=("evaluate",)) as step:
        if step.committed and step.run.exists("report.html"):
            return step.exit_code
        from pipeline.report.page import build_report
        from pipeline.report.run_facts import read_reports

        page = build_report(step.run, config)
        step.run.write_bytes(page.encode(), "report.html")
        return step.commit(taken=len(read_reports(step.run)), given=1)


if __name__ == "__main__":
    run_job(main, base=made_with("grid"), sections=("grid",))
