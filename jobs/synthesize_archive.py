"""Write a hospital archive of phantoms: DICOM files in several vendors' habits, reports, masks, and the truth."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write the patients that are not there yet, then the tables."""
    with Step.begin(config, "synthesize_archive", uses=("phantom", "synthesize_archive")) as step:
        if step.committed:
            return step.exit_code
        from pipeline.phantom_archive.plan import plan_patients
        from pipeline.phantom_archive.tables import find_missing, open_archive, write_tables
        from pipeline.stages.session import ray_session
        from pipeline.stages.synthesize_archive import write_patients

        plans = plan_patients(config)
        root = open_archive(config)
        missing = [plans[index] for index in find_missing(root, len(plans))]
        with ray_session(config.ray):
            for _ in step.progress(write_patients(root, config, missing), total=len(missing), unit="patient"):
                pass
        series = write_tables(root, len(plans))
        print(f"{len(plans)} patients, {series.total()} series: {dict(sorted(series.items()))}")
        return step.commit(taken=len(plans), given=len(plans), written=len(missing), series=dict(series))


if __name__ == "__main__":
    run_job(main, sections=("phantom", "synthesize_archive", "ray"))
