"""A small synthetic hospital archive, and how to ingest it."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.config import CouinaudConfig, GridConfig, PhantomConfig, PipelineConfig, SourceConfig
from pipeline.config_archive import SynthesizeArchiveConfig
from pipeline.phantom_archive.tags import SECRETS
from tests.dicom_archive_cases import KEY, write_key

TINY = PhantomConfig(slices=12, height=48, width=60, slice_spacing_mm=14.0, pixel_spacing_mm=5.2)


def synthesis(root: Path, seed=0, **settings) -> PipelineConfig:
    """Settings of an archive in `root/site`."""
    archive = SynthesizeArchiveConfig(**{"folder": str(root / "site"), **settings})
    return PipelineConfig(run=str(root / "made"), seed=seed, phantom=TINY, synthesize_archive=archive)


def ingestion(root: Path, **source) -> PipelineConfig:
    """Settings of a run over that archive."""
    site = root / "site"
    folders = {"path": site / "dicom", "labels": site / "labels.csv", "masks": site / "masks"}
    folders |= {"couinaud_maps": site / "couinaud", "id_key": write_key(root, KEY)}
    settings = {name: str(path) for name, path in folders.items()} | {"decoder_memory_mb": 1024, **source}
    grid = GridConfig(height=48, width=60, spacing_mm=5.2, slab_length=8)
    source = SourceConfig(layout="dicom", **settings)
    return PipelineConfig(
        run=str(root / "run"), source=source, grid=grid, couinaud=CouinaudConfig(method="precomputed")
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def find_secrets(*contents: bytes) -> set[str]:
    """Return what some contents hold that must not leave the archive."""
    return {secret for secret in SECRETS if any(secret.encode() in content.lower() for content in contents)}


def read_folder(folder: Path):
    """Give name and bytes of everything in a folder, and what is compressed in it unpacked."""
    for path in folder.rglob("*"):
        yield path.name.encode()
        if path.is_file():
            yield path.read_bytes()
        if path.suffix == ".gz":
            yield gzip.decompress(path.read_bytes())
        if path.suffix == ".parquet":
            chunks = [chunk for column in pq.read_table(path).columns for chunk in column.chunks]
            yield from (bytes(data) for chunk in chunks for data in chunk.buffers() if data is not None)
