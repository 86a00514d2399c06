"""PLR over an archive: a window over z on work items that name a slab, reading the slab and its halo themselves.

Ray Data splits and merges blocks at will, so a window over neighboring rows of a block would be silently wrong. Here
a row names slices [start, stop) of one volume, and the stage reads one slice more on each side: right for every block
layout, and bounded in memory by the slab length whatever the volume's depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray, Int32Array
from pipeline.config import GridConfig, PixelLabelConfig
from pipeline.pixel_labels import RefinedMasks, refine_pixel_labels
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, pseudo_labels_schema
from pipeline.slabs import VolumeRow, read_slices, slab_name
from pipeline.stages.base import Row, Stage

RADIUS = 1
"""Slices on each side of the window: the paper's direct neighbors."""


class RefinePixelLabels(Stage):
    """Write `pseudo_labels/VOLUME/SLAB.parquet`: masks before and after PLR, and the continuity index.

    Args:
        run: Run folder.
        grid: Grid of the run.
        config: Threshold tau and scale c.
        volumes: The volumes that work items may name.
    """

    reads = ("volume_id", "slab")
    emits = ("volume_id", "slab", "slices", "deleted", "grown")

    def __init__(
        self, run: RunFolder, grid: GridConfig, config: PixelLabelConfig, volumes: dict[str, VolumeRow]
    ) -> None:
        self.run = run
        self.grid = grid
        self.config = config
        self.volumes = volumes

    def process(self, row: Row) -> Iterator[Row]:
        """Refine one slab; give how many slices it has, lost their mask, and grew."""
        volume = self.volumes[row["volume_id"]]
        start = row["slab"] * self.grid.slab_length
        stop = start + self.grid.slab_length
        labels = self._read("image_labels", volume, start, stop, ["refined_label"])
        pathological = labels["slice_index"][labels["refined_label"].any(axis=1)]
        rows = self._read("probabilities", volume, start, stop, ["tumor_probability"])
        probability = _select_slices(rows, pathological, volume.volume_id)
        masks = refine_pixel_labels(probability, pathological, self.config.threshold, self.config.scale)
        columns = self._to_columns(volume.volume_id, labels["slice_index"], pathological, masks)
        inside = (labels["slice_index"] >= start) & (labels["slice_index"] < stop)
        kept = {name: values[inside] for name, values in columns.items()}
        table = encode(kept, pseudo_labels_schema(self.grid.height, self.grid.width))
        self.run.write_table(table, "pseudo_labels", volume.volume_id, slab_name(row["slab"]))
        before = kept["pseudo_mask"].sum(axis=(1, 2))
        after = kept["refined_mask"].sum(axis=(1, 2))
        yield {
            "volume_id": volume.volume_id,
            "slab": row["slab"],
            "slices": int(inside.sum()),
            "deleted": int(np.sum((before > 0) & (after == 0))),
            "grown": int(np.sum(after > before)),
        }

    def _read(self, table: str, volume: VolumeRow, start: int, stop: int, columns: list[str]) -> dict[str, Any]:
        """Read a slab and its halo."""
        return read_slices(self.run, table, volume, self.grid.slab_length, start - RADIUS, stop + RADIUS, columns)

    def _to_columns(
        self, volume_id: str, slice_index: Int32Array, pathological: Int32Array, masks: RefinedMasks
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Lay the masks of the pathological slices among the black ones of the healthy slices."""
        shape = (len(slice_index), self.grid.height, self.grid.width)
        position = np.searchsorted(slice_index, pathological)
        before, after = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        before[position] = masks.pseudo_mask
        after[position] = masks.refined_mask if self.config.enabled else masks.pseudo_mask
        index = np.zeros(len(slice_index), dtype=np.float32)
        index[position] = masks.continuity_index
        ids = np.full(len(slice_index), volume_id, dtype=object)
        return {
            "volume_id": ids,
            "slice_index": slice_index,
            "pseudo_mask": before,
            "refined_mask": after,
            "continuity_index": index,
        }


def _select_slices(rows: dict[str, Any], wanted: Int32Array, volume_id: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the probabilities of the wanted slices.

    Raises:
        ValueError: If a pathological slice of the window has no probability: its neighbors would be judged wrongly.
    """
    there: BoolArray = np.isin(wanted, rows["slice_index"])
    if not there.all():
        raise ValueError(
            f"{volume_id}: slices {wanted[~there].tolist()} are pathological but have no probability; "
            f"there are {rows['slice_index'].tolist()}"
        )
    probability: np.ndarray[Any, np.dtype[np.uint8]] = rows["tumor_probability"]
    return probability[np.isin(rows["slice_index"], wanted)]
