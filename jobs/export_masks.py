"""Write predicted tumors and Couinaud maps for the archive that the images came from, as DICOM SEG or NIfTI.

A segmentation names its patient: it goes to a folder outside of the run folder.
"""

from __future__ import annotations

from collections import Counter

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `VOLUME_tumors` and `VOLUME_couinaud` that are not there yet, or whose mask or CT has changed.

    The report in the run folder counts them; a volume of which nothing can be written is counted by its reason.
    """
    with Step.begin(config, "export_masks", needs=("ingest",)) as step:
        from pipeline.stages.export_masks import (
            choose_output,
            copy_masks,
            export_segmentations,
            find_masked,
            open_destination,
        )
        from pipeline.stages.session import ray_session

        volumes = find_masked(step.run)
        destination = open_destination(config, step.run)
        if choose_output(config.export, step.run) == "nifti":
            outcomes = list(step.progress(copy_masks(step.run, destination, volumes), len(volumes), "volume"))
        else:
            with ray_session(config.ray, step.run, config.source.path):
                exported = export_segmentations(step.run, destination, config.source, volumes)
                outcomes = list(step.progress(exported, len(volumes), "volume"))
        failed = [item.rejection for item in outcomes if item.rejection.code]
        return step.commit(
            taken=len(volumes),
            given=len(volumes) - len(failed),
            quarantined=Counter(item.code for item in failed),
            written=Counter(name for item in outcomes for name in item.written),
            empty=Counter(name for item in outcomes for name in item.empty),
            kept=sum(item.kept for item in outcomes),
            failed=[vars(item) for item in failed],
        )


if __name__ == "__main__":
    run_job(main, sections=("source", "export", "ray"))
