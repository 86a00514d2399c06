"""Read an archive of CT volumes and write its liver slices; a case that cannot be used is quarantined with a reason."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.steps import EXIT_DONE, Step

USERS = ("refine_image_labels", "train_segmenter", "tune_synthesis")
"""Jobs whose result depends on which volumes there are, and which need no other one that does."""

IN_USE = "the volumes of this run folder are in use; changes of the source are not taken, use a new --run"


def main(config: PipelineConfig) -> int:
    """Write `slices/`, `references/` and, last for each accepted volume, its row in `volumes/`."""
    with Step.begin(config, "ingest", uses=("source", "phantom", "grid", "couinaud")) as step:
        used = not config.source.unlabeled and any(step.run.exists("reports", f"{name}.json") for name in USERS)
        grows = config.source.layout != "phantom"
        if step.committed and grows:
            print(f"{step.name}: {IN_USE if used else 'looks for what is new or changed in the source'}", flush=True)
        if step.committed and (used or (step.exit_code == EXIT_DONE and not grows)):
            return step.exit_code  # cases are added, and rejected ones tried again, until a later step has used them
        from pipeline.archive.dicom.patients import note_patients
        from pipeline.archive.reports import write_review
        from pipeline.slabs import count_notes
        from pipeline.stages.find_cases import find_cases
        from pipeline.stages.ingest import commit_outcomes, find_pending, ingest_cases, remove_volume
        from pipeline.stages.session import ray_session
        from pipeline.stages.volumes import prepare_networks
        from pipeline.text_table import join_counts, name_some
        from pipeline.volume import PATIENT_IN_SPLITS

        config = prepare_networks(config)
        with ray_session(config.ray, step.run, config.source.path):
            found = find_cases(step.run, config, remove_volume)
            if config.source.reports:
                write_review(step.run, found.rejections)
            reasons = commit_outcomes(step.run, found.rejections)
            if unused := found.report["labels_without_images"]:
                names = f" ({name_some(found.unused_labels)})" if found.unused_labels else ""
                print(f"{step.name}: labels that name no image of the source: {unused}{names}")
            if unread := found.report.get("unread_folders"):
                print(f"{step.name}: {unread} folders of the source cannot be read")
            pending = find_pending(step.run, found.cases)
            outcomes = step.progress(ingest_cases(step.run, config, pending), total=len(pending), unit="volume")
            reasons += commit_outcomes(step.run, outcomes)
        accepted = len(step.run.names("volumes"))
        if not accepted:
            raise RefusedInputError(f"ingest: no case can be used: {join_counts(reasons) or 'the source is empty'}")
        taken = len(found.cases) + len(found.rejections)
        if reasons:
            counts = f"{reasons.total()} of {taken} cases set aside: {join_counts(reasons)}"
            print(f"{step.name}: {counts}; python -m jobs.status --run {config.run} lists them")
        notes = count_notes(note_patients(step.run, found.patients))
        if shared := notes[PATIENT_IN_SPLITS]:
            print(f"{step.name}: {shared} volumes are of patients in several splits (note {PATIENT_IN_SPLITS})")
        return step.commit(taken=taken, given=accepted, quarantined=reasons, notes=notes, **found.report)


if __name__ == "__main__":
    run_job(main, sections=("source", "phantom", "grid", "couinaud", "ray"))
