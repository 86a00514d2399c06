"""Slices that do not say whose they are, or say too much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.phantom_archive.faults.registry import assign, change, fault
from pipeline.phantom_archive.files import save
from pipeline.phantom_archive.tags import CANARY, UID_ROOT

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_NAME = f"{CANARY} Pat"
_ANONYMIZED = ("SOPClassUID", "SOPInstanceUID", "PatientName", "PatientID", "ImageType", "StudyInstanceUID")

change("43_MIXED_PATIENTS", "MIXED_PATIENTS", index=4, PatientID=f"{CANARY}-other")
change("44_FRAME_OF_REFERENCE", "FRAME_OF_REFERENCE_INCONSISTENT", index=4, FrameOfReferenceUID=f"{UID_ROOT}44")


@fault("45_PATH_TRAVERSAL")
def climb(slices: list[Dataset], folder: Path) -> None:
    """Ids are paths out of the archive, or names that a file must not have."""
    for dataset in slices:
        assign(dataset, PatientID=f"../../{CANARY}/\\..\\" + "x" * 40, StudyID="../../CON")
    save(slices, folder)


@fault("46_CHARSETS")
def garble_names(slices: list[Dataset], folder: Path) -> None:
    """Names are not in the character set that they announce."""
    for dataset in slices:
        assign(dataset, SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=_NAME)
    for path in save(slices, folder).iterdir():
        path.write_bytes(path.read_bytes().replace(_NAME.encode(), b"\x1b$B;3\xff\xfe^AB"))


@fault("47_NO_SERIES_UID")
def forget_series(slices: list[Dataset], folder: Path) -> None:
    """Only the folder keeps the slices together."""
    for dataset in slices:
        dataset.SeriesInstanceUID = dataset.StudyInstanceUID = ""
    save(slices, folder)


@fault("47_OVER_ANONYMIZED")
def anonymize(slices: list[Dataset], folder: Path) -> None:
    """Even what the files are has been taken out."""
    import pydicom

    folder.mkdir(parents=True)
    for k, dataset in enumerate(slices):
        assign(dataset, **dict.fromkeys(_ANONYMIZED))
        dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = "1.2", "1.3"
        pydicom.dcmwrite(folder / f"{k}.dcm", dataset, enforce_file_format=False)
