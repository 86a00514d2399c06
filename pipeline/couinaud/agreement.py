"""How well a Couinaud map agrees with an annotation: in voxels, in millimeters, by slice and by tumor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

from pipeline.arrays import SEGMENT_COUNT, BoolArray, Float32Array, UInt8Array
from pipeline.geometry import liver_box
from pipeline.image_labels import find_segments_present, refine_image_labels
from pipeline.volume import Volume

SEGMENTS = range(1, SEGMENT_COUNT + 1)


@dataclass(frozen=True)
class Agreement:
    """One map against the annotation of the same volume.

    Args:
        dice: Dice of segments 1..8; None where neither side has the segment.
        surface_mm: Average symmetric surface distance of segments 1..8; None where a side lacks the segment.
        presence_accuracy: Share of all (liver slice, segment) pairs in which both sides say alike whether the segment
            is on the slice.
        tumors: Tumor components; 0 without a reference mask.
        tumors_right: Those whose main segment is the same on both sides.
        labels: (liver slice, named segment) pairs of the volume's label.
        labels_changed: Those that ILR decides differently with the map than with the annotation.
        slices: Liver slices of a volume whose label names a segment; else 0.
        slices_changed: Those that are healthy after ILR on one side only.
    """

    dice: tuple[float | None, ...]
    surface_mm: tuple[float | None, ...]
    presence_accuracy: float
    tumors: int
    tumors_right: int
    labels: int
    labels_changed: int
    slices: int
    slices_changed: int


def compare_maps(labels: UInt8Array, annotation: UInt8Array, volume: Volume, minimum_area_mm2: float) -> Agreement:
    """Compare a map with the annotation.

    Args:
        labels: The map: 1..8 on every liver voxel, 0 elsewhere; shape of the volume.
        annotation: The same of a person.
        volume: Gives liver, label, tumors and spacing.
        minimum_area_mm2: A segment is on a slice from this area on.
    """
    box = liver_box(volume.liver_mask)
    made, true, spacing_mm = labels[box], annotation[box], volume.geometry.spacing_mm
    present, expected = (
        find_segments_present(measure_areas(side, spacing_mm), minimum_area_mm2) for side in (made, true)
    )
    named = np.tile(volume.image_label, (len(made), 1))
    refined, right = refine_image_labels(named, present), refine_image_labels(named, expected)
    tumors = np.zeros(made.shape, bool) if volume.reference_mask is None else volume.reference_mask[box]
    homes, true_homes = find_home_segments(tumors, made, true)
    return Agreement(
        dice=measure_dice(made, true),
        surface_mm=tuple(
            measure_surface_distance(made == segment, true == segment, spacing_mm) for segment in SEGMENTS
        ),
        presence_accuracy=float(np.mean(present == expected)),
        tumors=len(homes),
        tumors_right=int(np.count_nonzero(homes == true_homes)),
        labels=int(np.count_nonzero(named)),
        labels_changed=int(np.count_nonzero(refined != right)),
        slices=len(named) if volume.image_label.any() else 0,
        slices_changed=int(np.count_nonzero(refined.any(axis=1) != right.any(axis=1))),
    )


def measure_dice(labels: UInt8Array, annotation: UInt8Array) -> tuple[float | None, ...]:
    """Return the Dice of segments 1..8 of two maps of the same shape; None where neither side has the segment."""
    values = SEGMENT_COUNT + 1
    pairs = np.bincount(labels.ravel() * np.intp(values) + annotation.ravel(), minlength=values**2)
    pairs = pairs.reshape(values, values)
    both, sizes = np.diag(pairs), pairs.sum(axis=0) + pairs.sum(axis=1)
    return tuple(2 * float(both[segment]) / float(sizes[segment]) if sizes[segment] else None for segment in SEGMENTS)


def measure_surface_distance(a: BoolArray, b: BoolArray, spacing_mm: tuple[float, float, float]) -> float | None:
    """Return the average symmetric surface distance of two masks in millimeters.

    A mask's surface are its voxels with a face neighbor outside; the image's rim counts as outside. The mean is over
    the surface voxels of both masks, each with the distance of its center to the nearest one of the other surface.

    Args:
        a: Shape (z, y, x).
        b: Same shape.
        spacing_mm: Voxel spacing along z, y, x.

    Returns:
        The distance; None if a mask is empty.
    """
    if not (a.any() and b.any()):
        return None
    box = liver_box(a | b)
    surfaces = [mask[box] & ~binary_erosion(mask[box]) for mask in (a, b)]
    distances = [distance_transform_edt(~surface, spacing_mm) for surface in surfaces]
    there, back = distances[1][surfaces[0]], distances[0][surfaces[1]]
    return float((there.sum() + back.sum()) / (there.size + back.size))


def measure_areas(labels: UInt8Array, spacing_mm: tuple[float, float, float]) -> Float32Array:
    """Return the area of segments 1..8 on each slice in square millimeters, shape (n, 8)."""
    counts = [np.bincount(plane.ravel(), minlength=SEGMENT_COUNT + 1)[1:] for plane in labels]
    areas: Float32Array = (np.array(counts) * spacing_mm[1] * spacing_mm[2]).astype(np.float32)
    return areas


def find_home_segments(
    tumor_mask: BoolArray, labels: UInt8Array, annotation: UInt8Array
) -> tuple[np.ndarray, np.ndarray]:
    """Return the segment that holds most of each tumor, in a map and in the annotation; the lower one of two equals.

    Args:
        tumor_mask: Tumors inside the liver. A component's voxels touch at faces, edges or corners.
        labels: 1..8 on every liver voxel, same shape.
        annotation: The same of a person.
    """
    import cc3d

    components, count = cc3d.connected_components(
        np.ascontiguousarray(tumor_mask & (labels > 0)), connectivity=26, return_N=True
    )
    inside = components > 0
    homes = []
    for side in (labels, annotation):
        voxels = np.zeros((count, SEGMENT_COUNT), np.int64)
        np.add.at(voxels, (components[inside] - 1, side[inside] - 1), 1)
        homes.append(voxels.argmax(axis=1) + 1)
    return homes[0], homes[1]
