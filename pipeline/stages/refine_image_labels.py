"""ILR over an archive: one volume's narrow columns in, its slice labels out; no pixel is read.

Labels from the references, the paper's comparison, are the exception: they need the Couinaud map and the mask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.arrays import BoolArray
from pipeline.config import ImageLabelConfig
from pipeline.errors import CaseError, RefusedInputError
from pipeline.image_labels import find_segments_present, find_tumor_segments, refine_image_labels
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, image_labels_schema
from pipeline.slabs import VolumeRow, read_slab, slab_name
from pipeline.stages.base import REASON, CaseStage, Row

STEP = "refine_image_labels"
NOT_IN_MAP = "LABEL_NOT_IN_MAP"
"""Reason code of a training or validation volume of whose named segments no slice has enough."""
_COLUMNS = ["volume_id", "slice_index", "image_label", "segment_area_mm2", "split"]


class RefineImageLabels(CaseStage):
    """Write `image_labels/VOLUME/SLAB.parquet` for all slabs of a volume.

    Args:
        run: Run folder.
        config: Minimum area, whether labels are refined at all, and from what.
    """

    reads = ("volume_id", "slabs")
    emits = ("volume_id", "slices", "relabeled", *REASON)
    step = STEP
    nothing: ClassVar[Row] = {"slices": 0, "relabeled": 0}

    def __init__(self, run: RunFolder, config: ImageLabelConfig) -> None:
        self.run = run
        self.config = config

    def process(self, row: Row) -> Iterator[Row]:
        """Refine one volume; give its number of slices, and of those that became healthy.

        Raises:
            CaseError: If the label names nothing that is on any slice, unless it is that of a test volume: no step
                reads its slice labels, and the same volumes are tested with ILR and without.
        """
        slices = relabeled = 0
        for slab in row["slabs"]:
            columns = read_slab(self.run, "slices", row["volume_id"], slab, _COLUMNS)
            present = find_segments_present(columns.pop("segment_area_mm2"), self.config.minimum_area_mm2)
            label = columns["image_label"]
            refined = self._refine(row["volume_id"], slab, columns, present)
            table = encode({**columns, "refined_label": refined, "segments_present": present}, image_labels_schema())
            self.run.write_table(table, "image_labels", row["volume_id"], slab_name(slab))
            slices += len(label)
            relabeled += int(np.sum(label.any(axis=1) & ~refined.any(axis=1)))
        if self.config.source == "volume" and 0 < slices == relabeled and columns["split"][0] != "test":
            named = ", ".join(str(index + 1) for index in np.flatnonzero(label[0]))
            sides = f"segments {named}, none of {slices} slices has {self.config.minimum_area_mm2:g} mm2 of one"
            raise CaseError(NOT_IN_MAP, f"the label names {sides}", STEP)
        yield {"volume_id": row["volume_id"], "slices": slices, "relabeled": relabeled}

    def _refine(
        self, volume_id: str, slab: int, columns: Mapping[str, np.ndarray[Any, Any]], present: BoolArray
    ) -> BoolArray:
        """Return the refined labels of one slab."""
        label: BoolArray = columns["image_label"]
        if not self.config.enabled:
            return label
        if self.config.source == "volume" or not label.any() or columns["split"][0] != "train":
            return refine_image_labels(label, present)
        maps = read_slab(self.run, "slices", volume_id, slab, ["couinaud_map"])
        masks = read_slab(self.run, "references/grid", volume_id, slab, ["reference_mask"])
        return find_tumor_segments(maps["couinaud_map"], masks["reference_mask"])


def commit_labels(run: RunFolder, rows: Iterable[Row]) -> tuple[dict[str, int], Counter[str]]:
    """Add up the stage's rows; quarantine each volume that cannot be used and remove its slice labels.

    Returns:
        `slices` and `relabeled_healthy` of the others, and the number of quarantined volumes by reason code.
    """
    counts, reasons = Counter(slices=0, relabeled_healthy=0), Counter[str]()
    for row in rows:
        if row["code"]:
            write_rejection(run, Rejection(row["volume_id"], row["code"], row["message"], STEP))
            run.remove("image_labels", row["volume_id"])
            reasons[row["code"]] += 1
        else:
            counts.update(slices=row["slices"], relabeled_healthy=row["relabeled"])
    return dict(counts), reasons


def require_labels(volumes: Sequence[VolumeRow]) -> None:
    """Check that every volume has a label.

    Raises:
        RefusedInputError: If one has none: its slices would count as healthy.
    """
    if unlabeled := sum(not volume.labeled for volume in volumes):
        raise RefusedInputError(
            f"{STEP}: {unlabeled} of {len(volumes)} volumes have no label (source.unlabeled); they can be predicted,"
            " but not learned from"
        )


def require_references(volumes: Iterable[VolumeRow], config: ImageLabelConfig) -> None:
    """Check that labels from references can be made.

    Args:
        volumes: All volumes.
        config: Where labels come from.

    Raises:
        RefusedInputError: If a pathological training volume has no reference mask; they are named.
    """
    if config.source == "reference":
        weak = [volume for volume in volumes if volume.split == "train" and not volume.healthy]
        missing = [volume.volume_id for volume in weak if not volume.has_reference]
        if missing:
            raise RefusedInputError(
                f"image_labels.source: 'reference', but {len(missing)} of {len(weak)} pathological training volumes"
                f" have no reference mask: {', '.join(missing)}"
            )
