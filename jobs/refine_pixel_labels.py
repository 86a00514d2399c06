"""Refine pixel-level labels by the neighbor-slice continuity index (PLR, eq. 3-6)."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `pseudo_labels/` for the training volumes whose label names a segment."""
    with Step.begin(config, "refine_pixel_labels", uses=("pixel_labels",), needs=("predict_tumors",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.refine_pixel_labels import RefinePixelLabels
        from pipeline.stages.session import ray_session, work_items

        volumes = {row.volume_id: row for row in read_volume_rows(step.run, "train") if not row.healthy}
        work = [{"volume_id": row.volume_id, "slab": slab} for row in volumes.values() for slab in row.slabs]
        window = RefinePixelLabels(step.run, config.grid, config.pixel_labels, volumes)
        with ray_session(config.ray):
            refined = work_items(work).map_batches(window, batch_size=1, batch_format="pyarrow")
            counts = list(step.progress(refined.iter_rows(), total=len(work), unit="slab"))
        sums = {key: sum(count[key] for count in counts) for key in ("slices", "deleted", "grown")}
        return step.commit(taken=len(work), given=len(counts), **sums)


if __name__ == "__main__":
    run_job(main)
