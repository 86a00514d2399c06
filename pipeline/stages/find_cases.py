"""The cases of a source, whatever its layout, and what is to be said about those that are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.archive import catalog
from pipeline.archive.cases import CaseSource
from pipeline.archive.dicom_changes import find_changes, remember, require_same_key, write_identifiers
from pipeline.archive.dicom_inventory import Inventory
from pipeline.archive.dicom_selection import Candidate, Selection, match_labels, select
from pipeline.archive.labels import read_study_labels
from pipeline.archive.quarantine import Rejection, read_rejections, remove_rejection
from pipeline.archive.site_key import load_site_key
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.stages.discover_series import examine, take_inventory


@dataclass(frozen=True)
class FoundCases:
    """What there is to ingest.

    Args:
        cases: Cases to be read.
        rejections: Cases that are set aside before anything is read.
        report: What the step's report says beyond that.
    """

    cases: list[CaseSource]
    rejections: list[Rejection]
    report: dict[str, Any] = field(default_factory=dict)


def find_cases(run: RunFolder, config: PipelineConfig, remove: Callable[[RunFolder, str], None]) -> FoundCases:
    """Find the cases of the source.

    Of a hospital archive, results are removed whose input changed since the run folder saw it.

    Args:
        run: Run folder.
        config: Settings of the run.
        remove: Removes what there is of a volume.

    Raises:
        RefusedInputError: As `list_cases`; if the run folder's ids were made with another key; if no label has a
            volume.
    """
    if config.source.layout != "dicom":
        return FoundCases(*catalog.list_cases(config))
    if config.source.reports:
        raise RefusedInputError(
            "source.reports: a DICOM tree needs a label table; extract_labels makes one, whose column volume_id becomes"
            " accession or series"
        )
    key = load_site_key(config.source.id_key)
    require_same_key(run, key)
    labels = read_study_labels(_label_table(config))
    inventory = take_inventory(config.source)
    matches = match_labels(labels, inventory, key)
    candidates, identifiers = examine(matches, inventory, config.source, key)
    selection = select(matches, candidates, inventory, key)
    if config.source.reidentification:
        write_identifiers(config.source.reidentification, run, identifiers)
    known = {item.volume_id for item in chain.from_iterable(candidates.values())}
    known |= {key.volume_id(series) for series in inventory.series}
    changes = find_changes(run, selection.inputs, known)
    for volume_id in changes.stale:
        remove(run, volume_id)
    remember(run, key, changes)
    _forget_rejections(run, selection)
    report = _report(selection, inventory, candidates) | {"changes": changes.counts}
    return FoundCases(selection.cases, selection.rejections, {"archive": report})


def _label_table(config: PipelineConfig) -> Path:
    """Return the path of the label table."""
    source = config.source
    if not source.labels and "://" in source.path:
        raise RefusedInputError(f"source.labels: needed for a source behind a URI, {source.path!r}")
    return Path(source.labels or Path(source.path, "volume_labels.csv")).expanduser().absolute()


def _forget_rejections(run: RunFolder, selection: Selection) -> None:
    """Forget what earlier runs set aside and this one does not speak of."""
    current = {case.volume_id for case in selection.cases} | {item.volume_id for item in selection.rejections}
    for rejection in read_rejections(run):
        if rejection.volume_id not in current:
            remove_rejection(run, rejection.volume_id)


def _report(selection: Selection, inventory: Inventory, candidates: dict[str, list[Candidate]]) -> dict[str, Any]:
    """Return what became of every file and every series."""
    whole = [found for series, found in inventory.series.items() if series not in candidates]
    return {
        "files": inventory.files,
        "slices": sum(found.count for found in inventory.series.values()),
        "other_files": dict(sorted(inventory.skipped.items())),
        "dropped_slices": dict(sorted((+inventory.dropped).items())),
        "series": len(whole) + sum(len(items) for items in candidates.values()),
        "skipped_series": dict(sorted(selection.skipped.items())),
        "labels_without_series": selection.unmatched,
    }
