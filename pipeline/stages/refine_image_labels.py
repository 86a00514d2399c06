"""ILR over an archive: one volume's narrow columns in, its slice labels out; no pixel is read.

Labels from the references, the paper's comparison, are the exception: they need the Couinaud map and the mask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray
from pipeline.config import ImageLabelConfig
from pipeline.errors import RefusedInputError
from pipeline.image_labels import find_segments_present, find_tumor_segments, refine_image_labels
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, image_labels_schema
from pipeline.slabs import VolumeRow, read_slab, slab_name
from pipeline.stages.base import Row, Stage

_COLUMNS = ["volume_id", "slice_index", "image_label", "segment_area_mm2", "split"]


class RefineImageLabels(Stage):
    """Write `image_labels/VOLUME/SLAB.parquet` for all slabs of a volume.

    Args:
        run: Run folder.
        config: Minimum area, whether labels are refined at all, and from what.
    """

    reads = ("volume_id", "slabs")
    emits = ("volume_id", "slices", "relabeled")

    def __init__(self, run: RunFolder, config: ImageLabelConfig) -> None:
        self.run = run
        self.config = config

    def process(self, row: Row) -> Iterator[Row]:
        """Refine one volume; give its number of slices, and of those that became healthy."""
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
