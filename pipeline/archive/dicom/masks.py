"""Where the liver mask of a series lies: named in the label table, in a folder of masks, or in the archive itself, as
a DICOM SEG or as mask slices that are DICOM files, too (3D-IRCADb). Couinaud maps and vessel masks are found in their
folders likewise.

A place is packed as a pair: `file` and a path, `tree` and a name in the archive, or `organs` and the names of the mask
slices of each organ.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath

from pipeline.archive.checks import listing, reading, require_folder
from pipeline.archive.dicom.case import pack_json
from pipeline.archive.dicom.inventory import FoundSeries, Inventory
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.ircad import is_liver_tumor
from pipeline.archive.source_tree import ZIP_MARK, FileState
from pipeline.archive.steady_file import try_again

SUFFIXES = (".nii.gz", ".dcm")
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""Errors that say that there is no such file."""


@dataclass(frozen=True)
class Mask:
    """A liver mask, vessel mask or Couinaud map of one series.

    Args:
        place: Where it lies: packed, or the path of a Couinaud map or vessel mask; empty if there is none.
        states: Its files.
    """

    place: str = ""
    states: tuple[FileState, ...] = ()


class MaskIndex:
    """Finds masks.

    Args:
        folder: Folder of masks named by volume id, series UID or accession number; empty if there is none.
        root: Root of the archive.
        inventory: What there is in the archive.
        maps: Folder of Couinaud maps, named likewise; empty if there is none.
        vessels: Folder of vessel masks, named likewise; empty if there is none.

    Raises:
        RefusedInputError: If a folder is named and is not there, or cannot be listed.
    """

    def __init__(self, folder: str, root: str, inventory: Inventory, maps: str = "", vessels: str = "") -> None:
        roots = [item for item in (folder, root) if item and "://" not in item]
        self._folders = [Path(item).expanduser().absolute() for item in roots]
        self._inventory = inventory
        self._organs = find_organs(inventory)
        self._named = _index(folder, "source.masks")
        self._maps = _index(maps, "source.couinaud_maps")
        self._vessels = _index(vessels, "source.vessels")

    def find(self, volume_id: str, series: str, accessions: Iterable[str], named: str = "") -> Mask:
        """Return the mask of a series, perhaps none.

        Args:
            volume_id: Our id.
            series: Hash of the series' UID.
            accessions: Hashes of the accession numbers.
            named: What the label table says: a path below the folder of masks or the archive's root, or the UID of
                a series of mask slices.

        Raises:
            CaseError: `FILE_UNREADABLE`.
        """
        if named:
            return self._named_mask(named)
        if state := _look_up(self._named, "the mask", volume_id, series, accessions):
            return _file_mask(state)
        if series in self._inventory.masks:
            state = self._inventory.masks[series]
            return Mask(pack_json(["tree", state.name]), (state,))
        return _organs_mask(*self._organs[series]) if series in self._organs else Mask()

    def find_map(self, volume_id: str, series: str, accessions: Iterable[str]) -> Mask:
        """Return the Couinaud map of a series, perhaps none; arguments and errors as in `find`."""
        return _companion(_look_up(self._maps, "the Couinaud map", volume_id, series, accessions))

    def find_vessels(self, volume_id: str, series: str, accessions: Iterable[str]) -> Mask:
        """Return the vessel mask of a series, perhaps none; arguments and errors as in `find`."""
        return _companion(_look_up(self._vessels, "the vessel mask", volume_id, series, accessions))

    def _named_mask(self, named: str) -> Mask:
        """Return a series of mask slices, or a file that lies in one of the folders, whatever its name says."""
        if found := self._inventory.series.get(hash_text(named)):
            return _organs_mask(found, [])
        with suppress(ValueError):  # a name that holds a zero
            for folder in self._folders:
                file = (folder / named).resolve()
                if not file.is_relative_to(folder.resolve()) or not file.name.endswith(SUFFIXES):
                    continue
                if state := _file_state(str(file), "the mask"):
                    return _file_mask(state)
        return Mask()


def find_organs(inventory: Inventory) -> dict[str, tuple[FoundSeries, list[FoundSeries]]]:
    """Return liver and liver tumors of each CT of a tree laid out as 3D-IRCADb-01.

    `PATIENT/PATIENT_DICOM` is the CT, `PATIENT/MASKS_DICOM/ORGAN` a series of mask slices; either may be zipped.
    """
    patients: dict[str, str] = {}
    organs: dict[str, dict[str, FoundSeries]] = {}
    for series, found in inventory.series.items():
        if not found.count:
            continue
        parts = [part.removesuffix(ZIP_MARK[0]).removesuffix(".zip") for part in PurePosixPath(found.folder).parts]
        if "PATIENT_DICOM" in parts:
            patients["/".join(parts[: parts.index("PATIENT_DICOM")])] = series
        elif "MASKS_DICOM" in parts:
            organs.setdefault("/".join(parts[: parts.index("MASKS_DICOM")]), {})[parts[-1]] = found
    return {
        patients[patient]: (masks["liver"], [masks[name] for name in sorted(masks) if is_liver_tumor(name)])
        for patient, masks in organs.items()
        if patient in patients and "liver" in masks
    }


def _look_up(
    files: Mapping[str, str], what: str, volume_id: str, series: str, accessions: Iterable[str]
) -> FileState | None:
    """Return the file that is named after a series; None if there is none."""
    paths = [files[key] for key in (volume_id, series, *sorted(accessions)) if key in files]
    return next(filter(None, (_file_state(path, what) for path in paths)), None)


def _file_mask(state: FileState) -> Mask:
    """Return a mask that is a file of its own."""
    return Mask(pack_json(["file", state.name]), (state,))


def _companion(state: FileState | None) -> Mask:
    """Return a file beside the CT that is no liver mask."""
    return Mask(state.name, (state,)) if state else Mask()


def _file_state(path: str, what: str) -> FileState | None:
    """Return what tells a changed file from an unchanged one; None if there is no such file.

    Raises:
        CaseError: `FILE_UNREADABLE`.
    """
    with reading(what):
        try:
            status = try_again(Path(path).stat)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
    return FileState(path, status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _organs_mask(liver: FoundSeries, tumors: Sequence[FoundSeries]) -> Mask:
    """Return masks that are slices."""
    organs = [found.states for found in (liver, *tumors)]
    names = [[state.name for state in states] for states in organs]
    return Mask(pack_json(["organs", names]), tuple(chain.from_iterable(organs)))


def _index(folder: str, setting: str) -> dict[str, str]:
    """Return the files of a folder by the keys under which they are found."""
    if not folder:
        return {}
    path = require_folder(folder, setting)
    with listing(f"{setting} {folder!r}"):
        files = try_again(lambda: sorted(path.iterdir()))
    return {name: str(file) for file in files for name in _names(file)}


def _names(file: Path) -> list[str]:
    """Return the keys under which a mask is found: its name without suffix, and the hash of it."""
    suffix = next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), "")
    stem = file.name.removesuffix(suffix)
    return [stem, hash_text(stem)] if suffix else []
