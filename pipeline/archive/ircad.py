"""3D-IRCADb-01 as distributed: one folder per patient, the CT and every organ as DICOM, zipped or not.

`3Dircadb1.N/PATIENT_DICOM` is the CT, `3Dircadb1.N/MASKS_DICOM/ORGAN` one mask per organ; either may be a zip of the
same name. Organ names are free: a liver tumor is every organ whose name holds both `liver` and `tumor` (`livertumor01`,
`livertumors`). Cysts (`liverkyst`) are not, nor is the adrenal `tumor` of patient 7. Hepatic veins are `venoussystem`,
with the vena cava (`venacava`) where that is drawn apart; the portal vein is every organ that begins with `portalvein`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.archive.cases import CaseFiles, CaseSource, Study
from pipeline.archive.checks import require_same_grid
from pipeline.archive.dicom.series import decode_hu, decode_mask, read_series
from pipeline.archive.members import Member, open_members
from pipeline.archive.volume_ids import ircad_id
from pipeline.arrays import BoolArray
from pipeline.errors import CaseError
from pipeline.volume import Geometry, Vessels

_PATIENT = re.compile(r"3Dircadb1\.[1-9]\d*", re.IGNORECASE)
_LIVER = "liver"
_CYSTS = ("cyst", "kyst")
_HEPATIC_VEINS, _VENA_CAVA, _PORTAL_VEIN = "venoussystem", "venacava", "portalvein"


def find_files(source: Path) -> dict[str, CaseFiles]:
    """Return CT and masks of every patient's folder, by `ircad_NN`."""
    folders = sorted(path for path in source.iterdir() if path.is_dir() and _PATIENT.fullmatch(path.name))
    return {
        ircad_id(folder.name): CaseFiles(_folder_or_zip(folder, "PATIENT_DICOM"), _folder_or_zip(folder, "MASKS_DICOM"))
        for folder in folders
    }


def read_study(case: CaseSource, record: Callable[[bytes], object]) -> Study:
    """Read CT, liver and liver tumors of a patient. The liver mask includes the tumors.

    Args:
        case: A case of `find_files`.
        record: Receives the bytes of the CT's files, then those of the liver's and the tumors', in order of names.

    Raises:
        CaseError: As `open_members`, `read_series`, `decode_hu` and `decode_mask`; `LIVER_MISSING` if there is no
            organ `liver`; `MASK_SHAPE_MISMATCH` or `MASK_GEOMETRY_MISMATCH`.
    """
    with open_members(Path(case.image), "the image") as members:
        hu, geometry = decode_hu(read_series(members, "the image", record), "the image")
    with open_members(Path(case.masks), "the masks") as members:
        organs = group_by_organ(members)
        if _LIVER not in organs:
            raise CaseError("LIVER_MISSING", f"{len(organs)} organs have masks, none of them is '{_LIVER}'")
        liver = _read_mask(organs[_LIVER], "the liver mask", geometry, record)
        tumors = np.zeros_like(liver)
        for organ in filter(is_liver_tumor, organs):
            tumors |= _read_mask(organs[organ], "a tumor mask", geometry, record)
    return Study(hu, geometry, liver | tumors, tumors)


def read_vessels(case: CaseSource, image: Geometry, record: Callable[[bytes], object]) -> Vessels | None:
    """Read hepatic veins, together with the vena cava, and portal vein of a patient.

    Args:
        case: A case of `find_files`.
        image: Grid of its CT.
        record: Receives the bytes of the vessels' files, in order of names, the hepatic veins' first.

    Returns:
        The masks that are there and not empty; None if there is none. A vena cava without hepatic veins is not used.

    Raises:
        CaseError: As `open_members`, `read_series` and `decode_mask`; `VESSEL_GEOMETRY`.
    """
    with open_members(Path(case.masks), "the masks") as members:
        organs = group_by_organ(members)
        names = [organ for organ in organs if organ.lower().startswith((_HEPATIC_VEINS, _VENA_CAVA))]
        veins = names if any(name.lower().startswith(_HEPATIC_VEINS) for name in names) else []
        portal = [organ for organ in organs if organ.lower().startswith(_PORTAL_VEIN)]
        masks = [_read_union([organs[name] for name in group], image, record) for group in (veins, portal)]
    return Vessels(*masks) if any(mask is not None for mask in masks) else None


def is_liver_tumor(organ: str) -> bool:
    """Tell whether an organ's name is that of a tumor of the liver.

    Example:
        >>> [name for name in ("livertumor01", "livertumors", "liverkyst", "tumor", "liver") if is_liver_tumor(name)]
        ['livertumor01', 'livertumors']
    """
    name = organ.lower()
    return _LIVER in name and "tumor" in name and not any(cyst in name for cyst in _CYSTS)


def group_by_organ(members: list[Member]) -> dict[str, list[Member]]:
    """Return the files of each organ, by the name of their folder, in the order of names."""
    organs: dict[str, list[Member]] = {}
    for member in members:
        organs.setdefault(member.folder, []).append(member)
    return dict(sorted(organs.items()))


def _read_union(organs: list[list[Member]], image: Geometry, record: Callable[[bytes], object]) -> BoolArray | None:
    """Read several organs as one mask; None if there is none or no voxel is set."""
    what, code = "a vessel mask", "VESSEL_GEOMETRY"
    union: BoolArray | None = None
    for members in organs:
        mask = _read_mask(members, what, image, record, code, code)
        union = mask if union is None else union | mask
    return union if union is not None and union.any() else None


def _read_mask(
    members: list[Member],
    what: str,
    image: Geometry,
    record: Callable[[bytes], object],
    shape_code: str = "MASK_SHAPE_MISMATCH",
    grid_code: str = "MASK_GEOMETRY_MISMATCH",
) -> BoolArray:
    """Read one organ on the grid of the CT."""
    mask, geometry = decode_mask(read_series(members, what, record), what)
    require_same_grid(geometry, image, what, shape_code=shape_code, grid_code=grid_code)
    return mask


def _folder_or_zip(folder: Path, name: str) -> str:
    """Return a patient's subfolder, or the zip of the same name; empty if there is neither."""
    candidates = (folder / name, folder / f"{name}.zip")
    return next((str(path) for path in candidates if path.exists()), "")
