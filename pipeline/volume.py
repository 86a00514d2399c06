"""One CT volume in memory, in LPS order (z feet to head, y front to back, x right to left), with its way home."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.arrays import BoolArray, Int16Array, UInt8Array

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of an LPS volume lie, and how its file was oriented.

    Args:
        shape: Voxels along z, y, x.
        spacing_mm: Voxel spacing along z, y, x.
        origin_mm: Physical position of voxel (0, 0, 0) as x, y, z (LPS).
        direction: Row-major 3 x 3 direction cosines, columns for the x, y, z index axes, as SimpleITK's.
        native_orientation: SimpleITK orientation code of the file, such as `LPS` or `RAI`.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    native_orientation: str = "LPS"

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in milliliters."""
        return float(np.prod(self.spacing_mm)) / 1000.0


@dataclass(frozen=True)
class Vessels:
    """Vessel masks of a volume, all of its shape; None where the source has none.

    Args:
        hepatic: Hepatic veins, perhaps with the inferior vena cava.
        portal: Portal vein.
        undivided: Vessels of both trees in one mask.
    """

    hepatic: BoolArray | None = None
    portal: BoolArray | None = None
    undivided: BoolArray | None = None


UNLABELED = "UNLABELED"
"""Note of a volume of which nobody has said which segments hold tumors."""
PATIENT_IN_SPLITS = "PATIENT_IN_SPLITS"
"""Note of a volume whose patient has volumes in several splits."""


@dataclass(frozen=True)
class Volume:
    """One case as read, before it is cut into slices. All arrays have `geometry.shape`.

    Args:
        volume_id: Our id, safe as a file name, never a patient id.
        hu: Hounsfield units.
        liver_mask: The liver including its tumors.
        geometry: Where the voxels lie.
        image_label: `bool[8]`, the segments that the volume-level label names; all false means healthy, or
            no label if the notes say `UNLABELED`.
        split: `train`, `validation` or `test`.
        reference_mask: Tumors drawn by a person, if there are any; a part of the liver mask.
        couinaud_map: 0 or segment 1..8, if the source has one.
        vessels: Vessel masks, if the source has any and they are asked for.
        content_sha256: Hash of the input.
        notes: Codes of what was mended in the input or is doubtful about it.
    """

    volume_id: str
    hu: Int16Array
    liver_mask: BoolArray
    geometry: Geometry
    image_label: BoolArray
    split: str = "train"
    reference_mask: BoolArray | None = None
    couinaud_map: UInt8Array | None = None
    vessels: Vessels | None = None
    content_sha256: str = ""
    notes: tuple[str, ...] = ()


def to_lps(image: sitk.Image) -> tuple[np.ndarray[Any, Any], Geometry]:
    """Return a SimpleITK image as a zyx array in LPS order, with its geometry.

    The file's axes are permuted and flipped, never resampled, so that `to_native_image` gives the same grid back.
    """
    import SimpleITK as sitk

    view, geometry = view_in_lps(
        sitk.GetArrayViewFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    )
    return np.array(view, order="C"), geometry


def view_in_lps(
    array: np.ndarray[Any, Any], spacing_mm: Sequence[float], origin_mm: Sequence[float], direction: Sequence[float]
) -> tuple[np.ndarray[Any, Any], Geometry]:
    """Return a view of a zyx array with its axes permuted and flipped to LPS order, and its geometry.

    SimpleITK orients an image of one voxel; what it does to the axes is done to the array, which is not copied.

    Args:
        array: Voxels.
        spacing_mm: Spacing along x, y, z of the array, as SimpleITK has it.
        origin_mm: Position of the first voxel, x, y, z.
        direction: Direction cosines, row-major 3 x 3.
    """
    import SimpleITK as sitk

    voxel = sitk.Image([1, 1, 1], sitk.sitkUInt8)
    voxel.SetSpacing(spacing_mm)
    voxel.SetOrigin(origin_mm)
    voxel.SetDirection(direction)
    orient = sitk.DICOMOrientImageFilter()
    orient.SetDesiredCoordinateOrientation("LPS")
    oriented, order, flips = orient.Execute(voxel), orient.GetPermuteOrder(), orient.GetFlipAxes()
    turned = array.transpose([2 - axis for axis in reversed(order)])
    z, y, x = turned.shape
    corner = [(size - 1) * flip for size, flip in zip((x, y, z), flips, strict=True)]
    origin = sitk.PermuteAxes(voxel, order).TransformIndexToPhysicalPoint(corner)
    spacing = tuple(float(value) for value in reversed(oriented.GetSpacing()))
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(direction)
    geometry = Geometry((z, y, x), (spacing[0], spacing[1], spacing[2]), tuple(origin), oriented.GetDirection(), code)
    return np.flip(turned, tuple(2 - axis for axis in range(3) if flips[axis])), geometry


def to_native_image(array: np.ndarray[Any, Any], geometry: Geometry) -> sitk.Image:
    """Return an LPS zyx array as a SimpleITK image on the grid of the file that it came from.

    Args:
        array: Shape `geometry.shape`; bool becomes uint8.
        geometry: As `to_lps` returned it.

    Raises:
        ValueError: If the shapes differ.
    """
    import SimpleITK as sitk

    if array.shape != geometry.shape:
        raise ValueError(f"array of shape {array.shape} does not fit the volume's {geometry.shape}")
    image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array)
    image.SetSpacing(tuple(reversed(geometry.spacing_mm)))
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    return sitk.DICOMOrient(image, geometry.native_orientation)
