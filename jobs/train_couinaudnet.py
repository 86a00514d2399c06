"""Train CouinaudNet on healthy slices, those that ILR made healthy included, with synthetic tumors."""

from __future__ import annotations

from pipeline.command_line import run_job
from pipeline.config import PipelineConfig
from pipeline.steps import Step


def main(config: PipelineConfig) -> int:
    """Count the healthy slices, then train both networks on them from the newest checkpoint on."""
    uses = ("synthesis", "couinaudnet", "grid")
    with Step.begin(config, "train_couinaudnet", uses=uses, needs=("refine_image_labels",)) as step:
        if step.committed:
            return step.exit_code
        from pipeline.archive.quarantine import count_rejections
        from pipeline.errors import RefusedInputError
        from pipeline.slabs import read_volume_rows
        from pipeline.stages.base import set_aside
        from pipeline.stages.couinaudnet_worker import fix_epochs
        from pipeline.stages.healthy_slices import CountHealthySlices
        from pipeline.stages.session import ray_session, work_items
        from pipeline.stages.train_couinaudnet import train_couinaudnet

        run = step.run
        work = [{"volume_id": row.volume_id, "slabs": list(row.slabs)} for row in read_volume_rows(run, "train")]
        if not work:
            raise RefusedInputError(f"train_couinaudnet needs training volumes, {run.uri} has none")
        with ray_session(config.ray, step.run):
            stage = CountHealthySlices(run, config.couinaudnet)
            counted = work_items("train_couinaudnet", work).map_batches(stage, batch_size=1, batch_format="pyarrow")
            slabs, _ = set_aside(run, step.name, counted.iter_rows())
            slices, healthy = (sum(slab[name] for slab in slabs) for name in ("slices", "healthy_slices"))
            if not healthy:
                raise RefusedInputError(
                    f"train_couinaudnet needs healthy slices, but the labels name a tumor on all {slices} slices of"
                    f" {len(work)} training volumes"
                )
            records = train_couinaudnet(run, config, slabs)
            total = fix_epochs(config, healthy).couinaudnet.epochs
            epochs = list(step.progress(records, total=total, unit="epoch"))
        reasons = count_rejections(run, step.name)  # of earlier starts, too: a training keeps the cases that it has
        return step.commit(taken=slices, given=healthy, quarantined=reasons, volumes=len(work), last_epoch=epochs[-1])


if __name__ == "__main__":
    run_job(main, sections=("synthesis", "couinaudnet", "grid", "ray"))
