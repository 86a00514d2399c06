"""PLR over slabs of one volume, Parquet in to Parquet out: each slab is read once, and written when it is refined.

A task names consecutive slabs of a volume. It reads them from feet to head, and beyond both ends the slabs that hold
the slices within the window's radius, be they one slab or several. Between two slabs only the last `radius` slices
stay in memory (`pipeline.refinement.walk`), so a task takes the memory of a slab and its window, however deep the
volume is and however it is cut into tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.config import GridConfig, PixelLabelConfig
from pipeline.pixel_labels import window_radius
from pipeline.refinement.continuity import black_masks, count_bits, mask_bytes
from pipeline.refinement.pathological_slices import PathologicalSlices, read_pathological_slices
from pipeline.refinement.walk import PackedMasks, RefinementWalk
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, pseudo_labels_schema
from pipeline.slabs import VolumeRow, slab_name


@dataclass(frozen=True)
class RefinementCounts:
    """What refinement did to some slices; counts of disjoint slices add up.

    Args:
        slices: Slices written, healthy ones among them.
        deleted: Slices that lost their mask.
        grown: Slices whose mask has more pixels than before.
    """

    slices: int = 0
    deleted: int = 0
    grown: int = 0

    def __add__(self, other: RefinementCounts) -> RefinementCounts:
        """Return the counts of both sets of slices together."""
        return RefinementCounts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def refine_slabs(
    run: RunFolder, grid: GridConfig, config: PixelLabelConfig, volume: VolumeRow, slabs: Sequence[int]
) -> RefinementCounts:
    """Write `pseudo_labels/VOLUME/SLAB.parquet` for consecutive slabs of a volume.

    Args:
        run: Run folder.
        grid: Grid of the run.
        config: tau, c and the window.
        volume: The volume.
        slabs: Slabs of the volume in ascending order, without one left out between them.

    Raises:
        CaseError: If a table of these slabs, or of those within the window, cannot be used.
    """
    counts = RefinementCounts()
    schema = pseudo_labels_schema(grid.height, grid.width)
    for done in _refine(run, grid, config, volume, slabs):
        table = encode(done.columns(volume.volume_id), schema)
        run.write_table(table, "pseudo_labels", volume.volume_id, slab_name(done.slab))
        counts += done.count()
    return counts


def _refine(
    run: RunFolder, grid: GridConfig, config: PixelLabelConfig, volume: VolumeRow, slabs: Sequence[int]
) -> Iterator[_OpenSlab]:
    """Walk over the slabs and those within the window of their ends; give each slab when its last slice is refined."""
    radius, length, pixels = window_radius(config, volume.spacing_mm[0]), grid.slab_length, grid.height * grid.width
    walk = RefinementWalk(pixels, config.threshold, config.scale, radius, enabled=config.enabled)
    window = (slabs[0] * length - radius, (slabs[-1] + 1) * length + radius)
    waiting: deque[_OpenSlab] = deque()
    for slab in volume.slabs:
        if (slab + 1) * length > window[0] and slab * length < window[1]:
            slices = read_pathological_slices(run, grid, volume.volume_id, slab)
            if slab in slabs:
                waiting.append(_OpenSlab(slices, pixels))
            yield from _fill(waiting, walk.push(*slices.between(*window)))
            del slices  # its memory is free before the next slab is read
    yield from _fill(waiting, walk.finish())


def _fill(waiting: deque[_OpenSlab], masks: PackedMasks) -> Iterator[_OpenSlab]:
    """Lay refined slices into the slabs that wait for them; give those that are full."""
    for slab in waiting:
        slab.lay(masks)
    while waiting and waiting[0].full:
        yield waiting.popleft()


class _OpenSlab:
    """The masks of all slices of a slab: black until they are laid in, and black where ILR found the slice healthy."""

    def __init__(self, slices: PathologicalSlices, pixels: int) -> None:
        self.slab = slices.slab
        self.slice_index = slices.slice_index
        self.range = (self.slice_index[0], self.slice_index[-1] + 1) if len(self.slice_index) else (0, 0)
        self.missing = int(slices.pathological.sum())
        self.bytes = mask_bytes(pixels)
        self.before, self.after = (black_masks(len(self.slice_index), pixels) for _ in range(2))
        self.continuity_index = np.zeros(len(self.slice_index), dtype=np.float32)

    @property
    def full(self) -> bool:
        """Whether every pathological slice is there."""
        return self.missing == 0

    def lay(self, masks: PackedMasks) -> None:
        """Take those of the slices that are in this slab."""
        mine = slice(*np.searchsorted(masks.slice_index, self.range))
        at = np.searchsorted(self.slice_index, masks.slice_index[mine])
        self.before.view(np.uint8)[at, : self.bytes] = masks.pseudo_mask[mine]
        self.after.view(np.uint8)[at, : self.bytes] = masks.refined_mask[mine]
        self.continuity_index[at] = masks.continuity_index[mine]
        self.missing -= len(at)

    def columns(self, volume_id: str) -> dict[str, Any]:
        """Return the columns of `pseudo_labels/`."""
        return {
            "volume_id": [volume_id] * len(self.slice_index),
            "slice_index": self.slice_index,
            "pseudo_mask": self.before.view(np.uint8)[:, : self.bytes],
            "refined_mask": self.after.view(np.uint8)[:, : self.bytes],
            "continuity_index": self.continuity_index,
        }

    def count(self) -> RefinementCounts:
        """Return what refinement did to the slices of the slab."""
        before, after = count_bits(self.before).astype(np.int64), count_bits(self.after)
        deleted, grown = np.sum((before > 0) & (after == 0)), np.sum(after > before)
        return RefinementCounts(len(before), int(deleted), int(grown))
