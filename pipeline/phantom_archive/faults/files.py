"""Files that are no files of the series, or are broken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.phantom_archive.faults.registry import change, fault, file_of
from pipeline.phantom_archive.files import save
from pipeline.phantom_archive.tags import CANARY

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_JUNK = ("Thumbs.db", "._IM0001.dcm", "DICOMDIR", f"{CANARY}.txt")
_HEADER_BYTES = 380
_POSITION = b"\x20\x00\x32\x00"


@fault("23_JUNK_FILES", skipped=("EMPTY_FILE", "SYSTEM_FILE", "SYSTEM_FILE", "SYSTEM_FILE", "NOT_DICOM"))
def add_junk(slices: list[Dataset], folder: Path) -> None:
    """Operating systems, viewers and people have left files."""
    save(slices, folder)
    (folder / "empty.dcm").touch()
    for name in _JUNK:
        (folder / name).write_text("junk")


@fault("25_TRUNCATED_FILE", "PIXELDATA_SHORT")
def cut_pixels(slices: list[Dataset], folder: Path) -> None:
    """A file ends within its pixels."""
    path = file_of(save(slices, folder), 4)
    path.write_bytes(path.read_bytes()[:-900])


@fault("25_TRUNCATED_HEADER", "DICOM_UNREADABLE")
def cut_header(slices: list[Dataset], folder: Path) -> None:
    """A file ends before it says what series it is of."""
    path = file_of(save(slices, folder), len(slices) - 1)
    path.write_bytes(path.read_bytes()[:_HEADER_BYTES])


change("27_NOT_CT", "NOT_CT", unlisted=True, Modality="MR")


@fault("34_IMPLICIT_WITHOUT_PREAMBLE")
def write_bare(slices: list[Dataset], folder: Path) -> None:
    """Files begin with the first element."""
    import pydicom

    folder.mkdir(parents=True)
    for k, dataset in enumerate(slices):
        del dataset.file_meta
        pydicom.dcmwrite(folder / f"{k}", dataset, implicit_vr=True, little_endian=True)


@fault("42_BAD_NUMBERS", "POSITION_MISSING")
def misspell(slices: list[Dataset], folder: Path) -> None:
    """A position holds a letter."""
    path = file_of(save(slices, folder), 4)
    data = path.read_bytes()
    place = data.index(_POSITION) + 8
    path.write_bytes(data[:place] + data[place:].replace(b".", b"x", 1))
