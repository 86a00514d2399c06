"""Count the statistics from which PLR is known at every threshold tau and scale c, in one pass over the pixels."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Write `refinement_statistics/` for the training and validation volumes whose label names a segment.

    Depends on no setting of `pixel_labels` but the radius, which is the largest that can be swept. Statistics of a
    smaller radius are written anew, those of a larger one serve.
    """
    from pipeline.sweep.files import require_continuity

    require_continuity(config.pixel_labels)
    with Step.begin(config, "sweep_statistics", uses=("grid",), needs=("predict_tumors",)) as step:
        radius = config.pixel_labels.radius
        if step.committed and step.run.read_json("reports", "sweep_statistics.json")["radius"] >= radius:
            return step.exit_code
        from pipeline.archive.quarantine import retry_rejected
        from pipeline.errors import RefusedInputError
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.count_statistics import CountStatistics, commit_statistics
        from pipeline.stages.refine_pixel_labels import cut_work
        from pipeline.stages.session import ray_session, work_items

        step.run.remove("reports", "sweep_statistics.json")
        retry_rejected(step.run, step.name)
        rows = read_volume_rows(step.run, "train", "validation")
        volumes = {row.volume_id: row for row in rows if not row.healthy}
        work = cut_work(volumes.values(), config.grid.slab_length)
        if not work:
            raise RefusedInputError(f"sweep_statistics: no training or validation volume of {step.run.uri} has a tumor")
        stage = CountStatistics(step.run, config.grid, radius, volumes)
        with ray_session(config.ray, step.run):
            counted = work_items("sweep_statistics", work).map_batches(stage, batch_size=1, batch_format="pyarrow")
            parts = step.progress(counted.iter_rows(), total=len(work), unit="part")
            slices, reasons = commit_statistics(step.run, volumes, parts)
        given = len(volumes) - reasons.total()
        return step.commit(taken=len(volumes), given=given, quarantined=reasons, slices=slices, radius=radius)


if __name__ == "__main__":
    run_job(main, sections=("grid", "pixel_labels", "ray"))
