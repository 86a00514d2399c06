"""ILR over an archive: one volume's narrow columns in, its slice labels out; no pixel is read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.config import ImageLabelConfig
from pipeline.image_labels import find_segments_present, refine_image_labels
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, image_labels_schema
from pipeline.slabs import read_slab, slab_name
from pipeline.stages.base import Row, Stage

_COLUMNS = ["volume_id", "slice_index", "image_label", "segment_area_mm2", "split"]


class RefineImageLabels(Stage):
    """Write `image_labels/VOLUME/SLAB.parquet` for all slabs of a volume.

    Args:
        run: Run folder.
        config: Minimum area, and whether labels are refined at all.
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
            refined = refine_image_labels(label, present) if self.config.enabled else label
            table = encode({**columns, "refined_label": refined, "segments_present": present}, image_labels_schema())
            self.run.write_table(table, "image_labels", row["volume_id"], slab_name(slab))
            slices += len(label)
            relabeled += int(np.sum(label.any(axis=1) & ~refined.any(axis=1)))
        yield {"volume_id": row["volume_id"], "slices": slices, "relabeled": relabeled}
