"""The run's training slices as an nnU-Net raw data set: one 3-D case per training volume.

A case holds what the method allows: the image inside the liver, and the refined pseudo mask of a pathological volume
or a black mask of a healthy one (slices that ILR made healthy are black in `pseudo_labels/` already).
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray, Float32Array, Int32Array, Int64Array, UInt8Array
from pipeline.config import PipelineConfig
from pipeline.intensity import normalize
from pipeline.run_folder import RunFolder
from pipeline.segmenter.folders import IMAGE_ENDING, SegmenterFolders
from pipeline.slabs import VolumeRow, read_slices

CHANNEL_NAME = "noNorm"
"""nnU-Net's name of channels that it takes as they are: our images are normalized already."""


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


def read_network_input(run: RunFolder, volume: VolumeRow, config: PipelineConfig) -> NetworkInput:
    """Read and normalize all liver slices of a volume."""
    columns = ["image", "couinaud_map", "liver_median_hu"]
    rows = _read_all(run, "slices", volume, config, columns)
    liver_mask = rows["couinaud_map"] > 0
    median = rows["liver_median_hu"]
    image = normalize(rows["image"], liver_mask, median, config.grid, config.segmenter.normalization)
    in_plane = config.grid.spacing_mm
    return NetworkInput(image, liver_mask, rows["slice_index"], (volume.spacing_mm[0], in_plane, in_plane))


def read_label(run: RunFolder, volume: VolumeRow, config: PipelineConfig, slice_index: Int32Array) -> UInt8Array:
    """Return the training label of every liver slice: 1 in the refined pseudo mask, 0 elsewhere, shape (n, H, W).

    Args:
        run: Run folder.
        volume: A training volume.
        config: Settings; names grid and slab length.
        slice_index: The liver slices of the volume.

    Raises:
        ValueError: If a pathological volume's pseudo labels are not on exactly these slices.
    """
    if volume.healthy:
        return np.zeros((len(slice_index), config.grid.height, config.grid.width), np.uint8)
    rows = _read_all(run, "pseudo_labels", volume, config, ["refined_mask"])
    if not np.array_equal(rows["slice_index"], slice_index):
        raise ValueError(
            f"{volume.volume_id}: pseudo labels are on slices {rows['slice_index'].tolist()},"
            f" but the liver is on {slice_index.tolist()}"
        )
    return rows["refined_mask"].astype(np.uint8)


def _read_all(
    run: RunFolder, table: str, volume: VolumeRow, config: PipelineConfig, columns: list[str]
) -> dict[str, np.ndarray[Any, Any]]:
    """Read all slabs of one volume."""
    length = config.grid.slab_length
    return read_slices(run, table, volume, length, 0, (max(volume.slabs) + 1) * length, columns)


def fill_gaps(rows: np.ndarray[Any, Any], slice_index: Int32Array) -> np.ndarray[Any, Any]:
    """Put slices at their places in a regular stack; slices that are not there are zero.

    Args:
        rows: Shape (n, H, W).
        slice_index: Ascending z indices, shape (n,), n >= 1.

    Returns:
        Shape (last - first + 1, H, W), of the same dtype.
    """
    depth = int(slice_index[-1] - slice_index[0]) + 1
    stack = np.zeros((depth, *rows.shape[1:]), rows.dtype)
    stack[slice_index - slice_index[0]] = rows
    return stack


def find_neighbors(slice_index: Int32Array, offset: int) -> Int64Array:
    """Return the row of the slice `offset` above each slice; where it is missing, of the last one on the way to it.

    At the liver's end, and at a gap, a slice's neighbor is thus the slice itself.

    Args:
        slice_index: Ascending z indices, shape (n,).
        offset: Slices towards the head, or, negative, towards the feet.

    Returns:
        Rows 0..n - 1, shape (n,).
    """
    if offset < 0:
        return np.searchsorted(slice_index, slice_index + offset, side="left")
    return np.searchsorted(slice_index, slice_index + offset, side="right") - 1


def stack_channels(slices: NetworkInput, context_slices: int) -> Float32Array:
    """Return a volume as the network's channels: slices z - n .. z + n for each z, in this order.

    Args:
        slices: The volume, n >= 1 slices.
        context_slices: Neighbors on each side.

    Returns:
        Shape (2 * context_slices + 1, depth, H, W); all channels are black where a slice is not there.
    """
    offsets = range(-context_slices, context_slices + 1)
    neighbors = [slices.image[find_neighbors(slices.slice_index, offset)] for offset in offsets]
    return np.stack([fill_gaps(rows, slices.slice_index) for rows in neighbors])


def export_case(run: RunFolder, volume: VolumeRow, config: PipelineConfig) -> None:
    """Write channels and label of one training volume into the raw data set, each by rename."""
    folders = SegmenterFolders.of(run)
    slices = read_network_input(run, volume, config)
    label = read_label(run, volume, config, slices.slice_index)
    for channel, stack in enumerate(stack_channels(slices, config.segmenter.context_slices)):
        _write_image(stack, slices.spacing_mm, folders.image(volume.volume_id, channel))
    _write_image(fill_gaps(label, slices.slice_index), slices.spacing_mm, folders.label(volume.volume_id))


def _write_image(stack: np.ndarray[Any, Any], spacing_mm: tuple[float, float, float], path: Path) -> None:
    """Write a zyx stack as a medical image by rename."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(stack)
    image.SetSpacing(spacing_mm[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name.removesuffix(IMAGE_ENDING)}.tmp-{uuid.uuid4().hex}{IMAGE_ENDING}")
    sitk.WriteImage(image, str(temporary), useCompression=True)
    os.replace(temporary, path)


def describe_dataset(volume_ids: Sequence[str], context_slices: int = 0) -> dict[str, Any]:
    """Return the content of nnU-Net's `dataset.json`.

    The cases are listed (nnU-Net's `dataset` key), so that a stray file in the folder never becomes a case.

    Args:
        volume_ids: The training volumes.
        context_slices: Neighbors on each side among the channels.
    """
    channels = range(2 * context_slices + 1)
    cases = {
        volume_id: {
            "images": [f"imagesTr/{volume_id}_{channel:04d}{IMAGE_ENDING}" for channel in channels],
            "label": f"labelsTr/{volume_id}{IMAGE_ENDING}",
        }
        for volume_id in sorted(volume_ids)
    }
    return {
        "channel_names": {str(channel): CHANNEL_NAME for channel in channels},
        "labels": {"background": 0, "tumor": 1},
        "numTraining": len(cases),
        "file_ending": IMAGE_ENDING,
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": cases,
    }
