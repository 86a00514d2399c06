"""What predicted masks hold: a row beside each mask, and `predictions.csv`, the table of them all.

A row is written after its mask and removed before the mask is made anew, so that one that is there is the mask's. No
reference is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray, Float64Array
from pipeline.config import GridConfig
from pipeline.couinaud.completion import complete_map
from pipeline.csv_text import format_csv
from pipeline.geometry import nearest_pixels
from pipeline.lesions import equivalent_diameter_mm, measure_lesions
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, predicted_volumes_schema
from pipeline.slabs import VolumeRow

TABLE, ROWS = "predictions.csv", "predicted_volumes"
SEGMENT_COLUMNS = tuple(f"segment_{number}_ml" for number in range(1, SEGMENT_COUNT + 1))
COLUMNS = (
    *("volume_id", "split", "liver_ml", "tumor_ml", "lesions", "largest_mm"),
    *SEGMENT_COLUMNS,
    *("couinaud_method", "couinaud_flags"),
)
"""Columns of `predictions.csv`."""


def measure_prediction(
    mask: BoolArray, slices: Mapping[str, np.ndarray[Any, Any]], volume: VolumeRow, grid: GridConfig
) -> dict[str, Any]:
    """Measure the tumors of one volume.

    Args:
        mask: Predicted tumor on the volume's own grid, shape (z, y, x).
        slices: `slice_index` and `couinaud_map` of the volume's rows in `slices/`.
        volume: The volume.
        grid: The run's grid.

    Returns:
        One row of `pipeline.schema.predicted_volumes_schema`.
    """
    voxel_ml = float(np.prod(volume.spacing_mm)) / 1000
    lesions = measure_lesions(mask)
    return {
        "volume_id": volume.volume_id,
        "tumor_ml": sum(lesions) * voxel_ml,
        "lesions": len(lesions),
        "largest_mm": equivalent_diameter_mm(max(lesions, default=0) * voxel_ml),
        "segment_ml": count_by_segment(mask, slices, volume, grid) * voxel_ml,
    }


def count_by_segment(
    mask: BoolArray, slices: Mapping[str, np.ndarray[Any, Any]], volume: VolumeRow, grid: GridConfig
) -> Float64Array:
    """Return the tumor voxels in segments 1..8, shape (8,); arguments as in `measure_prediction`.

    A voxel belongs to the segment of the pixel that holds its center. Where a mask sticks out of the liver's pixels,
    as interpolation makes it, that of the nearest one on its slice counts.
    """
    rows, columns = (
        nearest_pixels(volume.crop_start[axis], mask.shape[axis], volume.spacing_mm[axis], pixels, grid.spacing_mm)
        for axis, pixels in ((1, grid.height), (2, grid.width))
    )
    counts, everywhere = np.zeros(SEGMENT_COUNT + 1), np.ones((1, grid.height, grid.width), bool)
    for index, plane in zip(slices["slice_index"], slices["couinaud_map"], strict=True):
        y, x = np.nonzero(mask[index])
        if y.size and plane.any():
            filled = complete_map(plane[None], everywhere, (1.0, 1.0, 1.0), maximum_unlabeled_fraction=1.0)[0]
            counts += np.bincount(filled[rows[y], columns[x]], minlength=SEGMENT_COUNT + 1)
    return counts[1:]


def write_row(run: RunFolder, row: Mapping[str, Any]) -> None:
    """Write a volume's row."""
    columns = {name: np.asarray(value)[None] for name, value in row.items()}
    run.write_table(encode(columns, predicted_volumes_schema()), ROWS, f"{row['volume_id']}.parquet")


def find_unmeasured(run: RunFolder, volume_ids: Iterable[str]) -> list[str]:
    """Return the volumes that have a mask, but no row."""
    masks, rows = set(run.names("predictions")), set(run.names(ROWS))
    return [name for name in volume_ids if f"{name}.nii.gz" in masks and f"{name}.parquet" not in rows]


def write_prediction_table(run: RunFolder, volumes: Collection[VolumeRow]) -> int:
    """Write `predictions.csv`, volumes in the given order.

    Args:
        run: Run folder.
        volumes: Volumes, with a row each but for those that could not be predicted.

    Returns:
        Number of volumes in the table.
    """
    there = set(run.names(ROWS))
    rows = [_describe(run, volume) for volume in volumes if f"{volume.volume_id}.parquet" in there]
    run.write_bytes(format_csv(COLUMNS, rows).encode(), TABLE)
    return len(rows)


def _describe(run: RunFolder, volume: VolumeRow) -> dict[str, Any]:
    """Return a volume's line; the segments are empty where nobody knows how the Couinaud map was made."""
    (measured,) = run.read_table(ROWS, f"{volume.volume_id}.parquet").to_pylist()
    segment_ml = measured.pop("segment_ml") if volume.couinaud_method else [None] * SEGMENT_COUNT
    return {**vars(volume), **measured, **dict(zip(SEGMENT_COLUMNS, segment_ml, strict=True))}
