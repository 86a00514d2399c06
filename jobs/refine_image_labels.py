"""Refine image-level labels by anatomy (ILR, eq. 2): a slice keeps a named segment only where the segment is on it."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `image_labels/` for every slice; set aside volumes, but none for test, whose label names nothing there."""
    with Step.begin(config, "refine_image_labels", uses=("image_labels",), needs=("ingest",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import retry_rejected
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.refine_image_labels import (
            RefineImageLabels,
            commit_labels,
            require_labels,
            require_references,
        )
        from pipeline.stages.session import ray_session, work_items

        retry_rejected(step.run, step.name)
        volumes = read_volume_rows(step.run)
        require_labels(volumes)
        require_references(volumes, config.image_labels)
        work = [{"volume_id": row.volume_id, "slabs": list(row.slabs)} for row in volumes]
        with ray_session(config.ray, step.run):
            refined = work_items("refine_image_labels", work).map_batches(
                RefineImageLabels(step.run, config.image_labels), batch_size=1, batch_format="pyarrow"
            )
            counts, reasons = commit_labels(
                step.run, step.progress(refined.iter_rows(), total=len(work), unit="volume")
            )
        return step.commit(taken=len(work), given=len(work) - reasons.total(), quarantined=reasons, **counts)


if __name__ == "__main__":
    run_job(main, sections=("image_labels", "ray"))
