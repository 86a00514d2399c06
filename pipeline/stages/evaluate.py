"""Evaluation over an archive: a worker reads one volume's masks and gives counts, the driver adds them up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np

from pipeline.case_results import (
    WEAK_LABEL_STEPS,
    LabelResult,
    Rows,
    confuse_labels,
    count_pseudo_masks,
    evaluate_case,
)
from pipeline.config import PipelineConfig
from pipeline.masks import read_native_reference, read_prediction, read_volume_slices
from pipeline.pixel_labels import window_radius
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow
from pipeline.stages.base import REASON, CaseStage, Row
from pipeline.stages.session import work_items


class VolumeResult(CaseStage):
    """A stage that takes volumes by name and gives a result of each as text.

    Args:
        run: Run folder.
        volumes: The volumes that work items may name.
    """

    reads = ("volume_id",)
    emits = ("volume_id", "result", *REASON)
    step = "evaluate"
    nothing: ClassVar[Row] = {"result": ""}

    def __init__(self, run: RunFolder, volumes: dict[str, VolumeRow]) -> None:
        self.run = run
        self.volumes = volumes


class EvaluateSegmentation(VolumeResult):
    """Compare one predicted volume with its reference on its own grid."""

    def process(self, row: Row) -> Iterator[Row]:
        """Give one `CaseResult` as text."""
        volume = self.volumes[row["volume_id"]]
        prediction = read_prediction(self.run, volume)
        reference = read_native_reference(self.run, volume) if volume.has_reference else None
        voxel_ml = float(np.prod(volume.spacing_mm)) / 1000
        result = evaluate_case(volume.volume_id, volume.split, voxel_ml, prediction, reference)
        yield {"volume_id": volume.volume_id, "result": result.to_json()}


class WeakLabelResult(VolumeResult):
    """A stage that compares the weak labels of volumes with their references, as far as their steps have completed."""

    def read_labels(self, table: str, volume: VolumeRow, columns: Sequence[str]) -> Rows | None:
        """Return columns of a table of weak labels for a volume; None unless the step that writes it has completed."""
        if not self.run.exists("reports", f"{WEAK_LABEL_STEPS[table]}.json"):
            return None
        return read_volume_slices(self.run, table, volume, columns)


class EvaluateLabels(WeakLabelResult):
    """Compare one volume's image labels and, in the train split, its pseudo masks with the reference.

    Args:
        run: Run folder.
        config: Settings of the run.
        volumes: The volumes that work items may name, with reference and a label that names a segment.
    """

    def __init__(self, run: RunFolder, config: PipelineConfig, volumes: dict[str, VolumeRow]) -> None:
        super().__init__(run, volumes)
        self.config = config

    def process(self, row: Row) -> Iterator[Row]:
        """Give one `LabelResult` as text."""
        volume = self.volumes[row["volume_id"]]
        references = read_volume_slices(self.run, "references/grid", volume, ["reference_mask"])
        labels = self.read_labels("image_labels", volume, ["image_label", "refined_label"])
        before, after = confuse_labels(references, labels) if labels else (None, None)
        arms = {}
        if volume.split == "train":
            probabilities = self.read_labels("probabilities", volume, ["tumor_probability"])
            pseudo_labels = self.read_labels("pseudo_labels", volume, ["pseudo_mask", "refined_mask"])
            radius = window_radius(self.config.pixel_labels, volume.spacing_mm[0])
            arms = count_pseudo_masks(references, probabilities, pseudo_labels, self.config, radius)
        result = LabelResult(volume.volume_id, volume.split, before, after, arms)
        yield {"volume_id": volume.volume_id, "result": result.to_json()}


def evaluate_volumes(stage: VolumeResult, volumes: Iterable[str]) -> Iterator[Row]:
    """Apply a stage to volumes and give its rows, in any order; nothing without volumes."""
    rows = [{"volume_id": volume_id} for volume_id in volumes]
    if rows:
        yield from work_items("evaluate", rows).map_batches(stage, batch_size=1, batch_format="pyarrow").iter_rows()
