"""What the comparison of arms does on Ray beside the jobs: a cohort from several sources, teachers, and the counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np

from pipeline.branch_folder import BranchFolder
from pipeline.case_results import CaseResult, confuse_labels
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.couinaud import prepare
from pipeline.errors import RefusedInputError
from pipeline.labeled_slices import read_labeled_slab
from pipeline.masks import read_volume_slices, require_predictions
from pipeline.metrics import count_masks
from pipeline.pixel_labels import quantize_probability
from pipeline.prediction import find_regions
from pipeline.reproduce.results import describe_case
from pipeline.run_folder import RunFolder
from pipeline.run_lock import hold_run_folder
from pipeline.schema import encode, probabilities_schema
from pipeline.slabs import VolumeRow, read_volume_rows, slab_name
from pipeline.stages.base import REASON, Row, require_whole
from pipeline.stages.evaluate import EvaluateSegmentation, WeakLabelResult, evaluate_volumes
from pipeline.stages.find_cases import find_cases
from pipeline.stages.ingest import commit_outcomes, find_pending, ingest_cases, remove_volume
from pipeline.stages.predict_segmentation import PREDICTED_SPLITS, PredictSegmentation, require_networks
from pipeline.stages.room import pool_size
from pipeline.stages.session import work_items
from pipeline.steps import Step


def ingest_cohort(config: PipelineConfig, sources: Sequence[SourceConfig], left_out: str = "") -> list[VolumeRow]:
    """Ingest all cases of several sources into one run folder, unless it is done; return its volumes.

    Args:
        config: Settings of the cohort; `source` is not looked at.
        sources: The sources, whose volume ids differ.
        left_out: Volume that becomes a test volume; empty for none.

    Raises:
        RefusedInputError: If a case cannot be used: results of a part of the cases could not be compared.
    """
    held = hold_run_folder(RunFolder(config.run), "jobs.reproduce")
    with held, Step.begin(config, "ingest", uses=("phantom", "grid", "couinaud")) as step:
        if not step.committed:
            reasons: Counter[str] = Counter()
            taken, there = 0, set[str]()
            for source in sources:
                made = replace(config, source=source, couinaud=prepare(config.couinaud))
                found = find_cases(step.run, made, remove_volume)
                cases = [replace(case, split="test") if case.volume_id == left_out else case for case in found.cases]
                there.update(case.volume_id for case in cases)
                pending = find_pending(step.run, cases)
                outcomes = step.progress(ingest_cases(step.run, made, pending), total=len(pending), unit="volume")
                reasons += commit_outcomes(step.run, found.rejections) + commit_outcomes(step.run, outcomes)
                taken += len(found.cases) + len(found.rejections)
            if left_out and left_out not in there:
                raise RefusedInputError(f"left_out: no volume {left_out} among {len(there)}")
            if reasons:
                counts = ", ".join(f"{count} {code}" for code, count in sorted(reasons.items()))
                raise RefusedInputError(f"{counts} of {taken} cases; the benchmark needs all of them")
            step.commit(taken=taken, given=len(step.run.names("volumes")))
        return read_volume_rows(step.run)


def fit_in_cluster(side_by_side: int) -> int:
    """Return how many trainings of one CPU can go on at the same time: one CPU is left to read their data."""
    import ray

    return max(1, min(side_by_side, int(ray.cluster_resources().get("CPU", 1)) - 1))


class PredictAsTeacher(PredictSegmentation):
    """Write a student's `probabilities/VOLUME/SLAB.parquet` from the segmenter of its teacher.

    Args:
        run: The teacher's run folder.
        config: The teacher's settings.
        volumes: The volumes that work items may name.
        student: Run folder with the `image_labels/` that say where there may be tumor.
    """

    emits = ("volume_id", *REASON)
    nothing: ClassVar[Row] = {}

    def __init__(
        self, run: RunFolder, config: PipelineConfig, volumes: Mapping[str, VolumeRow], student: RunFolder
    ) -> None:
        super().__init__(run, config, volumes)
        self.student = student

    def marked_run(self) -> RunFolder:
        """Return the student's folder, which this job holds."""
        return self.student

    def process(self, row: Row) -> Iterator[Row]:
        """Predict one volume and keep what is in the named segments of each slice."""
        volume = self.volumes[row["volume_id"]]
        slices, probability = self.predict(volume)
        levels = quantize_probability(probability)
        for slab in volume.slabs:
            self._write_slab(volume.volume_id, slab, slices.slice_index, levels)
        yield row

    def _write_slab(
        self, volume_id: str, slab: int, slice_index: np.ndarray[Any, Any], levels: np.ndarray[Any, Any]
    ) -> None:
        """Write the probabilities of one slab."""
        columns = read_labeled_slab(self.student, volume_id, slab, ["couinaud_map"])
        regions = find_regions(columns["couinaud_map"], columns["refined_label"], predict_relabeled=False)
        chosen = columns["slice_index"][regions.rows]
        rows: dict[str, Any] = {
            "volume_id": [volume_id] * len(chosen),
            "slice_index": chosen,
            "tumor_probability": levels[np.searchsorted(slice_index, chosen)] * regions.masks,
            "named": regions.named,
        }
        table = encode(rows, probabilities_schema(*levels.shape[1:]))
        self.student.write_table(table, "probabilities", volume_id, slab_name(slab))


