"""Refine pixel-level labels by the neighbor-slice continuity index (PLR, eq. 3-6), or lesion by lesion."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `pseudo_labels/` for the training volumes whose label names a segment; set aside those with bad tables."""
    uses = ("pixel_labels", "grid")
    with Step.begin(config, "refine_pixel_labels", uses=uses, needs=("predict_tumors",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import retry_rejected
        from pipeline.slabs import read_volume_rows
        from pipeline.stages import refine_pixel_labels as plr
        from pipeline.stages.session import ray_session

        retry_rejected(step.run, step.name)
        volumes = {row.volume_id: row for row in read_volume_rows(step.run, "train") if not row.healthy}
        whole = config.pixel_labels.method == "lesions"
        work = plr.cut_work(volumes.values(), config.grid.slab_length, whole=whole)
        window = plr.RefinePixelLabels(step.run, config.grid, config.pixel_labels, volumes)
        with ray_session(config.ray, step.run):
            flow = plr.flow_over_slabs(window, work, config.grid.slab_length)
            rows = step.progress(flow, total=len(work), unit="part")
            counts, reasons = plr.commit_volumes(step.run, volumes, rows)
        given = len(volumes) - reasons.total()
        return step.commit(taken=len(volumes), given=given, quarantined=reasons, **vars(counts))


if __name__ == "__main__":
    run_job(main, sections=("pixel_labels", "grid", "ray"))
