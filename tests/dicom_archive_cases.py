"""A small hospital archive: patients with a liver, their series as scanners write them, and what breaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pipeline.config import CouinaudConfig, GridConfig, PipelineConfig, SourceConfig
from pipeline.phantom_archive.files import save  # noqa: F401 - for the tests that write archives
from pipeline.phantom_archive.tags import CANARY
from tests.archive_cases import make_slices, write_image

SHAPE = (12, 40, 48)
SPACING_MM = (5.0, 5.0, 5.0)
ORIGIN_MM = (-120.0, -100.0, -700.0)
KEY = "0123456789abcdef0123456789abcdef"


def make_ct(seed=0, shape=SHAPE):
    """Air around a body with a liver in it; noise, so that no flip or shift goes unnoticed."""
    rng = np.random.default_rng(seed)
    hu = np.full(shape, -1000, np.int16)
    hu[:, 4:36, 4:44] = 40
    hu[make_liver(shape) > 0] = 100
    return (hu + rng.integers(-10, 11, shape)).astype(np.int16)


def make_liver(shape=SHAPE):
    """430 ml on the patient's right."""
    mask = np.zeros(shape, np.uint8)
    mask[2:10, 8:32, 8:32] = 1
    mask[2:10, 20:32, 20:32] = 0  # no liver fills its bounding box
    return mask


def make_series(array=None, *, patient="1", accession="A1", study=None, description="", **values) -> list[Dataset]:
    """Return a zyx array as the slices of one series of a patient."""
    slices = make_slices(make_ct() if array is None else array, spacing=SPACING_MM, origin=ORIGIN_MM)
    study, frame = study or generate_uid(), generate_uid()
    for number, dataset in enumerate(slices, start=1):
        dataset.PatientName, dataset.PatientID = f"{CANARY}^Jane", f"{CANARY}-{patient}"
        dataset.PatientBirthDate, dataset.StudyDate = "19431231", "20250914"
        dataset.ReferringPhysicianName = f"{CANARY}^Doctor"
        dataset.StudyInstanceUID, dataset.FrameOfReferenceUID = study, frame
        dataset.AccessionNumber = f"{CANARY}{accession}"
        dataset.SeriesDescription = f"{CANARY} {description}"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.AcquisitionNumber, dataset.AcquisitionTime, dataset.InstanceNumber = 1, f"1030{number:02d}", number
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    return slices


def series_uid(slices) -> str:
    return slices[0].SeriesInstanceUID


def write_mask(folder: Path, name: str, mask=None, **geometry) -> Path:
    """Write a liver mask as NIfTI on the grid of `make_series`."""
    path = folder / f"{name}.nii.gz"
    write_image(
        path, make_liver() if mask is None else mask, **{"spacing": SPACING_MM, "origin": ORIGIN_MM, **geometry}
    )
    return path


def write_map(folder: Path, name: str, last: int = 8) -> Path:
    """Write a Couinaud map of stripes, the segments up to `last`."""
    stripes = np.clip((np.arange(SHAPE[2]) - 8) // 3 + 1, 1, last).astype(np.uint8)
    return write_mask(folder, name, make_liver() * stripes)


def write_labels(path: Path, rows, key="series") -> Path:
    """Write a label table of (identifier, segments)."""
    path.write_text(f"{key},segments\n" + "".join(f"{name},{segments}\n" for name, segments in rows))
    return path


def write_key(folder: Path, key: str) -> Path:
    """Write the site's key, for its owner only."""
    path = folder / "key"
    path.write_text(key)
    path.chmod(0o600)
    return path


def configure(root: Path, run: Path, **source) -> PipelineConfig:
    """Settings for an archive in `root/archive`, with the masks, labels and key beside it."""
    write_key(root, KEY)
    for name in ("masks", "maps"):
        (root / name).mkdir(exist_ok=True)
    settings = {
        "path": str(root / "archive"),
        "labels": str(root / "labels.csv"),
        "masks": str(root / "masks"),
        "couinaud_maps": str(root / "maps"),
        "id_key": str(root / "key"),
        "decoder_memory_mb": 2048,
        "decoder_seconds": 60.0,
        **source,
    }
    grid = GridConfig(height=48, width=48, spacing_mm=5.0, slab_length=8)
    couinaud = CouinaudConfig(method="precomputed")
    return PipelineConfig(run=str(run), source=SourceConfig(layout="dicom", **settings), grid=grid, couinaud=couinaud)