def predict_as_teacher(config: PipelineConfig, teacher: PipelineConfig) -> int:
    """Do for a branch what `predict_tumors` does, by the segmenter of the run folder that it branches off.

    Args:
        config: Settings of the student, a branch of the teacher's run folder with `image_labels/`.
        teacher: Settings of the teacher.

    Returns:
        The exit code.
    """
    with Step.begin(config, "predict_tumors", uses=("grid",), needs=("refine_image_labels",)) as step:
        if step.committed:
            return step.exit_code
        assert isinstance(step.run, BranchFolder), "a student is a branch of its teacher"
        volumes = {row.volume_id: row for row in read_volume_rows(step.run, "train") if not row.healthy}
        predicted = _predict_in_actors(step.run.parent, teacher, volumes, step.run)
        given = list(step.progress(predicted, total=len(volumes), unit="volume"))
        return step.commit(taken=len(volumes), given=len(given))


def _predict_in_actors(
    run: RunFolder, config: PipelineConfig, volumes: Mapping[str, VolumeRow], student: RunFolder
) -> Iterator[Row]:
    """Give the rows of `PredictAsTeacher` for all volumes; refuse actors that the cluster has no room for."""
    import ray.data

    settings = config.segmenter
    actors = pool_size("segmenter", settings)
    require_networks(run, config)
    predicted = work_items("reproduce", [{"volume_id": volume_id} for volume_id in volumes]).map_batches(
        PredictAsTeacher,
        fn_constructor_kwargs={"run": run, "config": config, "volumes": volumes, "student": student},
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(volumes))),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=settings.cpus_per_worker,
        num_gpus=int(settings.use_gpu),
    )
    yield from require_whole(predicted.iter_rows())


class CountWeakLabels(WeakLabelResult):
    """Compare the slice labels and pseudo masks of one training volume with its reference, as far as they are there."""

    def process(self, row: Row) -> Iterator[Row]:
        """Give counts by table as text."""
        volume = self.volumes[row["volume_id"]]
        references = read_volume_slices(self.run, "references/grid", volume, ["reference_mask"])
        result: dict[str, Any] = {"volume_id": volume.volume_id}
        if labels := self.read_labels("image_labels", volume, ["image_label", "refined_label"]):
            before, after = confuse_labels(references, labels)
            result["image_labels"] = {"before": list(vars(before).values()), "after": list(vars(after).values())}
        if masks := self.read_labels("pseudo_labels", volume, ["pseudo_mask", "refined_mask"]):
            result["pseudo_masks"] = {
                name: list(asdict(count_masks(masks[column], references["reference_mask"])).values())
                for name, column in (("before", "pseudo_mask"), ("after", "refined_mask"))
            }
        yield {"volume_id": volume.volume_id, "result": json.dumps(result)}


def measure_arm(run: RunFolder) -> dict[str, Any]:
    """Compare the predictions of an arm, and the weak labels that it learned from, with the references.

    Args:
        run: Run folder of the arm.

    Returns:
        `cases`, one entry per test and validation volume, and for the pathological training volumes `pseudo_masks`
        (intersection, prediction and reference pixels before and after refinement) and `image_labels` (true positive,
        false positive, false negative and true negative slices before and after ILR); empty if the arm has none.
    """
    predicted = {row.volume_id: row for row in read_volume_rows(run, *PREDICTED_SPLITS)}
    require_predictions(run, list(predicted.values()))
    weak = {row.volume_id: row for row in read_volume_rows(run, "train") if not row.healthy and row.has_reference}
    found = require_whole(evaluate_volumes(EvaluateSegmentation(run, predicted), predicted))
    cases = [CaseResult.from_json(row["result"]) for row in found]
    found = require_whole(evaluate_volumes(CountWeakLabels(run, weak), weak))
    counted = [json.loads(row["result"]) for row in found]
    return {
        "cases": {case.volume_id: describe_case(case) for case in cases},
        **{
            table: {result["volume_id"]: result[table] for result in counted if table in result}
            for table in ("pseudo_masks", "image_labels")
        },
    }
