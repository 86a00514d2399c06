"""The layout of the Medical Segmentation Decathlon and nnU-Net: one `.nii.gz` per image and per mask.

`imagesTr/VOLUME.nii.gz` is the CT. `labelsTr/VOLUME.nii.gz` holds 0 background, 1 liver, 2 tumor. Where it is missing,
`liversTr/VOLUME.nii.gz` (0, 1) gives the liver, and nobody has drawn the tumors; without either, a network may find
the liver. `couinaudTr` and `vesselsTr` beside them may hold Couinaud maps and vessel masks, which the catalog reads.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.archive.cases import CaseFiles, CaseSource, Study
from pipeline.archive.checks import require_contrast, require_same_grid, to_hu, to_labels
from pipeline.archive.nifti import read_nifti
from pipeline.archive.volume_ids import NIFTI_SUFFIX, msd_id

_LIVERS = "liversTr"
_TUMOR = 2


def find_files(source: Path) -> dict[str, CaseFiles]:
    """Return the files of every image in `imagesTr`, by file name without suffix; hidden files are left out."""
    images = sorted(path for path in (source / "imagesTr").glob(f"*{NIFTI_SUFFIX}") if not path.name.startswith("."))
    return {msd_id(path.name): CaseFiles(str(path), _find_masks(source, path.name)) for path in images}


def read_study(case: CaseSource, record: Callable[[bytes], object]) -> Study:
    """Read CT and masks of a case; one without masks has no liver yet.

    Args:
        case: A case of `find_files`.
        record: Receives the bytes of the image, then of the mask.

    Raises:
        CaseError: As `read_nifti`; `HU_RANGE`; `MASK_SHAPE_MISMATCH`, `MASK_GEOMETRY_MISMATCH` or `MASK_VALUES`.
    """
    image, geometry = read_nifti(Path(case.image), "the image", record)
    hu = to_hu(image)
    require_contrast(hu)
    if not case.masks:
        return Study(hu, geometry, liver_mask=None, reference_mask=None)
    mask, mask_geometry = read_nifti(Path(case.masks), "the mask", record)
    codes = {"shape_code": "MASK_SHAPE_MISMATCH", "grid_code": "MASK_GEOMETRY_MISMATCH"}
    require_same_grid(mask_geometry, geometry, "the mask", **codes)
    liver_only = Path(case.masks).parent.name == _LIVERS
    labels = to_labels(mask, 1 if liver_only else _TUMOR, "MASK_VALUES", "the mask")
    return Study(hu, geometry, labels > 0, None if liver_only else labels == _TUMOR)


def _find_masks(source: Path, name: str) -> str:
    """Return the mask of an image; empty if there is none."""
    candidates = (source / "labelsTr" / name, source / _LIVERS / name)
    return next((str(path) for path in candidates if path.is_file()), "")
