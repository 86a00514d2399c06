"""Reading whole masks of one volume: what was predicted, what a person drew, and any sliced table from end to end."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.schema import decode
from pipeline.slabs import VolumeRow, read_slab

SPACING_TOLERANCE_MM = 1e-3
"""NIfTI headers hold spacings in single precision."""


def read_volume_slices(
    run: RunFolder, table: str, volume: VolumeRow, columns: Sequence[str]
) -> dict[str, np.ndarray[Any, Any]]:
    """Return columns of all rows that a sliced table holds for a volume.

    Args:
        run: Run folder.
        table: Sliced table, such as `slices` or `references/grid`.
        volume: The volume, with at least one slab.
        columns: Columns beside `slice_index`.

    Returns:
        Stacked columns, rows in the order of `slice_index`.

    Raises:
        FileNotFoundError: If a slab has no file: an earlier step is not complete.
    """
    names = list(dict.fromkeys(["slice_index", *columns]))
    slabs = [read_slab(run, table, volume.volume_id, slab, names) for slab in volume.slabs]
    return {name: np.concatenate([slab[name] for slab in slabs]) for name in names}


def require_predictions(run: RunFolder, volumes: Sequence[VolumeRow]) -> None:
    """Check that each volume has its predicted mask.

    Raises:
        RefusedInputError: If `predictions/` lacks one; the volumes are named.
    """
    there = run.names("predictions")
    missing = [volume.volume_id for volume in volumes if f"{volume.volume_id}.nii.gz" not in there]
    if missing:
        raise RefusedInputError(f"{len(missing)} of {len(volumes)} volumes have no prediction: {', '.join(missing)}")


def read_prediction(run: RunFolder, volume: VolumeRow) -> BoolArray:
    """Return the predicted tumor mask on the volume's own grid, in LPS order, shape `volume.native_shape`.

    Raises:
        FileNotFoundError: If there is no prediction.
        ValueError: If its grid is not the volume's; both are quoted.
    """
    import SimpleITK as sitk

    from pipeline.volume import to_lps

    with tempfile.TemporaryDirectory() as folder:
        # SimpleITK opens local files only, a run folder may be anywhere.
        path = Path(folder) / "prediction.nii.gz"
        path.write_bytes(run.read_bytes("predictions", f"{volume.volume_id}.nii.gz"))
        array, geometry = to_lps(sitk.ReadImage(str(path), sitk.sitkUInt8))
    same_spacing = np.allclose(geometry.spacing_mm, volume.spacing_mm, rtol=0, atol=SPACING_TOLERANCE_MM)
    if geometry.shape != volume.native_shape or not same_spacing:
        raise ValueError(
            f"{volume.volume_id}: the prediction has {geometry.shape} voxels of {geometry.spacing_mm} mm,"
            f" the volume {volume.native_shape} of {volume.spacing_mm}"
        )
    mask: BoolArray = array > 0
    return mask


def read_native_reference(run: RunFolder, volume: VolumeRow) -> BoolArray:
    """Return the reference tumor mask on the volume's own grid, in LPS order, shape `volume.native_shape`.

    Slices that are not in the table hold no tumor.

    Raises:
        FileNotFoundError: If the volume has no reference mask.
    """
    rows = decode(run.read_table("references", "native", f"{volume.volume_id}.parquet"))
    mask = np.zeros(volume.native_shape, dtype=bool)
    mask[rows["slice_index"]] = rows["reference_mask"]
    return mask
