"""Couinaud maps in a run folder: `couinaud/VOLUME.nii.gz` on the grid of the CT's file, a color table, and their rows.

A map's row in `couinaud_maps/` is written after it and commits it. The row holds the hash of what the map was made
from, so that a later step takes a map only for the same input.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, UInt8Array
from pipeline.config import CouinaudConfig
from pipeline.couinaud import construct
from pipeline.couinaud.checks import check_map, measure_fractions
from pipeline.couinaud.result import CouinaudMap
from pipeline.run_folder import RunFolder
from pipeline.schema import couinaud_maps_schema, encode
from pipeline.segment_names import SEGMENT_NAMES, segment_rgb
from pipeline.volume import Geometry, Volume, to_lps, to_native_image

MAPS, ROWS = "couinaud", "couinaud_maps"
COLOR_TABLE = "segments.ctbl"


@dataclass(frozen=True)
class TimedMap:
    """A map and the seconds that its construction took."""

    map: CouinaudMap
    seconds: float

    @property
    def flags(self) -> str:
        """The map's flags as one text."""
        return ";".join(self.map.flags)


def construct_or_take(run: RunFolder, volume: Volume, config: CouinaudConfig) -> TimedMap:
    """Return the map that the run folder holds of this volume, made from the same input, else construct one.

    Raises:
        CaseError: As `construct`.
    """
    kept = read_map(run, volume)
    if kept is not None:
        return kept
    started = time.perf_counter()
    made = construct(volume, config)
    return TimedMap(made, time.perf_counter() - started)


def write_map(run: RunFolder, volume: Volume, made: TimedMap) -> None:
    """Write a map, the color table and, last, the map's row."""
    labels, volume_id = made.map.labels, volume.volume_id
    run.write_bytes(encode_labels(labels, volume.geometry), MAPS, f"{volume_id}.nii.gz")
    if not run.exists(MAPS, COLOR_TABLE):
        run.write_bytes(format_color_table().encode(), MAPS, COLOR_TABLE)
    columns: dict[str, Any] = {
        "volume_id": [volume_id],
        "couinaud_method": [made.map.method],
        "couinaud_flags": [made.flags],
        "couinaud_seconds": [made.seconds],
        "segment_fraction": measure_fractions(labels).astype(np.float32)[None],
        "liver_ml": [np.count_nonzero(volume.liver_mask) * volume.geometry.voxel_ml],
        "content_sha256": [volume.content_sha256],
    }
    run.write_table(encode(columns, couinaud_maps_schema()), ROWS, f"{volume_id}.parquet")


def remove_map(run: RunFolder, volume_id: str) -> None:
    """Remove a map, its row first."""
    run.remove(ROWS, f"{volume_id}.parquet")
    run.remove(MAPS, f"{volume_id}.nii.gz")


def read_map(run: RunFolder, volume: Volume) -> TimedMap | None:
    """Return the map that was made from exactly this volume; None if there is none.

    Raises:
        ValueError: If the file is not the one that its row describes.
    """
    row_path, map_path = (ROWS, f"{volume.volume_id}.parquet"), (MAPS, f"{volume.volume_id}.nii.gz")
    if not (run.exists(*row_path) and run.exists(*map_path)):
        return None
    (row,) = run.read_table(*row_path).to_pylist()
    if row["content_sha256"] != volume.content_sha256:
        return None
    labels = decode_labels(run.read_bytes(*map_path))
    flags = tuple(flag for flag in row["couinaud_flags"].split(";") if flag)
    made = check_map(CouinaudMap(labels, row["couinaud_method"], flags), volume.liver_mask)
    return TimedMap(made, row["couinaud_seconds"])


def read_rows(run: RunFolder) -> list[dict[str, object]]:
    """Return the rows of all maps in the order of their volumes' ids."""
    return [dict(row) for name in run.names(ROWS) for row in run.read_table(ROWS, name).to_pylist()]


def encode_labels(labels: UInt8Array, geometry: Geometry) -> bytes:
    """Return a map as a compressed `.nii.gz` on the grid of the CT's file. The same map gives the same bytes."""
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.nii.gz"
        sitk.WriteImage(to_native_image(labels, geometry), str(path), useCompression=True)
        return path.read_bytes()


def decode_labels(data: bytes) -> UInt8Array:
    """Return the map that `encode_labels` encoded, in LPS order."""
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.nii.gz"
        path.write_bytes(data)
        labels: UInt8Array = to_lps(sitk.ReadImage(str(path), sitk.sitkUInt8))[0]
    return labels


def format_color_table() -> str:
    """Return 3D Slicer's color table file: one line `value name red green blue alpha` per label.

    In this format a name's blanks are underscores, which 3D Slicer turns back into blanks.
    """
    lines = [f"# Color table file {COLOR_TABLE}", f"# {SEGMENT_COUNT + 1} values", "0 Background 0 0 0 0"]
    for segment, name in enumerate(SEGMENT_NAMES, start=1):
        lines.append(" ".join(map(str, (segment, name.replace(" ", "_"), *segment_rgb(segment), 255))))
    return "\n".join(lines) + "\n"
