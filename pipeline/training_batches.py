"""Training batches of CouinaudNet: healthy slices, cropped and varied, with synthetic tumors painted on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from pipeline.arrays import BoolArray, Float32Array, UInt8Array
from pipeline.config import PipelineConfig
from pipeline.intensity import gray_to_hu, window_to_gray
from pipeline.models.couinaudnet import prepare_input
from pipeline.synthesis import apply_tumors, draw_tumors, slice_generator
from pipeline.synthesis.dark_edges import darken_edges

GAIN_RANGE = (0.85, 1.15)
"""Factor on the distance of each pixel from the liver's median."""
OFFSET_HU = 6.0
"""Largest shift of a slice."""


@dataclass(frozen=True)
class TrainingBatch:
    """What one step sees; tensors are float32 of shape (n, 1, h, w), `image` of shape (n, 2 c + 1, h, w).

    Args:
        image: Network input with synthetic tumors: the slice in the middle of its c neighbors on each side.
        healthy_image: The slice without them.
        tumor_mask: Synthetic tumors, 0 or 1.
        segment_mask: Chosen segments.
        judged_mask: Healthy tissue of the liver, where it is known what should be found.
    """

    image: Tensor
    healthy_image: Tensor
    tumor_mask: Tensor
    segment_mask: Tensor
    judged_mask: Tensor

    def to(self, device: torch.device) -> TrainingBatch:
        """Return the batch on a device."""
        return TrainingBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


@dataclass(frozen=True)
class Sample:
    """One training slice with its synthetic tumors, of shape (h, w); `gray` and `liver_mask` hold its neighbors too."""

    gray: UInt8Array
    healthy_gray: UInt8Array
    tumor_mask: BoolArray
    segment_mask: BoolArray
    liver_mask: BoolArray
    judged_mask: BoolArray


def make_batch(slices: Mapping[str, Any], epoch: int, config: PipelineConfig) -> TrainingBatch:
    """Paint synthetic tumors on healthy slices and stack them.

    Args:
        slices: Columns `volume_id`, `slice_index`, `liver_median_hu` of `slices/`, n >= 1; `image` and `couinaud_map`
            with neighbors, shape (n, 2 c + 1, H, W); `healthy_segments`, shape (n, 8); `slice_spacing_mm`.
        epoch: A slice gets other tumors in every epoch, and the same ones if the epoch is repeated.
        config: Settings of the run.
    """
    net, grid = config.couinaudnet, config.grid
    names = ("image", "couinaud_map", "healthy_segments", "liver_median_hu", "slice_spacing_mm")
    samples = []
    for row, (volume_id, index) in enumerate(zip(slices["volume_id"], slices["slice_index"], strict=True)):
        rng = slice_generator(config.seed, epoch, str(volume_id), int(index))
        samples.append(make_sample(rng, config, *(slices[name][row] for name in names)))
    stacked = {field.name: np.stack([getattr(sample, field.name) for sample in samples]) for field in fields(Sample)}
    liver, medians = stacked["liver_mask"], np.asarray(slices["liver_median_hu"], dtype=np.float32)
    middle = slice(net.context_slices, net.context_slices + 1)

    def prepare(gray: UInt8Array, liver: BoolArray) -> Float32Array:
        return prepare_input(gray, liver, medians, grid, net.normalization, net.smoothing_sigma_px)

    return TrainingBatch(
        image=_to_tensor(prepare(stacked["gray"], liver)),
        healthy_image=_to_tensor(prepare(stacked["healthy_gray"][:, None], liver[:, middle])),
        **{name: _to_tensor(stacked[name][:, None]) for name in ("tumor_mask", "segment_mask", "judged_mask")},
    )


