"""Reading the label maps that the shape network is trained on."""

from __future__ import annotations

from pathlib import Path

from pipeline.arrays import SEGMENT_COUNT
from pipeline.couinaud.shape_training import LabeledShape
from pipeline.errors import CaseError, RefusedInputError

_SUFFIX = ".nii.gz"


def read_shapes(folder: str, minimum: int = 2) -> list[LabeledShape]:
    """Read all label maps of a folder.

    Args:
        folder: Holds `VOLUME.nii.gz` with values 0..8.
        minimum: Fewer maps are refused.

    Returns:
        The maps, ordered by name.

    Raises:
        RefusedInputError: If there are too few maps, or one cannot be used.
    """
    paths = sorted(Path(folder).glob(f"*{_SUFFIX}")) if folder else []
    if len(paths) < minimum:
        raise RefusedInputError(f"--shapes {folder!r} holds {len(paths)} label maps, at least {minimum} are needed")
    return [read_shape(path) for path in paths]


def read_shape(path: Path) -> LabeledShape:
    """Read one label map.

    Raises:
        RefusedInputError: If it cannot be read, holds other values than 0..8, or nothing.
    """
    from pipeline.archive.checks import to_labels
    from pipeline.archive.nifti import read_nifti

    name = path.name.removesuffix(_SUFFIX)
    try:
        values, geometry = read_nifti(path, "the label map", len)
        labels = to_labels(values, SEGMENT_COUNT, "COUINAUD_LABEL", "the label map")
    except CaseError as error:
        raise RefusedInputError(f"label map {name}: {error}") from error
    if not labels.any():
        raise RefusedInputError(f"label map {name} has no labeled voxel")
    return LabeledShape(name, labels, geometry)
