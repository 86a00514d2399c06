"""Construct the Couinaud map of every case of an archive: eight segments from what there is, at least a liver mask.

No label table is needed. `ingest` in the same run folder takes the maps that are there.
"""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.steps import EXIT_DONE, Step


def main(config: PipelineConfig) -> int:
    """Write `couinaud/VOLUME.nii.gz`, a color table for 3D Slicer, and a row per map in `couinaud_maps/`."""
    with Step.begin(config, "construct_couinaud", uses=("source", "phantom", "couinaud")) as step:
        if step.committed and step.exit_code == EXIT_DONE:
            return EXIT_DONE  # rejected cases are tried again
        from pipeline.archive.catalog import list_cases
        from pipeline.couinaud.kept_maps import read_rows
        from pipeline.couinaud.tables import format_maps
        from pipeline.stages.construct_couinaud import construct_maps, find_unmapped, set_aside
        from pipeline.stages.session import ray_session
        from pipeline.stages.volumes import prepare_networks

        config = prepare_networks(config)
        cases, rejections = list_cases(config, labels_required=False)
        reasons = set_aside(step.run, rejections)
        pending = find_unmapped(step.run, cases)
        with ray_session(config.ray, step.run, config.source.path):
            outcomes = step.progress(construct_maps(step.run, config, pending), total=len(pending), unit="volume")
            reasons += set_aside(step.run, outcomes)
        rows = read_rows(step.run)
        if not rows:
            counts = ", ".join(f"{count} {code}" for code, count in sorted(reasons.items()))
            raise RefusedInputError(f"construct_couinaud: no case can be used: {counts}")
        print(format_maps(rows))
        print(f"Maps: {step.run.path('couinaud')}")
        return step.commit(taken=len(cases) + len(rejections), given=len(rows), quarantined=reasons)


if __name__ == "__main__":
    run_job(main, sections=("source", "phantom", "couinaud", "ray"))
