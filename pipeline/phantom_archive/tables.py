"""The tables of the archive, gathered from its patients' records: labels, reports, and what is to become of it all."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.phantom_archive.records import WORK, PatientRecord, read_record, record_path
from pipeline.steps import find_differences, plain_settings

LABELS, REPORTS, SPLITS = "labels.csv", "reports.csv", "splits.csv"
MANIFEST, SETTINGS = "manifest.csv", "settings.json"
LABEL_COLUMNS = ("accession", "segments", "split")
REPORT_COLUMNS = ("accession", "text")
SPLIT_COLUMNS = ("accession", "split")
MANIFEST_COLUMNS = ("accession", "series", "kind", "outcome", "code", "fault", "vendor", "mask", "report")
"""`code` is the reason, or a volume's note; `report` says what the text does: `segments`, `healthy`, `uncertain`."""


def open_archive(config: PipelineConfig) -> Path:
    """Return the archive's folder, made if it is not there, with the settings that all of its patients share.

    Raises:
        RefusedInputError: If none is named, it is a URI, it holds something else, or it was made with other settings.
    """
    folder = config.synthesize_archive.folder
    if not folder or "://" in folder:
        raise RefusedInputError(f"synthesize_archive.folder: --archive must name a local folder, got {folder!r}")
    root = Path(folder).expanduser().absolute()
    path, settings = root / SETTINGS, _settings(config)
    if path.is_file():
        for key, (old, new) in find_differences(json.loads(path.read_text(encoding="utf-8")), settings).items():
            raise RefusedInputError(f"the archive was made with {key} = {old!r}, now it is {new!r}; use another folder")
    elif root.is_dir() and any(root.iterdir()):
        raise RefusedInputError(f"synthesize_archive.folder: {folder!r} holds something else; use another folder")
    root.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as stream:
        stream.write(json.dumps(settings, indent=2) + "\n")
    return root


def find_missing(root: Path, count: int) -> list[int]:
    """Return the numbers of the patients that have not been written."""
    return [index for index in range(count) if not record_path(root, index).exists()]


def write_tables(root: Path, count: int) -> Counter[str]:
    """Write the tables, patients in order; hold one patient at a time. Remove what interrupted runs left.

    Returns:
        Number of series by what is to become of them.
    """
    _write_csv(root / LABELS, LABEL_COLUMNS, (_label(record) for record in _records(root, count)))
    _write_csv(root / REPORTS, REPORT_COLUMNS, ((item.accession, item.report) for item in _records(root, count)))
    _write_csv(root / SPLITS, SPLIT_COLUMNS, ((item.accession, item.plan.split) for item in _records(root, count)))
    rows = (row for record in _records(root, count) for row in _manifest(record))
    _write_csv(root / MANIFEST, MANIFEST_COLUMNS, rows)
    for leftover in root.glob(f"{WORK}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    outcomes = (item.outcome for record in _records(root, count) for item in record.series if item.series)
    return Counter(outcomes)


def _settings(config: PipelineConfig) -> dict[str, Any]:
    """Return what patients depend on: all but how many there are, and where."""
    archive = plain_settings(config.synthesize_archive)
    for name in ("folder", "patients"):
        del archive[name]
    return {"seed": config.seed, "phantom": plain_settings(config.phantom), "synthesize_archive": archive}


def _records(root: Path, count: int) -> Iterator[PatientRecord]:
    """Give the records of the patients in order."""
    return (read_record(root, index) for index in range(count))


def _label(record: PatientRecord) -> Sequence[str]:
    """Return a row of the label table."""
    return (record.accession, ";".join(map(str, record.segments)), record.plan.split)


def _manifest(record: PatientRecord) -> Iterator[Sequence[str]]:
    """Give a row for each series of a patient."""
    plan = record.plan
    statement = "uncertain" if plan.uncertain else "segments" if record.segments else "healthy"
    for item in record.series:
        said = (item.series, item.kind, item.outcome, item.code)
        yield (record.accession, *said, plan.fault, plan.vendor, plan.mask_form, statement)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a table row by row."""
    with _replacing(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """Open a file that takes its place when all of it is written."""
    temporary = path.with_name(f"{path.name}.tmp-{uuid4().hex}")
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        yield stream
    temporary.rename(path)
