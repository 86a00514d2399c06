"""A sweep of ILR and the synthesis with Ray Tune: each trial is a branch of the run folder with a training of its own.

A trial refines the image labels, trains, predicts, makes the pseudo masks as the run does, and measures them. All
points are measured on the same volumes: one that a point cannot use scores 0 there. At each of a few training lengths a
trial reports, and the scheduler (ASHA) decides whether it trains on, from its checkpoint. The work is done in tasks
outside of the trial, which reserves no CPU: what a trial starts itself would be confined to what it reserves, and a
training inside it would wait for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pipeline.attempts import forget_attempts
from pipeline.branch_folder import BranchFolder
from pipeline.config import PipelineConfig
from pipeline.metrics import MaskCounts
from pipeline.run_folder import RunFolder, join_uri
from pipeline.slabs import VolumeRow, read_volume_rows
from pipeline.stages.base import Row, Stage, require_whole
from pipeline.stages.healthy_slices import CountHealthySlices
from pipeline.stages.predict_tumors import predict_tumors
from pipeline.stages.refine_image_labels import NOT_IN_MAP, RefineImageLabels
from pipeline.stages.refine_pixel_labels import RefinePixelLabels, cut_work
from pipeline.stages.score_masks import ScoreMasks
from pipeline.stages.session import ray_session, work_items
from pipeline.stages.tuning import WAITING, name_sweep, run_sweep
from pipeline.sweep.config_file import replace_settings
from pipeline.sweep.mask_scores import MaskScore, score_cohort
from pipeline.sweep.points import EPOCHS, SET_ASIDE, Evaluated, Settings, Space
from pipeline.training_history import COUINAUDNET

CONCURRENT = 1
_BRANCHES = ("tune", "synthesis", "branches")
_KEPT = "kept"
"""Folder of the checkpoints that longer trainings go on from."""


def training_lengths(epochs: int) -> tuple[int, ...]:
    """Return the epochs after which trials are compared: a quarter, half and all of them.

    Example:
        >>> training_lengths(16), training_lengths(1)
        ((4, 8, 16), (1,))
    """
    return tuple(sorted({max(1, epochs // 4), max(1, epochs // 2), epochs}))


def sweep_synthesis(
    run: RunFolder, config: PipelineConfig, space: Space, volumes: Sequence[VolumeRow]
) -> list[Evaluated]:
    """Evaluate the points of a space in Ray Tune trials, going on where the sweep was begun before.

    Args:
        run: Run folder; branches go to `tune/synthesis/branches/`.
        config: Settings of the run, and those of the sweep.
        space: Ranges of the settings.
        volumes: The volumes to measure on.

    Returns:
        One entry per trial with its figures at the last length that it reached, `epochs`.
    """
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    # Relabeled slices: nobody looks at them here. Steps: lengths are compared in epochs.
    config = replace_settings(config, {"couinaudnet.predict_relabeled": False, "couinaudnet.steps": 0})
    lengths = training_lengths(config.couinaudnet.epochs)
    volume_ids = [volume.volume_id for volume in volumes]
    for branch in run.names(*_BRANCHES):
        forget_attempts(run, *_BRANCHES, branch)
    data = (config.image_labels, config.synthesis, config.couinaudnet, config.pixel_labels, volume_ids)
    return run_sweep(
        run,
        name_sweep(config, space, data),
        config,
        space,
        tune.with_parameters(train_and_measure, parent=run.uri, config=config, volume_ids=volume_ids),
        resources=WAITING,
        origin=read_settings(config, space),
        concurrent=CONCURRENT,
        scheduler=ASHAScheduler(time_attr=EPOCHS, max_t=lengths[-1], grace_period=lengths[0], reduction_factor=2),
        reuse_actors=False,
    )


def read_settings(config: PipelineConfig, space: Space) -> Settings:
    """Return a config's values of a space's settings."""
    pairs = {name: name.split(".") for name in space}
    return {name: getattr(getattr(config, section), key) for name, (section, key) in pairs.items()}


def train_and_measure(settings: dict[str, Any], parent: str, config: PipelineConfig, volume_ids: list[str]) -> None:
    """Report the figures of one point at each training length: a Ray Tune trial."""
    import ray
    from ray import tune

    uri = join_uri(parent, *_BRANCHES, tune.get_context().get_trial_id())
    tuned = replace_settings(config, settings)
    measure = ray.remote(measure_length).options(num_cpus=0, scheduling_strategy="DEFAULT")
    for epochs in training_lengths(config.couinaudnet.epochs):
        figures = ray.get(measure.remote(BranchFolder(uri, parent), tuned, volume_ids, epochs))
        tune.report({**figures, EPOCHS: epochs})


def measure_length(
    run: BranchFolder, config: PipelineConfig, volume_ids: Sequence[str], epochs: int
) -> dict[str, float]:
    """Train a branch up to a length and measure its refined pseudo masks.

    Args:
        run: The branch. Lengths that it has measured are read.
        config: Settings of the branch.
        volume_ids: Volumes to measure on.
        epochs: Length of the training, counted from its beginning.

    Returns:
        The figures of `pipeline.sweep.points.FIGURES`, and how many volumes were set aside because the point's minimum
        area leaves nothing of their label.
    """
    done = ("measured", f"{epochs:05d}.json")
    if not run.exists(*done):
        with ray_session(config.ray):
            aside = _refine_labels(run, config)
            _train(run, config, epochs, aside)
            measured = _measure(run, config, volume_ids, aside)
            run.write_json({**measured, SET_ASIDE: len(aside)}, *done)
    figures: Mapping[str, float | None] = run.read_json(*done)
    return {name: float("nan") if value is None else value for name, value in figures.items()}


def _refine_labels(run: RunFolder, config: PipelineConfig) -> set[str]:
    """Write the image labels of all volumes; return those that cannot be used, whose label names nothing that is there.

    They are the branch's own business: another point of the sweep may use them.

    Raises:
        RuntimeError: If a volume cannot be used for another reason.
    """
    work = [{"volume_id": row.volume_id, "slabs": list(row.slabs)} for row in read_volume_rows(run)]
    rows = list(_apply(RefineImageLabels(run, config.image_labels), work))
    list(require_whole(row for row in rows if row["code"] != NOT_IN_MAP))
    return {row["volume_id"] for row in rows if row["code"]}


def _train(run: RunFolder, config: PipelineConfig, epochs: int, aside: Collection[str]) -> None:
    """Train CouinaudNet without the volumes set aside up to an epoch, from the end of a shorter training on.

    The learning rate is that of the config's whole length: each length is a part of one and the same training.

    Training publishes its network and drops its checkpoints at the end, so the last one is set aside for a longer one.
    """
    from pipeline.models.checkpoint import CHECKPOINTS, DESCRIPTION, newest_checkpoint
    from pipeline.stages.train_couinaudnet import train_couinaudnet

    if run.exists(COUINAUDNET, DESCRIPTION) and run.read_json(COUINAUDNET, DESCRIPTION)[EPOCHS] != epochs:
        run.remove(COUINAUDNET, DESCRIPTION)
    kept = run.names(COUINAUDNET, _KEPT)
    if kept and newest_checkpoint(run) is None:
        _copy_checkpoint(run, kept[-1], _KEPT, CHECKPOINTS)
    rows = [row for row in read_volume_rows(run, "train") if row.volume_id not in aside]
    work = [{"volume_id": row.volume_id, "slabs": list(row.slabs)} for row in rows]
    slabs = list(require_whole(_apply(CountHealthySlices(run, config.couinaudnet), work)))
    for record in train_couinaudnet(run, config, slabs, epochs):
        newest = newest_checkpoint(run)
        if record["epoch"] + 1 == epochs and newest is not None:
            _copy_checkpoint(run, newest, CHECKPOINTS, _KEPT)


def _measure(
    run: RunFolder, config: PipelineConfig, volume_ids: Sequence[str], aside: Collection[str]
) -> dict[str, float | None]:
    """Make the refined pseudo masks of the volumes that are not set aside; return the figures of all of them.

    Raises:
        RuntimeError: If the masks of a volume cannot be made or read.
    """
    wanted = set(volume_ids)
    volumes = {row.volume_id: row for row in read_volume_rows(run) if row.volume_id in wanted}
    used = [row for row in volumes.values() if row.volume_id not in aside]
    for table in ("probabilities", "pseudo_labels"):
        run.remove(table)  # of a shorter training
    if used:
        work = [{"volume_id": row.volume_id, "slab": slab} for row in used for slab in row.slabs]
        list(require_whole(predict_tumors(run, config, work_items("tune", work)).iter_rows()))
        parts = cut_work(used, config.grid.slab_length, whole=True)
        list(require_whole(_apply(RefinePixelLabels(run, config.grid, config.pixel_labels, volumes), parts)))
    scored = _apply(ScoreMasks(run, config.grid, volumes, aside), [{"volume_id": name} for name in volumes])
    rows = {row["volume_id"]: row for row in require_whole(scored)}
    return score_cohort([_to_score(rows[name], volume, name in aside) for name, volume in volumes.items()])


def _to_score(row: Row, volume: VolumeRow, set_aside: bool) -> MaskScore:
    """Return what a row of `ScoreMasks` says."""
    counts = MaskCounts(row["intersection"], row["prediction"], row["reference"])
    return MaskScore(volume.has_reference, set_aside, counts, row["stability"])


def _apply(stage: Stage, work: Sequence[Row]) -> Iterator[Row]:
    """Run a stage over work items and give its rows."""
    yield from work_items("tune", work).map_batches(stage, batch_size=1, batch_format="pyarrow").iter_rows()


def _copy_checkpoint(run: RunFolder, name: str, source: str, target: str) -> None:
    """Copy a checkpoint between two folders; `training.json`, which makes it whole, comes last."""
    files = run.names(COUINAUDNET, source, name)
    for file in sorted(files, key=lambda file: file == "training.json"):
        run.write_bytes(run.read_bytes(COUINAUDNET, source, name, file), COUINAUDNET, target, name, file)
