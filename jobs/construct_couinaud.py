"""Construct the Couinaud map of every case of an archive: eight segments from what there is, at least a liver mask.

No label table is needed. `ingest` in the same run folder takes the maps that are there. Started again, the command maps
what is new or changed in the source.
"""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.steps import EXIT_DONE, Step


def main(config: PipelineConfig) -> int:
    """Write `couinaud/VOLUME.nii.gz`, a color table for 3D Slicer, and a row per map in `couinaud_maps/`."""
    with Step.begin(config, "construct_couinaud", uses=("source", "phantom", "couinaud")) as step:
        grows, done = config.source.layout != "phantom", step.committed and step.exit_code == EXIT_DONE
        if done and not grows:
            return EXIT_DONE  # rejected cases are tried again
        if step.committed and grows:
            print(f"{step.name}: looks for what is new or changed in the source", flush=True)
        from pipeline.archive.catalog import list_cases
        from pipeline.couinaud.kept_maps import read_rows
        from pipeline.couinaud.tables import format_maps
        from pipeline.stages.construct_couinaud import construct_maps, find_unmapped, set_aside
        from pipeline.stages.session import ray_session
        from pipeline.stages.volumes import prepare_networks

        cases, rejections = list_cases(config, labels_required=False)
        pending, changes = find_unmapped(step.run, cases, rejections)
        if done and not pending and not rejections:
            return EXIT_DONE
        config = prepare_networks(config)
        reasons = set_aside(step.run, rejections)
        with ray_session(config.ray, step.run, config.source.path):
            outcomes = step.progress(construct_maps(step.run, config, pending), total=len(pending), unit="volume")
            reasons += set_aside(step.run, outcomes)
        rows = read_rows(step.run)
        if not rows:
            counts = ", ".join(f"{count} {code}" for code, count in sorted(reasons.items()))
            raise RefusedInputError(f"construct_couinaud: no case can be used: {counts}")
        print(format_maps(rows))
        print(f"Maps: {step.run.path('couinaud')}")
        taken = len(cases) + len(rejections)
        return step.commit(taken=taken, given=len(rows), quarantined=reasons, changes=changes)


if __name__ == "__main__":
    run_job(main, sections=("source", "phantom", "couinaud", "ray"))
