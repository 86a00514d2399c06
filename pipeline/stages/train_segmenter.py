"""The segmenter on Ray: cases exported and preprocessed where there is room, nnU-Net's trainer in Ray Train workers."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.segmenter.cases import TrainingCase
from pipeline.segmenter.dataset import describe_dataset, export_case
from pipeline.segmenter.folders import SegmenterFolders, nnunet_session
from pipeline.segmenter.history import EpochRow, HistoryWriter
from pipeline.segmenter.planning import extract_fingerprint, plan, preprocess_case, write_json
from pipeline.stages.base import REASON, CaseStage, Row, set_aside
from pipeline.stages.follow_training import follow_training
from pipeline.stages.session import work_items
from pipeline.steps import Step
from pipeline.training_history import SEGMENTER

STEP = "train_segmenter"


class ExportCase(CaseStage):
    """Write one case into nnU-Net's raw data set, and its share of the fingerprint, which commits it.

    Args:
        run: Run folder, local or mounted.
        config: Settings.
        cases: The cases that work items may name.
    """

    reads = ("case_id",)
    emits = ("case_id", "fingerprint", *REASON)
    step = STEP
    nothing: ClassVar[Row] = {"fingerprint": ""}

    def __init__(self, run: RunFolder, config: PipelineConfig, cases: Mapping[str, TrainingCase]) -> None:
        self.run = run
        self.config = config
        self.cases = cases

    def process(self, row: Row) -> Iterator[Row]:
        """Export the case unless it is there; give its fingerprint as JSON text."""
        case_id = row["case_id"]
        commit = ("segmenter", "cases", f"{case_id}.json")
        if not self.run.exists(*commit):
            export_case(self.run, self.cases[case_id], self.config)
            context_slices = self.config.segmenter.context_slices
            fingerprint = extract_fingerprint(SegmenterFolders.of(self.run), case_id, context_slices)
            self.run.write_json(fingerprint, *commit)
        yield {"case_id": case_id, "fingerprint": self.run.read_bytes(*commit).decode()}


class PreprocessCase(CaseStage):
    """Preprocess one case of the raw data set as the plans say.

    Args:
        run: Run folder, local or mounted.
    """

    reads = ("case_id",)
    emits = ("case_id", *REASON)
    step = STEP

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    def process(self, row: Row) -> Iterator[Row]:
        """Preprocess the case unless it is there; give it on."""
        folders = SegmenterFolders.of(self.run)
        with nnunet_session(folders):
            preprocess_case(folders, row["case_id"])
        yield row


def prepare_cases(step: Step, cases: Mapping[str, TrainingCase]) -> list[Row]:
    """Export, plan and preprocess cases; set aside the volumes whose cases cannot be used.

    Args:
        step: The step, on a run folder that is local or mounted.
        cases: Cases by id.

    Returns:
        A row for each case that can be trained on.

    Raises:
        RefusedInputError: If there is none; as `plan_segmenter`.
    """
    run, config = step.run, step.config
    exported = _apply(ExportCase(run, config, cases), step, cases, cases)
    while True:
        plan_segmenter(run, config, exported)
        prepared = _apply(PreprocessCase(run), step, cases, [row["case_id"] for row in exported])
        if len(prepared) == len(exported):
            return prepared
        run.remove("segmenter", "nnUNet_preprocessed")  # made by plans for other cases
        left = {row["case_id"] for row in prepared}
        exported = [row for row in exported if row["case_id"] in left]


def _apply(stage: CaseStage, step: Step, cases: Mapping[str, TrainingCase], case_ids: Iterable[str]) -> list[Row]:
    """Run a stage over cases and give the rows of those that can be used."""
    work = [{"case_id": case_id} for case_id in case_ids]
    flow = work_items(STEP, work).map_batches(stage, batch_size=1, batch_format="pyarrow")
    found = step.progress(flow.iter_rows(), total=len(work), unit="case")
    rows = ({"volume_id": cases[row["case_id"]].volume.volume_id, **row} for row in found)
    accepted, reasons = set_aside(step.run, STEP, rows)
    if not accepted:
        raise RefusedInputError(f"{STEP}: none of {len(work)} cases can be used: {dict(reasons)}")
    return accepted


def plan_segmenter(run: RunFolder, config: PipelineConfig, exported: Sequence[Row]) -> None:
    """Describe and plan the data set, in a Ray worker, so that this process never loads nnU-Net.

    Args:
        run: Run folder, local or mounted.
        config: Settings.
        exported: The rows of `ExportCase`.

    Raises:
        RefusedInputError: If the overrides do not fit together, or there is no tumor to learn.
    """
    import ray

    cases = sorted(exported, key=lambda row: str(row["case_id"]))
    try:
        ray.get(ray.remote(_plan).remote(run, config, cases))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RefusedInputError):
            raise error.cause from None  # one line for the person at the command line, not the worker's traceback
        raise


def _plan(run: RunFolder, config: PipelineConfig, exported: Sequence[Row]) -> None:
    """Write `dataset.json`, fingerprint and plans."""
    folders = SegmenterFolders.of(run)
    dataset_json = describe_dataset([row["case_id"] for row in exported], config.segmenter.context_slices)
    write_json(dataset_json, folders.raw / "dataset.json")
    with nnunet_session(folders):
        plan(folders, [json.loads(row["fingerprint"]) for row in exported], config.segmenter)


def train_segmenter(run: RunFolder, config: PipelineConfig) -> Iterator[dict[str, Any]]:
    """Train in Ray Train workers, from the newest checkpoint on; give each epoch's losses when it is done.

    Args:
        run: Run folder, local or mounted, with plans and preprocessed cases.
        config: Settings.

    Raises:
        ray.train.TrainingFailedError: If workers failed more often than the settings allow.
    """
    import ray

    fitting = ray.remote(_fit).options(num_cpus=0).remote(run, config)
    yield from follow_training(run, SEGMENTER, fitting)


def _fit(run: RunFolder, config: PipelineConfig) -> None:
    """Run Ray Train; in a task of its own, so that the caller can look at the history meanwhile."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    settings = config.segmenter
    storage = run.local("segmenter", "ray_train")
    trainer = TorchTrainer(
        _train_on_worker,
        train_loop_config={"run": run, "config": config},
        scaling_config=ScalingConfig(
            num_workers=settings.num_workers,
            use_gpu=settings.use_gpu,
            resources_per_worker={"CPU": settings.cpus_per_worker, "GPU": int(settings.use_gpu)},
        ),
        run_config=RunConfig(
            name=f"segmenter-{uuid.uuid4().hex[:8]}",  # the same name would bring back that run's state
            storage_path=str(storage),
            failure_config=FailureConfig(max_failures=settings.maximum_failures),
        ),
    )
    trainer.fit()
    shutil.rmtree(storage, ignore_errors=True)


def _train_on_worker(settings: dict[str, Any]) -> None:
    """Train on one worker of the group; rank 0 keeps the history."""
    import ray.train
    import ray.train.torch
    import torch

    from pipeline.segmenter.trainer import train

    run, config = settings["run"], settings["config"]
    torch.set_num_threads(max(1, int(config.segmenter.cpus_per_worker)))
    writer = HistoryWriter(run) if ray.train.get_context().get_world_rank() == 0 else None

    def on_epoch(history: list[EpochRow]) -> None:
        """Keep the history, and tell Ray Train."""
        if writer is not None:
            writer.write(history)
        ray.train.report(history[-1])

    train(run, config, ray.train.torch.get_device(), on_epoch)
