"""Reading one volume of a hospital archive, in a throw-away process: HU, liver, and what is to be said about them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.checks import paste_on_grid, require_liver_hu, require_same_grid, to_labels
from pipeline.archive.dicom.geometry import Series
from pipeline.archive.dicom.seg import decode_liver
from pipeline.archive.dicom.series import decode_hu, decode_mask, read_series, to_volume
from pipeline.archive.dicom.tree import IMAGE, arrange_slices
from pipeline.archive.members import Member, read_file
from pipeline.archive.nifti import read_nifti
from pipeline.archive.sandbox_child import Result
from pipeline.archive.source_tree import SourceTree
from pipeline.arrays import Int16Array, UInt8Array
from pipeline.errors import CaseError
from pipeline.volume import Geometry

MASK = "the mask"
PADDING_HU = -1024
"""Air of a 12-bit scanner. Lower values mark pixels outside of the scanned circle."""
MAXIMUM_AIR_HU = -300
"""A CT in which no voxel is below has lost its intercept: there is gas in every abdomen, or air around it."""
_TUMOR, _FULL = 2, 255


def read_volume(
    source: str, slices: Sequence[Sequence[Any]], mask: Sequence[Any], repairs: Sequence[str], liver_value: int = 0
) -> Result:
    """Read CT and liver of one volume.

    Args:
        source: URI of the archive.
        slices: File and frame of each slice.
        mask: Where the liver is, as `pipeline.archive.dicom.masks` says it; empty if nothing says it.
        repairs: As `arrange`.
        liver_value: The liver in a NIfTI mask of many organs; 0 for a mask of 0, 1 and 2.

    Returns:
        `geometry`, `notes`, `sha256`; arrays `hu` and, if there is a mask, `labels` (1 liver, 2 tumor), both in LPS
        order.

    Raises:
        CaseError: As `arrange`, `decode_hu`, `read_nifti` and `decode_liver`; `HU_IMPLAUSIBLE`, `LIVER_HU`,
            `MASK_VALUES`, `MASK_SHAPE_MISMATCH` or `MASK_GEOMETRY_MISMATCH`.
    """
    tree, content = SourceTree(source), hashlib.sha256()
    series = arrange_slices(tree, slices, repairs)
    hu, geometry = decode_hu(series, IMAGE, content.update)
    notes = [*_series_notes(series), *_clip_padding(hu)]
    arrays: dict[str, NDArray[Any]] = {"hu": hu}
    if mask:
        arrays["labels"] = _read_labels(tree, mask, series, geometry, liver_value, content.update)
        require_liver_hu(hu, arrays["labels"])
    return {"geometry": vars(geometry), "notes": notes, "sha256": content.hexdigest()}, arrays


def _read_labels(
    tree: SourceTree,
    mask: Sequence[Any],
    series: Series,
    image: Geometry,
    liver_value: int,
    record: Callable[[bytes], object],
) -> UInt8Array:
    """Read the mask of a series wherever it lies."""
    place, name = mask
    if place == "organs":
        return _read_organs(tree, name, image, record)
    if place == "file" and name.endswith(".nii.gz"):
        return _read_nifti(Path(name), liver_value, image, record)
    data = tree.read(name) if place == "tree" else read_file(Path(name), MASK)
    record(data)
    return to_volume(decode_liver(data, series, MASK), series, MASK)[0]


def _series_notes(series: Series) -> list[str]:
    """Say what was done to a series that the caller may want to know."""
    notes = [f"REPAIRED_{code}" for code in series.repairs]
    return notes + (["LOSSY_COMPRESSION"] if any(header.lossy for header in series.slices) else [])


def _clip_padding(hu: Int16Array) -> list[str]:
    """Raise values below air to air, and check that there is air.

    Raises:
        CaseError: `HU_IMPLAUSIBLE`.
    """
    low = int(hu.min())
    if low > MAXIMUM_AIR_HU:
        message = f"{IMAGE} has no voxel below {low} HU, expected air below {MAXIMUM_AIR_HU}"
        raise CaseError("HU_IMPLAUSIBLE", message)
    if low >= PADDING_HU:
        return []
    np.maximum(hu, PADDING_HU, out=hu)
    return ["PADDING_CLIPPED"]


def _read_nifti(path: Path, liver_value: int, image: Geometry, record: Callable[[bytes], object]) -> UInt8Array:
    """Read a mask of 0 and 1 (2: tumor), 0 and 255, or many organs, on the grid of the CT or a crop of it."""
    values, geometry = read_nifti(path, MASK, record)
    if liver_value:
        values = values == liver_value
    elif values.max() == _FULL:
        values = np.where(values == _FULL, 1, np.where(values == 0, 0, -1))
    labels = to_labels(values, _TUMOR, "MASK_VALUES", MASK)
    if geometry.shape != image.shape and (pasted := paste_on_grid(labels, geometry, image)) is not None:
        return pasted
    _require_grid(geometry, image)
    return labels


def _read_organs(
    tree: SourceTree, organs: Sequence[Sequence[str]], image: Geometry, record: Callable[[bytes], object]
) -> UInt8Array:
    """Read mask slices: the liver first, then its tumors."""
    labels = np.zeros(image.shape, np.uint8)
    for value, names in zip([1, *[_TUMOR] * len(organs)], organs, strict=False):
        members = [Member(name, partial(tree.read, name)) for name in names]
        mask, geometry = decode_mask(read_series(members, MASK, record), MASK)
        _require_grid(geometry, image)
        labels[mask] = value
    return labels


def _require_grid(geometry: Geometry, image: Geometry) -> None:
    """Check that a mask lies on the voxels of the CT."""
    codes = {"shape_code": "MASK_SHAPE_MISMATCH", "grid_code": "MASK_GEOMETRY_MISMATCH"}
    require_same_grid(geometry, image, MASK, **codes)
