"""Where the liver mask of a series lies: named in the label table, in a folder of masks, or a DICOM SEG of the tree.

A Couinaud map is found in its folder in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.archive.dicom_kinds import hash_text
from pipeline.archive.source_tree import FileState
from pipeline.errors import RefusedInputError

SUFFIXES = (".nii.gz", ".dcm")


class MaskIndex:
    """Finds masks.

    Args:
        folder: Folder of masks named by volume id, series UID or accession number; empty if there is none.
        root: Root of the archive, if it is a local folder.
        segmentations: DICOM SEGs of the archive by the hash of the series that they were drawn on.
        maps: Folder of Couinaud maps, named likewise; empty if there is none.

    Raises:
        RefusedInputError: If a folder is named and is not there.
    """

    def __init__(self, folder: str, root: str, segmentations: Mapping[str, FileState], maps: str = "") -> None:
        roots = [item for item in (folder, root) if item and "://" not in item]
        self._folders = [Path(item).expanduser().absolute() for item in roots]
        self._segmentations = segmentations
        self._named = _index(folder, "source.masks")
        self._maps = _index(maps, "source.couinaud_maps")

    def find(self, volume_id: str, series: str, accessions: Iterable[str], named: str = "") -> str:
        """Return where a mask lies, as `pipeline.archive.dicom_tree.read_volume` wants it; empty if there is none.

        Args:
            volume_id: Our id.
            series: Hash of the series' UID.
            accessions: Hashes of the accession numbers.
            named: What the label table says, relative to the folder of masks or the archive's root.
        """
        if named:
            return self._inside(named)
        for key in (volume_id, series, *sorted(accessions)):
            if key in self._named:
                return f"file:{self._named[key]}"
        return f"tree:{self._segmentations[series].name}" if series in self._segmentations else ""

    def find_map(self, volume_id: str, series: str, accessions: Iterable[str]) -> str:
        """Return the path of a Couinaud map; empty if there is none."""
        keys = (volume_id, series, *sorted(accessions))
        return next((self._maps[key] for key in keys if key in self._maps), "")

    def _inside(self, named: str) -> str:
        """Return a named file that lies in one of the folders, whatever its name says."""
        for folder in self._folders:
            file = (folder / named).resolve()
            if file.is_relative_to(folder.resolve()) and file.is_file() and file.name.endswith(SUFFIXES):
                return f"file:{file}"
        return ""


def _index(folder: str, setting: str) -> dict[str, str]:
    """Return the files of a folder by the keys under which they are found."""
    path = Path(folder).expanduser().absolute()
    if folder and not path.is_dir():
        raise RefusedInputError(f"{setting}: expected a folder, got {folder!r}")
    files = sorted(path.iterdir()) if folder else []
    return {name: str(file) for file in files for name in _names(file)}


def _names(file: Path) -> list[str]:
    """Return the keys under which a mask is found: its name without suffix, and the hash of it."""
    suffix = next((suffix for suffix in SUFFIXES if file.name.endswith(suffix)), "")
    stem = file.name.removesuffix(suffix)
    return [stem, hash_text(stem)] if suffix and file.is_file() else []
