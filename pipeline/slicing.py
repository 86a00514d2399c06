"""From a volume to slice rows: what is decided once per volume, the slabs cut from it, and their columns on the grid.

The plan fixes the rows: a slice is a row if at least one grid pixel is liver there. Slabs are cut at native spacing and
cropped to the liver box, so that resampling can run elsewhere without the volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.arrays import SEGMENT_COUNT, BoolArray, Float32Array, Int16Array, Int32Array, UInt8Array
from pipeline.config import GridConfig
from pipeline.errors import CaseError
from pipeline.geometry import AreaAverage, find_crop_start, liver_box, plan_average
from pipeline.intensity import window_to_gray
from pipeline.slabs import VolumeRow
from pipeline.volume import Volume

MINIMUM_LIVER_ML = 50.0
"""Smallest plausible liver mask, half a newborn's liver; less is a wrong label or spacing."""
MAXIMUM_LIVER_ML = 8000.0
"""Largest plausible liver mask."""
MAXIMUM_LIVER_FILL = 0.8
"""Largest plausible share of its own bounding box that a liver fills; 98 public ones fill 0.15 to 0.32."""
_STEP = "plan_slices"
_DIGITS = 4
"""Area fractions and mean grays are rounded first, so that a tie does not hang on the last bit of a sum."""


