"""Turning the masks of one volume into DICOM SEG, in a throw-away process: the CT's headers are untrusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.checks import require_same_grid, to_labels
from pipeline.archive.dicom.attributes import quiet
from pipeline.archive.dicom.geometry import Series
from pipeline.archive.dicom.seg_segments import CONTENTS
from pipeline.archive.dicom.seg_writer import Mask, encode_seg
from pipeline.archive.dicom.series import to_volume
from pipeline.archive.dicom.sources import read_source
from pipeline.archive.dicom.tree import IMAGE, arrange_slices
from pipeline.archive.nifti import read_nifti
from pipeline.archive.sandbox_child import Result
from pipeline.archive.source_tree import SourceTree
from pipeline.arrays import UInt8Array
from pipeline.errors import CaseError
from pipeline.volume import Geometry, to_native_image

MASK = "the mask"
_STEP = "export_masks"


@quiet()
def export_masks(
    source: str, slices: Sequence[Sequence[Any]], repairs: Sequence[str], volume_id: str, masks: Mapping[str, Any]
) -> Result:
    """Return the masks of one volume as files.

    Args:
        source: URI of the archive.
        slices: File and frame of each slice.
        repairs: As `arrange`, as they were when the volume was read.
        volume_id: Our id.
        masks: By name of `CONTENTS`: `path` of the `.nii.gz` on the grid of the CT's files, `created` and `method` as
            in `Mask`.

    Returns:
        `empty`: names of masks without a voxel; arrays: the bytes of a DICOM SEG for each of the others.

    Raises:
        CaseError: As `arrange`, `read_nifti` and `read_source`; `REPAIRED_*` if the volume was interpolated;
            `MASK_VALUES`, `MASK_SHAPE_MISMATCH` or `MASK_GEOMETRY_MISMATCH`.
    """
    tree = SourceTree(source)
    series = _arrange_own_slices(tree, slices, repairs)
    _, geometry = to_volume(np.zeros(series.shape, np.uint8), series, IMAGE)
    origin = read_source(tree, series, IMAGE)
    empty, files = [], {}
    for name, about in masks.items():
        content = CONTENTS[name]
        labels = _read_mask(Path(about["path"]), len(content.segments), geometry)
        if labels.any():
            mask = Mask(volume_id, labels, content, about["created"], about["method"])
            files[name] = np.frombuffer(encode_seg(mask, origin), np.uint8)
        else:
            empty.append(name)
    return {"empty": empty}, files


def _arrange_own_slices(tree: SourceTree, slices: Sequence[Sequence[Any]], repairs: Sequence[str]) -> Series:
    """Return the slices of a volume in order; one that was interpolated has no voxels of its own."""
    series = arrange_slices(tree, slices, repairs)
    if series.repairs:
        message = f"{IMAGE} was interpolated when it was read: no voxel of the mask is one of its slices'"
        raise CaseError(f"REPAIRED_{series.repairs[0]}", message, _STEP)
    return series


def _read_mask(path: Path, highest: int, image: Geometry) -> UInt8Array:
    """Read a mask of the run folder; shape (slices, rows, columns), in the order of the CT's slices."""
    import SimpleITK as sitk

    values, geometry = read_nifti(path, MASK, _ignore)
    labels = to_labels(values, highest, "MASK_VALUES", MASK)
    codes = {"shape_code": "MASK_SHAPE_MISMATCH", "grid_code": "MASK_GEOMETRY_MISMATCH"}
    require_same_grid(geometry, image, MASK, **codes, step=_STEP)
    native: NDArray[Any] = sitk.GetArrayFromImage(to_native_image(labels, image))
    return native


def _ignore(data: bytes) -> None:
    """Record nothing."""
