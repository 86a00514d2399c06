"""The archive of the DICOM benchmark, and the bare decoder that ingest is measured against.

One phantom of clinical size is written as many patients, in one transfer syntax, with liver masks and Couinaud maps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.benchmarks.processes import BareProcesses
from pipeline.config import CouinaudConfig, PhantomConfig, PipelineConfig, SourceConfig
from pipeline.phantom import make_phantom
from pipeline.phantom_archive.files import encode
from pipeline.phantom_archive.masks import write_nifti
from pipeline.phantom_archive.slices import make_header, make_slices
from pipeline.phantom_archive.tags import PatientTags, SeriesTags
from pipeline.phantom_archive.vendors import EXPLICIT, JPEG_2000, Vendor
from pipeline.run_folder import RunFolder
from pipeline.volume import Volume

SYNTAXES = {"uncompressed": EXPLICIT, "jpeg_2000": JPEG_2000}
"""Transfer syntaxes of the archives, by name."""
SIZE = PhantomConfig(
    train_pathological=1,
    train_healthy=0,
    test=0,
    slices=120,
    height=512,
    width=512,
    slice_spacing_mm=2.5,
    pixel_spacing_mm=0.75,
)
"""The scan of every patient: 120 slices of 512 x 512."""
SERIES, FEW = 16, 2
"""Patients, each with one series, and how many of them are the small archive."""
_FOLDER, _MARK, _NUMBER = "benchmark_dicom", "archive.json", 1
_AIR_HU = -1024
_VENDOR = Vendor(signed=False, bits=12, intercept=_AIR_HU)


@dataclass(frozen=True)
class HospitalArchive:
    """An archive on a local disk: CTs in `dicom/`, the first few in `dicom/few/`, `masks/` and `maps/` as NIfTI.

    Args:
        root: Its folder.
        slices: Files of a series.
    """

    root: Path
    slices: int

    def series(self, number: int) -> list[str]:
        """Return the files of one patient's CT."""
        return [str(self.folder(number) / f"IM{index:04d}.dcm") for index in range(self.slices)]

    def folder(self, number: int) -> Path:
        """Return the folder of one patient's CT."""
        return self.root / "dicom" / ("few" if number < FEW else "more") / f"{number:04d}"

    def masks(self, number: int) -> list[str]:
        """Return the liver mask and the Couinaud map of one patient."""
        return [str(sorted((self.root / kind).iterdir())[number]) for kind in ("masks", "maps")]

    def settings(self, run: str, config: PipelineConfig, *, few: bool = False) -> PipelineConfig:
        """Return settings for the ingest of the archive, or of its few first patients, into a run folder."""
        source = SourceConfig(
            layout="dicom",
            path=str(self.root / "dicom" / "few" if few else self.root / "dicom"),
            labels=str(self.root / ("few.csv" if few else "all.csv")),
            masks=str(self.root / "masks"),
            couinaud_maps=str(self.root / "maps"),
            id_key="none",
        )
        couinaud = CouinaudConfig(method="precomputed")
        return PipelineConfig(run=run, ray=config.ray, grid=config.grid, source=source, couinaud=couinaud)


def open_hospital(run: RunFolder, syntax: str, seed: int) -> HospitalArchive:
    """Return the archive of one transfer syntax in the run folder, which is local; it is written unless it is there.

    Args:
        run: Run folder.
        syntax: A name of `SYNTAXES`.
        seed: Seed of the phantom.
    """
    archive = HospitalArchive(run.local(_FOLDER, syntax), SIZE.slices)
    size: dict[str, Any] = {"seed": seed, "series": SERIES, "phantom": asdict(SIZE)}
    mark = (_FOLDER, syntax, _MARK)
    if not (run.exists(*mark) and run.read_json(*mark) == size):
        run.remove(_FOLDER, syntax)
        _write(archive, SYNTAXES[syntax], seed)
        run.write_json(size, *mark)
    return archive


def _write(archive: HospitalArchive, syntax: str, seed: int) -> None:
    """Render and encode one scan, and write it under the names of all patients."""
    import pydicom

    volume = make_phantom(SIZE, seed, "phantom_000")
    tags = [SeriesTags(PatientTags(seed, number), _NUMBER) for number in range(SERIES)]
    slices = make_slices(np.maximum(volume.hu, _AIR_HU), volume.geometry, tags[0], _VENDOR)
    for index, dataset in enumerate(slices):
        encode(dataset, syntax)
        meta = dataset.file_meta
        for number in range(SERIES):
            dataset.update(make_header(tags[number], _VENDOR, index))
            dataset.file_meta = meta
            archive.folder(number).mkdir(parents=True, exist_ok=True)
            pydicom.dcmwrite(archive.series(number)[index], dataset, enforce_file_format=True)
    _write_tables(archive, [item.patient.accession for item in tags], volume)


def _write_tables(archive: HospitalArchive, accessions: Sequence[str], volume: Volume) -> None:
    """Write masks, Couinaud maps and the label tables."""
    assert volume.couinaud_map is not None, "phantoms have a map"
    for name in accessions:
        write_nifti(archive.root / "masks" / f"{name}.nii.gz", volume.liver_mask.astype(np.uint8), volume.geometry)
        write_nifti(archive.root / "maps" / f"{name}.nii.gz", volume.couinaud_map, volume.geometry)
    segments = "|".join(map(str, np.flatnonzero(volume.image_label) + 1))
    for table, count in (("few.csv", FEW), ("all.csv", SERIES)):
        rows = "".join(f"{name},{segments}\n" for name in accessions[:count])
        (archive.root / table).write_text(f"accession,segments\n{rows}")


class BareDecoders(BareProcesses):
    """Processes that read series with the readers that everybody has, and do no more."""

    def decode(self, archive: HospitalArchive) -> int:
        """Decode every CT of an archive; return the number of files."""
        return self.work_through(read_files, map(archive.series, range(SERIES)))

    def decode_all(self, archive: HospitalArchive) -> int:
        """Decode what ingest reads, which is every CT with its liver mask and map; return the number of files."""
        return self.work_through(read_files, (archive.series(n) + archive.masks(n) for n in range(SERIES)))


def read_files(files: Sequence[str]) -> int:
    """Read files whole, one after another: DICOM with pydicom to HU, NIfTI with SimpleITK; return how many there are.

    This is what the readers' own documentation does, and all that it does: nothing is checked, ordered, hashed or kept.
    """
    import pydicom
    import SimpleITK
    from pydicom.pixels import apply_rescale

    for file in files:
        if file.endswith(".dcm"):
            dataset = pydicom.dcmread(file)
            apply_rescale(dataset.pixel_array, dataset)
        else:
            SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(file))
    return len(files)