@dataclass(frozen=True)
class SlicePlan:
    """What is decided once per volume.

    Args:
        crop_start: Where the grid starts, native voxels z, y, x; see `pipeline.geometry`.
        box: The liver box in plane (y, x): slabs are cropped to it.
        slice_index: The slices that become rows, shape (n,), ascending.
        slab_length: Slices per slab.
        liver_median_hu: Median HU of the liver voxels.
        liver_ml: Volume of the liver mask.
        couinaud_map: Segment 1..8 on every liver voxel, 0 elsewhere; shape of the volume.
    """

    crop_start: tuple[int, int, int]
    box: tuple[slice, slice]
    slice_index: Int32Array
    slab_length: int
    liver_median_hu: float
    liver_ml: float
    couinaud_map: UInt8Array

    @property
    def slabs(self) -> tuple[int, ...]:
        """Numbers of the slabs that have rows, ascending."""
        return tuple(np.unique(self.slice_index // self.slab_length).tolist())


@dataclass(frozen=True)
class NativeSlab:
    """The rows of one slab before resampling: native planes of shape (n, y, x), cropped to the liver box.

    Args:
        slab: Slab number.
        slice_index: Native slice of each plane, shape (n,).
        box_start: Native y and x of the planes' first voxel.
        hu: Hounsfield units.
        liver_mask: The liver.
        couinaud_map: Segment 1..8 on every liver voxel, 0 elsewhere.
        reference_mask: Tumors drawn by a person, or None.
    """

    slab: int
    slice_index: Int32Array
    box_start: tuple[int, int]
    hu: Int16Array
    liver_mask: BoolArray
    couinaud_map: UInt8Array
    reference_mask: BoolArray | None


def check_liver(volume: Volume) -> float:
    """Return the liver's volume in milliliters.

    Raises:
        CaseError: EMPTY_LIVER, LIVER_VOLUME if it is outside `MINIMUM_LIVER_ML`..`MAXIMUM_LIVER_ML`, or
            LIVER_WHOLE_IMAGE if it fills more than `MAXIMUM_LIVER_FILL` of its bounding box: a mask of the whole
            image, of all but the liver, or a box.
    """
    voxels = np.count_nonzero(volume.liver_mask)
    if voxels == 0:
        shape = " x ".join(map(str, volume.geometry.shape))
        raise CaseError("EMPTY_LIVER", f"none of the {shape} voxels is liver", _STEP)
    milliliters = voxels * volume.geometry.voxel_ml
    if not MINIMUM_LIVER_ML <= milliliters <= MAXIMUM_LIVER_ML:
        allowed = f"{MINIMUM_LIVER_ML:.0f}..{MAXIMUM_LIVER_ML:.0f} ml"
        raise CaseError("LIVER_VOLUME", f"the liver mask holds {milliliters:.1f} ml, expected {allowed}", _STEP)
    fill = voxels / volume.liver_mask[liver_box(volume.liver_mask)].size
    if fill > MAXIMUM_LIVER_FILL:
        sides = f"{fill:.0%} of its bounding box, expected at most {MAXIMUM_LIVER_FILL:.0%}"
        raise CaseError("LIVER_WHOLE_IMAGE", f"the liver mask fills {sides}", _STEP)
    return float(milliliters)


def plan_slices(volume: Volume, couinaud_map: UInt8Array, grid: GridConfig) -> SlicePlan:
    """Decide how a volume is cut.

    Args:
        volume: The case.
        couinaud_map: As `pipeline.couinaud.construct` gave it.
        grid: The run's grid.

    Raises:
        CaseError: As `check_liver`, or LIVER_EXCEEDS_GRID.
    """
    liver_ml = check_liver(volume)
    spacing_mm = volume.geometry.spacing_mm
    crop_start = find_crop_start(volume.liver_mask, spacing_mm, grid)
    depth, *box = liver_box(volume.liver_mask)
    liver, hu = volume.liver_mask[depth, box[0], box[1]], volume.hu[depth, box[0], box[1]]
    relative = _relative_start(crop_start, (box[0].start, box[1].start))
    average = plan_average(liver.shape[1:], spacing_mm, relative, grid)
    rows = [index for index, mask in enumerate(liver, depth.start) if _find_covered(mask, average)[0].any()]
    if not rows:
        raise CaseError("EMPTY_LIVER", f"no pixel of {grid.spacing_mm} mm is half liver, on any slice", _STEP)
    return SlicePlan(
        crop_start=crop_start,
        box=(box[0], box[1]),
        slice_index=np.array(rows, np.int32),
        slab_length=grid.slab_length,
        liver_median_hu=float(np.median(hu[liver])),
        liver_ml=float(np.float32(liver_ml)),
        couinaud_map=couinaud_map,
    )


def volume_row(volume: Volume, plan: SlicePlan, method: str = "", flags: str = "", seconds: float = 0.0) -> VolumeRow:
    """Return the row of `volumes/`.

    Args:
        volume: The case.
        plan: How it is cut.
        method: Constructor of its Couinaud map.
        flags: What is doubtful about the map, joined by `;`.
        seconds: What the construction took.
    """
    geometry = volume.geometry
    return VolumeRow(
        volume_id=volume.volume_id,
        split=volume.split,
        image_label=tuple(volume.image_label.tolist()),
        native_shape=geometry.shape,
        spacing_mm=geometry.spacing_mm,
        origin_mm=geometry.origin_mm,
        direction=geometry.direction,
        native_orientation=geometry.native_orientation,
        crop_start=plan.crop_start,
        liver_median_hu=plan.liver_median_hu,
        liver_ml=plan.liver_ml,
        slice_count=len(plan.slice_index),
        has_reference=volume.reference_mask is not None,
        content_sha256=volume.content_sha256,
        slabs=plan.slabs,
        couinaud_method=method,
        couinaud_flags=flags,
        couinaud_seconds=float(np.float32(seconds)),
        notes=";".join(volume.notes),
    )


def cut_slab(volume: Volume, plan: SlicePlan, slab: int) -> NativeSlab:
    """Cut the rows of one slab out of a volume, cropped to the liver box."""
    index = plan.slice_index[plan.slice_index // plan.slab_length == slab]
    part = np.s_[index, plan.box[0], plan.box[1]]
    return NativeSlab(
        slab=slab,
        slice_index=index,
        box_start=(plan.box[0].start, plan.box[1].start),
        hu=volume.hu[part],
        liver_mask=volume.liver_mask[part],
        couinaud_map=plan.couinaud_map[part],
        reference_mask=None if volume.reference_mask is None else volume.reference_mask[part],
    )


def make_slab(native: NativeSlab, volume: VolumeRow, grid: GridConfig) -> dict[str, Any]:
    """Resample one slab to the run's grid.

    The image is the mean gray value over the liver's part of each pixel, so that the liver has no dark rim; a pixel is
    liver from half its area on, and belongs to the segment that covers most of it (the lower one of two equals).

    Args:
        native: The slab.
        volume: Its volume.
        grid: The run's grid.

    Returns:
        Columns of `pipeline.schema.slices_schema`.
    """
    average = plan_average(
        native.hu.shape[1:], volume.spacing_mm, _relative_start(volume.crop_start, native.box_start), grid
    )
    image = np.zeros((len(native.slice_index), grid.height, grid.width), np.uint8)
    segments = np.zeros_like(image)
    for k, liver_mask in enumerate(native.liver_mask):
        liver, fraction = _find_covered(liver_mask, average)
        gray = window_to_gray(native.hu[k], grid.window_low_hu, grid.window_high_hu) * liver_mask
        mean = average(gray) / np.where(liver, fraction, np.float32(1))
        image[k][average.window] = np.where(liver, np.clip(np.rint(np.round(mean, _DIGITS)), 0, 255), 0)
        segments[k][average.window] = _find_segments(native.couinaud_map[k], average) * liver
    count = len(native.slice_index)
    return {
        "volume_id": [volume.volume_id] * count,
        "slice_index": native.slice_index,
        "image": image,
        "couinaud_map": segments,
        "image_label": np.tile(volume.label_array(), (count, 1)),
        "segment_area_mm2": _measure_segments(segments, grid.spacing_mm),
        "liver_median_hu": np.full(count, volume.liver_median_hu, np.float32),
        "spacing_mm": np.tile(np.array(volume.spacing_mm, np.float32), (count, 1)),
        "crop_start": np.tile(np.array(volume.crop_start, np.int32), (count, 1)),
        "native_shape": np.tile(np.array(volume.native_shape, np.int32), (count, 1)),
        "split": [volume.split] * count,
    }


def make_reference_slab(native: NativeSlab, volume: VolumeRow, grid: GridConfig) -> dict[str, Any]:
    """Resample the reference mask of one slab: tumor from half a pixel's area on, inside the liver.

    Args:
        native: A slab with a reference mask.
        volume: Its volume.
        grid: The run's grid.

    Returns:
        Columns of `pipeline.schema.references_schema`.

    Raises:
        ValueError: If the slab has no reference mask.
    """
    if native.reference_mask is None:
        raise ValueError(f"slab {native.slab} of {volume.volume_id} has no reference mask")
    average = plan_average(
        native.hu.shape[1:], volume.spacing_mm, _relative_start(volume.crop_start, native.box_start), grid
    )
    tumor = np.zeros((len(native.slice_index), grid.height, grid.width), np.bool_)
    for target, liver_mask, reference in zip(tumor, native.liver_mask, native.reference_mask, strict=True):
        if reference.any():
            target[average.window] = _find_covered(reference, average)[0] & _find_covered(liver_mask, average)[0]
    return {
        "volume_id": [volume.volume_id] * len(tumor),
        "slice_index": native.slice_index,
        "reference_mask": tumor,
    }


def _relative_start(crop_start: tuple[int, int, int], box_start: tuple[int, int]) -> tuple[int, int, int]:
    """Return where the grid starts in planes that were cropped to a box."""
    return crop_start[0], crop_start[1] - box_start[0], crop_start[2] - box_start[1]


def _find_covered(mask: BoolArray, average: AreaAverage) -> tuple[BoolArray, Float32Array]:
    """Return the pixels that a mask's plane covers at least by half, and the covered share of all pixels."""
    fraction = average(mask)
    return np.round(fraction, _DIGITS) >= 0.5, fraction


def _find_segments(couinaud_map: UInt8Array, average: AreaAverage) -> UInt8Array:
    """Return the segment of a plane that covers most of each pixel, 0 where there is none."""
    height, width = average.shape
    largest, winner = np.zeros((height, width), np.float32), np.zeros((height, width), np.uint8)
    for segment in np.flatnonzero(np.bincount(couinaud_map.ravel(), minlength=2)[1:]) + 1:
        fraction = np.round(average(couinaud_map == segment), _DIGITS)
        winner[fraction > largest] = segment
        np.maximum(largest, fraction, out=largest)
    return winner


def _measure_segments(segments: UInt8Array, spacing_mm: float) -> Float32Array:
    """Return the area of each segment on each slice in square millimeters, shape (n, 8)."""
    counts = [np.bincount(plane.ravel(), minlength=SEGMENT_COUNT + 1)[1:] for plane in segments]
    return (np.array(counts).reshape(-1, SEGMENT_COUNT) * spacing_mm**2).astype(np.float32)
