"""The cases of a source, whatever its layout, and what is to be said about those that are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.archive import catalog
from pipeline.archive.cases import CaseSource
from pipeline.archive.dicom.changes import find_changes, remember, require_same_key, write_identifiers
from pipeline.archive.dicom.inventory import Inventory, input_hash
from pipeline.archive.dicom.matching import add_splits, match_all, match_labels
from pipeline.archive.dicom.selection import Candidate, Selection, select
from pipeline.archive.labels import StudyLabel, VolumeLabel, read_study_labels, read_study_splits
from pipeline.archive.quarantine import Rejection, read_rejections, remove_rejection
from pipeline.archive.report_table import find_columns, find_study_key, read_report_rows
from pipeline.archive.reports import label_studies
from pipeline.archive.site_key import load_site_key, series_id
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.stages.discover_series import examine, take_inventory
from pipeline.stages.extract_labels import extract_mentions


@dataclass(frozen=True)
class FoundCases:
    """What there is to ingest.

    Args:
        cases: Cases to be read.
        rejections: Cases that are set aside before anything is read.
        report: What the step's report says beyond that.
        unused_labels: Ids of labels that name no image, where these are file names; none that a report gave.
        patients: Hash of each case's patient id, where the layout tells it; in memory only.
    """

    cases: list[CaseSource]
    rejections: list[Rejection]
    report: dict[str, Any] = field(default_factory=dict)
    unused_labels: tuple[str, ...] = ()
    patients: Mapping[str, str] = field(default_factory=dict, repr=False)


def find_cases(run: RunFolder, config: PipelineConfig, remove: Callable[[RunFolder, str], None]) -> FoundCases:
    """Find the cases of the source; with `source.unlabeled` all are of the split `test`.

    Results are removed whose files or label changed since the run folder saw them.

    Args:
        run: Run folder.
        config: Settings of the run.
        remove: Removes what there is of a volume.

    Raises:
        RefusedInputError: As `survey` and `match_labels`; if the run folder's ids were made with another key.
    """
    find = _find_in_archive if config.source.layout == "dicom" else _find_on_disk
    found = find(run, config, remove)
    if not config.source.unlabeled:
        return found
    return replace(found, cases=[replace(case, split="test") for case in found.cases])


def _find_in_archive(run: RunFolder, config: PipelineConfig, remove: Callable[[RunFolder, str], None]) -> FoundCases:
    """Find the cases of a hospital archive."""
    key = load_site_key(config.source.id_key)
    require_same_key(run, key)
    labels, splits = _read_labels(config.source)
    inventory = take_inventory(config.source)
    placed = match_labels(splits, inventory, key)
    if config.source.takes_all:
        matches = match_all(inventory)
    else:
        matches = add_splits(match_labels(labels, inventory, key), placed)
    candidates, identifiers = examine(matches, inventory, config.source, key)
    selection = select(matches, candidates, inventory, key, masks_required=not config.source.liver_network)
    if config.source.reidentification:
        write_identifiers(config.source.reidentification, run, identifiers)
    there = {key.volume_id(series) for series in inventory.series}
    changes = find_changes(run, selection.inputs, lambda volume_id: series_id(volume_id) in there)
    for volume_id in changes.stale:
        remove(run, volume_id)
    remember(run, changes, key)
    _forget_rejections(run, selection.cases, selection.rejections)
    report = _report(selection, inventory, candidates) | {
        "labels": len(labels),
        "splits_without_series": sum(not match.series for match in placed),
        "changes": changes.counts,
    }
    counts = {"labels_without_images": selection.unmatched, "unread_folders": inventory.skipped["FOLDER_UNREADABLE"]}
    given = {"archive": report, **counts}
    return FoundCases(selection.cases, selection.rejections, given, patients=selection.patients)


def _find_on_disk(run: RunFolder, config: PipelineConfig, remove: Callable[[RunFolder, str], None]) -> FoundCases:
    """Find the cases of a layout whose ids are its own; phantoms have no files that could change."""
    listed = catalog.survey(config)
    _forget_rejections(run, listed.cases, listed.rejections)
    report: dict[str, Any] = {"labels_without_images": len(listed.unused_labels)}
    if config.source.layout != "phantom":
        inputs = {
            case.volume_id: f"{input_hash(catalog.list_files(case))} {VolumeLabel(case.segments, case.split)}"
            for case in listed.cases
        }
        rejected = {item.volume_id for item in listed.rejections}
        changes = find_changes(run, inputs, lambda volume_id: volume_id in rejected)
        for volume_id in changes.stale:
            remove(run, volume_id)
        remember(run, changes)
        report["changes"] = changes.counts
    named = () if config.source.reports else listed.unused_labels  # a report's id may be the hospital's
    return FoundCases(listed.cases, listed.rejections, report, named)


def _read_labels(source: SourceConfig) -> tuple[list[StudyLabel], list[StudyLabel]]:
    """Return the labels of a hospital archive, and, if they come from reports, what the label table says beside them.

    Workers read the reports; only what they say of tumors comes here. Where every case is taken there are none.
    """
    if source.takes_all:
        return [], []
    table = Path(source.labels or Path(source.path, "volume_labels.csv")).expanduser().absolute()
    if not source.reports:
        if not source.labels and "://" in source.path:
            raise RefusedInputError(f"source.labels: needed for a source behind a URI, {source.path!r}")
        return read_study_labels(table), []
    splits = read_study_splits(table) if source.labels else []
    reports = Path(source.reports).expanduser().absolute()
    columns = find_columns(reports, source.report_id_column, source.report_text_column)
    key = find_study_key(columns.id)
    return label_studies(extract_mentions(read_report_rows(reports, columns)), key), splits


def _forget_rejections(run: RunFolder, cases: Sequence[CaseSource], rejections: Sequence[Rejection]) -> None:
    """Forget what earlier runs set aside and this one does not speak of."""
    current = {case.volume_id for case in cases} | {item.volume_id for item in rejections}
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
    }
