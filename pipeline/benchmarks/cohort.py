"""The cohort that the benchmark refines: probabilities as a network gives them, on the run's grid, written once.

Its size is that of the phantom cohort, `phantom.train_pathological` volumes of `phantom.slices` slices, but nothing is
rendered: a tumor is a disc that drifts from slice to slice inside a named segment, with noise on both.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray, UInt8Array
from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, image_labels_schema, probabilities_schema, references_schema
from pipeline.slabs import VolumeRow, read_volume_rows, slab_name, write_volume_row

DEEP = "deep"
"""The volume of ten times the depth."""
_DEPTH = 10
_FOLDER = "benchmark"
_MARK = "cohort.json"
_SEGMENT = 4


def open_cohort(config: PipelineConfig) -> tuple[RunFolder, list[VolumeRow], VolumeRow]:
    """Return the benchmark's own folder `RUN/benchmark`, its volumes, and the deep one.

    They are written unless they are there; a cohort of another size is replaced.
    """
    whole = RunFolder(config.run)
    run = RunFolder(whole.member_uri(_FOLDER))
    size: dict[str, Any] = {"seed": config.seed, "phantom": asdict(config.phantom), "grid": asdict(config.grid)}
    if not run.exists(_MARK) or run.read_json(_MARK) != size:
        whole.remove(_FOLDER)
        for number in range(max(1, config.phantom.train_pathological)):
            _write_volume(run, config, f"volume_{number:05d}", config.phantom.slices, number)
        _write_volume(run, config, DEEP, _DEPTH * config.phantom.slices, config.phantom.train_pathological)
        run.write_json(size, _MARK)
    rows = read_volume_rows(run)
    return run, [row for row in rows if row.volume_id != DEEP], next(row for row in rows if row.volume_id == DEEP)


def draw_probability(seed: tuple[int, ...], slices: int, height: int, width: int) -> tuple[UInt8Array, BoolArray]:
    """Draw the probabilities and the reference masks of one volume.

    Returns:
        Stored levels, zero outside a segment of a fifth of the slice, and the disc that is the tumor, about 3 % of the
        pixels; both of shape (slices, height, width).
    """
    rng = np.random.default_rng(seed)
    side = np.sqrt(height * width)
    y, x = np.ogrid[:height, :width]
    segment = np.hypot(y - height / 2, x - width / 2) < 0.25 * side
    noise = rng.normal(0, 12, (8, height, width)).astype(np.float32)
    center = np.array([height, width]) / 2 + 0.1 * side * np.sin(np.cumsum(rng.normal(0, 0.1, (slices, 2)), axis=0))
    levels, tumor = np.empty((slices, height, width), np.uint8), np.empty((slices, height, width), bool)
    for index, (row, column) in enumerate(center):
        distance = np.hypot(np.float32(y - row), np.float32(x - column)) / np.float32(0.1 * side)
        tumor[index] = (distance < 1) & segment
        level = np.clip(255 * (1.5 - distance) + noise[rng.integers(8)], 0, 255)
        levels[index] = np.where(segment, level, 0)
    return levels, tumor


def _write_volume(run: RunFolder, config: PipelineConfig, volume_id: str, slices: int, number: int) -> None:
    """Write labels, probabilities and references of a volume slab by slab, and its row."""
    grid, length = config.grid, config.grid.slab_length
    slabs = range(-(-slices // length))
    for slab in slabs:
        index = np.arange(slab * length, min((slab + 1) * length, slices), dtype=np.int32)
        levels, tumor = draw_probability((config.seed, number, slab), len(index), grid.height, grid.width)
        keys: dict[str, Any] = {"volume_id": [volume_id] * len(index), "slice_index": index}
        label = np.tile(np.arange(1, SEGMENT_COUNT + 1) == _SEGMENT, (len(index), 1))
        labels = {"image_label": label, "refined_label": label, "segments_present": label}
        shape = (grid.height, grid.width)
        tables = {
            "image_labels": encode({**keys, **labels, "split": ["train"] * len(index)}, image_labels_schema()),
            "probabilities": encode(
                {**keys, "tumor_probability": levels, "named": [True] * len(index)}, probabilities_schema(*shape)
            ),
            "references/grid": encode({**keys, "reference_mask": tumor}, references_schema(*shape)),
        }
        for name, table in tables.items():
            run.write_table(table, name, volume_id, slab_name(slab))
    write_volume_row(run, _volume_row(config, volume_id, slices, tuple(slabs)))


def _volume_row(config: PipelineConfig, volume_id: str, slices: int, slabs: tuple[int, ...]) -> VolumeRow:
    """Return the row of a volume that was never a CT."""
    spacing = (config.phantom.slice_spacing_mm, config.grid.spacing_mm, config.grid.spacing_mm)
    return VolumeRow(
        volume_id=volume_id,
        split="train",
        image_label=tuple(segment == _SEGMENT for segment in range(1, SEGMENT_COUNT + 1)),
        native_shape=(slices, config.grid.height, config.grid.width),
        spacing_mm=spacing,
        origin_mm=(0.0, 0.0, 0.0),
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        native_orientation="LPS",
        crop_start=(0, 0, 0),
        liver_median_hu=0.0,
        liver_ml=0.0,
        slice_count=slices,
        has_reference=True,
        content_sha256="",
        slabs=slabs,
    )