def make_sample(
    rng: np.random.Generator,
    config: PipelineConfig,
    image: UInt8Array,
    couinaud_map: UInt8Array,
    healthy_segments: BoolArray,
    liver_median_hu: float,
    slice_spacing_mm: float,
) -> Sample:
    """Crop, flip and vary one slice with its neighbors, then paint synthetic tumors on its healthy tissue.

    Args:
        rng: Generator of this slice in this epoch.
        config: Settings of the run.
        image: Gray values, shape (2 c + 1, H, W).
        couinaud_map: 0 outside the liver, segments 1..8, shape (2 c + 1, H, W).
        healthy_segments: Segments that are healthy on the slice, shape (8,).
        liver_median_hu: Median liver HU of the volume.
        slice_spacing_mm: Distance of slices.

    Returns:
        Arrays of the patch's shape. Gray values are rounded as those on disk are.
    """
    grid, middle = config.grid, len(image) // 2
    healthy_map = np.where(np.append(False, healthy_segments)[couinaud_map], couinaud_map, 0)
    window = slice(None), *draw_crop(rng, healthy_map[middle] > 0, config.couinaudnet.patch_size)
    flips = slice(None), *(slice(None, None, -1 if rng.random() < 0.5 else 1) for _ in range(2))
    segments, liver_mask = healthy_map[window][flips], couinaud_map[window][flips] > 0
    hu = gray_to_hu(image[window][flips], grid.window_low_hu, grid.window_high_hu)
    hu = vary_intensity(rng, hu, liver_median_hu)
    if config.synthesis.dark_edges and rng.random() < config.synthesis.dark_edges:
        hu = darken_edges(rng, hu, liver_mask, grid.spacing_mm)
    spacing_mm = (float(slice_spacing_mm), grid.spacing_mm)
    drawn = draw_tumors(rng, segments, liver_median_hu, spacing_mm, config.synthesis)
    margin_px = config.couinaudnet.region_margin_mm / grid.spacing_mm
    judged = keep_distance(healthy_map[middle] > 0, couinaud_map[middle] > 0, margin_px)
    with_tumors, tumor_mask, segment_mask = apply_tumors(hu, segments, drawn)
    return Sample(
        gray=window_to_gray(with_tumors, grid.window_low_hu, grid.window_high_hu),
        healthy_gray=window_to_gray(hu[middle], grid.window_low_hu, grid.window_high_hu),
        tumor_mask=tumor_mask[middle],
        segment_mask=segment_mask[middle],
        liver_mask=liver_mask,
        judged_mask=judged[window[1:]][flips[1:]],
    )


def keep_distance(healthy: BoolArray, liver_mask: BoolArray, margin_px: float) -> BoolArray:
    """Return the healthy tissue that is further than a margin from the rest of the liver.

    Args:
        healthy: Healthy part of the liver, shape (h, w).
        liver_mask: Liver, same shape.
        margin_px: Margin in pixels.
    """
    rest = liver_mask & ~healthy
    if not rest.any():
        return healthy
    far: BoolArray = healthy & (distance_transform_edt(~rest) > margin_px)
    return far


def draw_crop(rng: np.random.Generator, liver_mask: BoolArray, side: int) -> tuple[slice, slice]:
    """Draw a square window around a random liver pixel, moved to lie inside the slice.

    Args:
        rng: Generator.
        liver_mask: Shape (H, W). Without a liver pixel the window is drawn around the middle.
        side: Side of the window in pixels; 0, or more than the slice has, takes the whole side.
    """
    points = np.argwhere(liver_mask)
    middle = points[rng.integers(len(points))] if len(points) else np.array(liver_mask.shape) // 2
    starts = [
        int(np.clip(center - side // 2, 0, max(0, size - side)))
        for center, size in zip(middle, liver_mask.shape, strict=True)
    ]
    row, column = starts if side else (0, 0)
    return slice(row, row + (side or liver_mask.shape[0])), slice(column, column + (side or liver_mask.shape[1]))


def vary_intensity(rng: np.random.Generator, hu: Float32Array, liver_median_hu: float) -> Float32Array:
    """Scale a slice's contrast around the liver's median, and shift it by a few HU."""
    gain, offset = rng.uniform(*GAIN_RANGE), rng.uniform(-OFFSET_HU, OFFSET_HU)
    varied: Float32Array = ((hu - liver_median_hu) * gain + liver_median_hu + offset).astype(np.float32)
    return varied


def _to_tensor(array: BoolArray | Float32Array) -> Tensor:
    """Return an array as a float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
