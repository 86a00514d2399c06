"""Refinement of a whole volume lesion by lesion, Parquet in to Parquet out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray
from pipeline.config import GridConfig, PixelLabelConfig
from pipeline.errors import CaseError
from pipeline.image_labels import select_named_pixels
from pipeline.intensity import gray_to_hu
from pipeline.pixel_labels import compute_continuity_index, threshold_level, window_radius
from pipeline.refinement.lesion_consistency import refine_lesions
from pipeline.refinement.pathological_slices import PathologicalSlices, read_pathological_slices
from pipeline.refinement.slab_refinement import RefinementCounts
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, pseudo_labels_schema
from pipeline.slabs import VolumeRow, fill_gaps, read_slab, slab_name

Rows = dict[str, np.ndarray[Any, Any]]


def refine_volume(run: RunFolder, grid: GridConfig, config: PixelLabelConfig, volume: VolumeRow) -> RefinementCounts:
    """Write `pseudo_labels/VOLUME/` with masks refined by `refine_lesions`; the whole volume is in memory.

    `pseudo_mask` is the mask at tau, `continuity_index` that of eq. 4-5 for it, both as in the paper's refinement.

    Args:
        run: Run folder.
        grid: Grid of the run.
        config: Settings of the refinement.
        volume: The volume.

    Raises:
        CaseError: If a table of the volume cannot be used; see `read_pathological_slices`.
    """
    slabs = [read_pathological_slices(run, grid, volume.volume_id, slab) for slab in volume.slabs]
    index, rows = np.concatenate([slab.slice_index for slab in slabs]), _read_pixels(run, volume, slabs)
    stack = {name: fill_gaps(values, index) for name, values in rows.items()}
    at = index - index[0]
    pseudo = rows["probability"] >= threshold_level(config.threshold)
    refined = refine_lesions(
        (stack["probability"] / 255).astype(np.float32),
        stack["named_map"],
        gray_to_hu(stack["image"], grid.window_low_hu, grid.window_high_hu) - np.float32(volume.liver_median_hu),
        (volume.spacing_mm[0], grid.spacing_mm, grid.spacing_mm),
        config,
    )[at]
    radius = window_radius(config, volume.spacing_mm[0])
    continuity = compute_continuity_index(pseudo, index, config.scale, radius).astype(np.float32)
    for slab in slabs:
        mine = slice(*np.searchsorted(index, (slab.slice_index[0], slab.slice_index[-1] + 1)))
        columns = {
            "volume_id": [volume.volume_id] * len(slab.slice_index),
            "slice_index": slab.slice_index,
            "pseudo_mask": pseudo[mine],
            "refined_mask": refined[mine],
            "continuity_index": continuity[mine],
        }
        table = encode(columns, pseudo_labels_schema(grid.height, grid.width))
        run.write_table(table, "pseudo_labels", volume.volume_id, slab_name(slab.slab))
    return _count(pseudo, refined)


def _read_pixels(run: RunFolder, volume: VolumeRow, slabs: Sequence[PathologicalSlices]) -> Rows:
    """Return probability levels, named segments and gray values of all slices, healthy ones without the first two."""
    parts = []
    for slab in slabs:
        slices = read_slab(run, "slices", volume.volume_id, slab.slab, ["slice_index", "image", "couinaud_map"])
        if not np.array_equal(slices["slice_index"], slab.slice_index):
            raise CaseError("SLICE_MISSING", f"slab {slab.slab}: labels and slices differ", "refine_pixel_labels")
        levels = np.zeros_like(slices["image"])
        levels[slab.pathological] = slab.probability
        named = select_named_pixels(slices["couinaud_map"], slab.refined_label)
        parts.append(
            {"probability": levels, "named_map": slices["couinaud_map"] * named, "image": slices["image"]},
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _count(before: BoolArray, after: BoolArray) -> RefinementCounts:
    """Return what refinement did to the slices."""
    pixels = [np.count_nonzero(masks, axis=(1, 2)) for masks in (before, after)]
    deleted, grown = (pixels[0] > 0) & (pixels[1] == 0), pixels[1] > pixels[0]
    return RefinementCounts(len(before), int(deleted.sum()), int(grown.sum()))
