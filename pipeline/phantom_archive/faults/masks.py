"""Liver masks that do not belong to the CT, or are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.phantom_archive.faults.registry import mask_fault


@mask_fault("49_MASK_TRUNCATED", "NIFTI_TRUNCATED")
def cut_mask(path: Path) -> None:
    """The compressed file ends early."""
    path.write_bytes(path.read_bytes()[:-40])


@mask_fault("60_MASK_OF_OTHER_SHAPE", "MASK_SHAPE_MISMATCH")
def coarsen(path: Path) -> None:
    """The mask was drawn on columns of twice the width."""
    _rewrite(path, lambda values: values[:, :, ::2], widen=2.0)


@mask_fault("60_MASK_ELSEWHERE", "MASK_GEOMETRY_MISMATCH")
def move(path: Path) -> None:
    """The mask lies 20 mm higher."""
    _rewrite(path, lambda values: values, up_mm=20.0)


@mask_fault("61_MASK_VALUES", "MASK_VALUES")
def count_organs(path: Path) -> None:
    """The mask numbers organs."""
    _rewrite(path, lambda values: values * 5)


@mask_fault("62_EMPTY_LIVER", "EMPTY_LIVER")
def clear(path: Path) -> None:
    """Nothing is drawn."""
    _rewrite(path, np.zeros_like)


def _rewrite(
    path: Path, function: Callable[[NDArray[Any]], NDArray[Any]], up_mm: float = 0.0, widen: float = 1.0
) -> None:
    """Replace the voxels of a mask, and perhaps its place or the width of its columns."""
    import SimpleITK as sitk

    before = sitk.ReadImage(str(path))
    after = sitk.GetImageFromArray(function(sitk.GetArrayFromImage(before)))
    x, y, z = before.GetOrigin()
    after.SetOrigin((x, y, z + up_mm))
    columns, rows, step = before.GetSpacing()
    after.SetSpacing((columns * widen, rows, step))
    sitk.WriteImage(after, str(path), useCompression=True)
