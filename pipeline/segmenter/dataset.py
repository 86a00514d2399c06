"""The run's training slices as an nnU-Net raw data set: one 3-D case per training volume or copy.

A case holds what the settings allow: the image inside the liver, and the refined pseudo mask (or, for the upper bound,
the reference mask) of a pathological volume or a black mask of a healthy one. Slices that ILR made healthy are black in
`pseudo_labels/` already.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray, Float32Array, Int32Array
from pipeline.config import PipelineConfig
from pipeline.intensity import normalize
from pipeline.run_folder import RunFolder
from pipeline.segmenter.cases import TrainingCase
from pipeline.segmenter.folders import IMAGE_ENDING, SegmenterFolders
from pipeline.segmenter.stack import stack_channels
from pipeline.segmenter.synthetic_copies import copy_generator, paint_tumors
from pipeline.slabs import VolumeRow, fill_gaps, read_slices

CHANNEL_NAME = "noNorm"
"""nnU-Net's name of channels that it takes as they are: our images are normalized already."""
_LABEL_COLUMNS = {"pseudo": ("pseudo_labels", "refined_mask"), "reference": ("references/grid", "reference_mask")}
"""Table and column of each kind of labels; without any, only volumes without a tumor are taken."""

Rows = dict[str, np.ndarray[Any, Any]]
"""Columns of a sliced table by name."""


@dataclass(frozen=True)
class NetworkInput:
    """The liver slices of one volume as the segmenter sees them, on the run's grid.

    Args:
        image: Normalized intensities, float32, shape (n, H, W); zero outside the liver.
        liver_mask: Shape (n, H, W).
        slice_index: Ascending native z indices, shape (n,).
        spacing_mm: Spacing along z, y, x: the native one between slices, the grid's in plane.
    """

    image: Float32Array
    liver_mask: BoolArray
    slice_index: Int32Array
    spacing_mm: tuple[float, float, float]


def read_liver_slices(run: RunFolder, volume: VolumeRow, config: PipelineConfig) -> Rows:
    """Read gray values, Couinaud map and the liver's median of all liver slices of a volume, with `slice_index`."""
    return _read_all(run, "slices", volume, config, ["image", "couinaud_map", "liver_median_hu"])


def normalize_slices(rows: Rows, volume: VolumeRow, config: PipelineConfig) -> NetworkInput:
    """Turn gray values into network input."""
    liver_mask = rows["couinaud_map"] > 0
    median = rows["liver_median_hu"]
    image = normalize(rows["image"], liver_mask, median, config.grid, config.segmenter.normalization)
    in_plane = config.grid.spacing_mm
    return NetworkInput(image, liver_mask, rows["slice_index"], (volume.spacing_mm[0], in_plane, in_plane))


def read_label(run: RunFolder, volume: VolumeRow, config: PipelineConfig, slice_index: Int32Array) -> BoolArray:
    """Return the training label of every liver slice, shape (n, H, W): a mask of the kind in the settings.

    Args:
        run: Run folder.
        volume: A training volume; one without a tumor is black and needs no file.
        config: Settings; names the kind of labels, grid and slab length.
        slice_index: The liver slices of the volume.

    Raises:
        ValueError: If a pathological volume's masks are not on exactly these slices.
    """
    if volume.healthy:
        return np.zeros((len(slice_index), config.grid.height, config.grid.width), bool)
    table, column = _LABEL_COLUMNS[config.segmenter.labels]
    rows = _read_all(run, table, volume, config, [column])
    if not np.array_equal(rows["slice_index"], slice_index):
        raise ValueError(
            f"{volume.volume_id}: {table} are on slices {rows['slice_index'].tolist()},"
            f" but the liver is on {slice_index.tolist()}"
        )
    return rows[column]


def _read_all(run: RunFolder, table: str, volume: VolumeRow, config: PipelineConfig, columns: list[str]) -> Rows:
    """Read all slabs of one volume."""
    length = config.grid.slab_length
    return read_slices(run, table, volume, length, 0, (max(volume.slabs) + 1) * length, columns)


def export_case(run: RunFolder, case: TrainingCase, config: PipelineConfig) -> None:
    """Write channels and label of one case into the raw data set, each by rename."""
    folders = SegmenterFolders.of(run)
    rows = read_liver_slices(run, case.volume, config)
    index = rows["slice_index"]
    label = read_label(run, case.volume, config, index)
    if case.copy:
        liver_mask, rng = rows["couinaud_map"] > 0, copy_generator(config.seed, case)
        centers = liver_mask & ~np.append(False, case.volume.label_array())[rows["couinaud_map"]]
        healthy = liver_mask & ~label
        rows["image"], painted = paint_tumors(
            rows["image"], healthy, centers, index, case, rng, config.grid, config.synthesis
        )
        label |= painted
    slices = normalize_slices(rows, case.volume, config)
    for channel, stack in enumerate(stack_channels(slices.image, index, config.segmenter.context_slices)):
        _write_image(stack, slices.spacing_mm, folders.image(case.case_id, channel))
    _write_image(fill_gaps(label.astype(np.uint8), index), slices.spacing_mm, folders.label(case.case_id))


def _write_image(stack: np.ndarray[Any, Any], spacing_mm: tuple[float, float, float], path: Path) -> None:
    """Write a zyx stack as a medical image by rename."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(stack)
    image.SetSpacing(spacing_mm[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name.removesuffix(IMAGE_ENDING)}.tmp-{uuid.uuid4().hex}{IMAGE_ENDING}")
    sitk.WriteImage(image, str(temporary), useCompression=True)
    os.replace(temporary, path)


def describe_dataset(case_ids: Sequence[str], context_slices: int = 0) -> dict[str, Any]:
    """Return the content of nnU-Net's `dataset.json`.

    The cases are listed (nnU-Net's `dataset` key), so that a stray file in the folder never becomes a case.

    Args:
        case_ids: The training cases.
        context_slices: Neighbors on each side among the channels.
    """
    channels = range(2 * context_slices + 1)
    cases = {
        case_id: {
            "images": [f"imagesTr/{case_id}_{channel:04d}{IMAGE_ENDING}" for channel in channels],
            "label": f"labelsTr/{case_id}{IMAGE_ENDING}",
        }
        for case_id in sorted(case_ids)
    }
    return {
        "channel_names": {str(channel): CHANNEL_NAME for channel in channels},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": len(cases),
        "file_ending": IMAGE_ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": cases,
    }
