"""Refine image-level labels by anatomy (ILR, eq. 2): a slice keeps a named segment only where the segment is on it."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `image_labels/` for every slice of the run; only labels from references take the reading of pixels."""
    with Step.begin(config, "refine_image_labels", uses=("image_labels",), needs=("ingest",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.refine_image_labels import RefineImageLabels, require_references
        from pipeline.stages.session import ray_session, work_items

        volumes = read_volume_rows(step.run)
        require_references(volumes, config.image_labels)
        work = [{"volume_id": row.volume_id, "slabs": list(row.slabs)} for row in volumes]
        with ray_session(config.ray):
            refined = work_items(work).map_batches(
                RefineImageLabels(step.run, config.image_labels), batch_size=1, batch_format="pyarrow"
            )
            counts = list(step.progress(refined.iter_rows(), total=len(work), unit="volume"))
        return step.commit(
            taken=len(work),
            given=len(counts),
            slices=sum(count["slices"] for count in counts),
            relabeled_healthy=sum(count["relabeled"] for count in counts),
        )


if __name__ == "__main__":
    run_job(main)
