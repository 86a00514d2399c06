"""Which series of a hospital archive a label speaks of: ids in label and report tables are hashed and looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.archive.dicom.inventory import FoundSeries, Inventory
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.labels import NO_LABEL, STUDY_KEYS, StudyLabel
from pipeline.archive.site_key import SiteKey
from pipeline.errors import CaseError, RefusedInputError


@dataclass(frozen=True)
class Match:
    """A label with the series that it speaks of.

    Args:
        label: The label.
        series: Its series.
        masks: Where another table says that the liver masks of series lie, by series.
    """

    label: StudyLabel
    series: tuple[FoundSeries, ...]
    masks: Mapping[str, str] = field(default_factory=dict)

    def liver_mask(self, series: str) -> str:
        """Return where a table says that the liver mask of a series lies; empty if none says so."""
        return self.masks.get(series, self.label.liver_mask)


class SeriesFinder:
    """Finds series by what people call them.

    Args:
        inventory: All series.
        key: Makes our ids.
    """

    def __init__(self, inventory: Inventory, key: SiteKey) -> None:
        self._series = inventory.series
        self._studies = inventory.by_accession()
        self._volumes = {key.volume_id(series): found for series, found in inventory.series.items()}

    def find(self, key: str, identifier: str) -> list[FoundSeries]:
        """Return the series that an identifier of one of `STUDY_KEYS` names, in the order of hashes, perhaps none."""
        if key == "accession":
            return self._studies.get(hash_text(identifier), [])
        if key == "series":
            found = self._series.get(hash_text(identifier))
        else:
            found = self._volumes.get(identifier) or self._volumes.get(identifier.rpartition("-")[0])
        return [found] if found else []

    def name_key(self, label: StudyLabel) -> StudyLabel:
        """Return a label with the first of `STUDY_KEYS` under which there is something, if its table says none."""
        if label.key:
            return label
        return replace(label, key=next((key for key in STUDY_KEYS if self.find(key, label.identifier)), "accession"))


def match_labels(labels: Sequence[StudyLabel], inventory: Inventory, key: SiteKey) -> list[Match]:
    """Find the series of each label. Rows that name a series go before rows that name a study.

    A series belongs to the first row that finds it; a row of which nothing is left keeps its place with no series.

    Raises:
        RefusedInputError: If the table does not say what its ids are, and none of them is there.
    """
    finder, taken = SeriesFinder(inventory, key), set[str]()
    matches = []
    for label in sorted(map(finder.name_key, labels), key=lambda item: item.key == "accession"):
        found = finder.find(label.key, label.identifier)
        free = tuple(item for item in found if item.series not in taken)
        taken |= {item.series for item in free}
        matches.append(Match(label, free))
    if labels and not taken and not any(label.key for label in labels):
        message = f"none of {len(labels)} ids is an accession number, series instance UID or volume id of the archive"
        raise RefusedInputError(f"report table: {message}; set source.report_id_column")
    return matches


def match_all(inventory: Inventory) -> list[Match]:
    """Take all series with slices without a label, those of an accession number together, others each alone."""
    label, taken, matches = StudyLabel("accession", "", NO_LABEL), set[str](), []
    studies = [study for _, study in sorted(inventory.by_accession().items())]
    for study in [*studies, *([found] for _, found in sorted(inventory.series.items()))]:
        free = tuple(found for found in study if found.count and found.series not in taken)
        taken |= {found.series for found in free}
        if free:
            matches.append(Match(label, free))
    return matches


def add_splits(matches: Iterable[Match], splits: Iterable[Match]) -> list[Match]:
    """Give labels from reports what a table says of their series: the split and liver masks.

    A label whose series are in several splits is set aside; one of whose series nothing is said stays `train`.

    Args:
        matches: Labels with their series.
        splits: Rows of the table with theirs.
    """
    rows = {found.series: item.label for item in splits for found in item.series}
    return [
        _add_split(match, {found.series: rows[found.series] for found in match.series if found.series in rows})
        for match in matches
    ]


def _add_split(match: Match, rows: Mapping[str, StudyLabel]) -> Match:
    """Give one label what the rows of its series say."""
    masks = {series: row.liver_mask for series, row in rows.items()}
    label, error = match.label, next((row.error for row in rows.values() if row.error), None)
    splits = sorted({row.label.split for row in rows.values() if row.label})
    if len(splits) > 1:
        error = CaseError("LABEL_CONFLICT", f"the label table says both {splits[0]} and {splits[1]}", "list")
    if label.label and error:
        label = replace(label, label=None, error=error)
    elif label.label and splits:
        label = replace(label, label=replace(label.label, split=splits[0]))
    return Match(label, match.series, masks)
