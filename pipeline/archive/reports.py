"""From a table of reports to the labels of volumes.

A volume is labeled with the segments that its reports name with a present tumor. It is healthy only if its reports say
so: they deny tumors in the liver or name benign findings, and leave nothing open. Whatever is in doubt goes to a review
list and is neither healthy nor used. No text of a report leaves this module, in messages neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path

from pipeline.archive.labels import SPLITS, LabelTable, StudyLabel, VolumeLabel, parse_segments, unsafe_id_error
from pipeline.archive.quarantine import Rejection
from pipeline.archive.report_table import TABLE, ReportColumns, ReportRow, read_report_rows
from pipeline.archive.report_text.report import present_segments, read_report
from pipeline.archive.report_text.status import LIMITED, STATUSES, Mention
from pipeline.archive.volume_ids import is_safe_id, replacement_id
from pipeline.csv_text import format_csv
from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder

REVIEW_CODES = frozenset(("LABEL_UNCERTAIN", "LABEL_NO_SEGMENT", "LABEL_NO_STATEMENT", "LABEL_CONFLICT"))
"""Reasons for which a person has to read the report."""
LABELS_FILE, REVIEW_FILE = "labels.csv", "review.csv"
_STEP = "list"
_GIVEN = "given+given"
"""Rule of a mention that a report-reading program wrote."""


def read_mentions(row: ReportRow) -> tuple[Mention, ...]:
    """Return what one row says: its text is read, or its segments and status are taken.

    Raises:
        CaseError: `LABEL_UNCERTAIN` if the text cannot be read at all, `SEGMENT_LABEL` or `STATUS_UNKNOWN` if segments
            or status are none.
    """
    if row.status or row.segments:
        return (_given_mention(row),)
    try:
        return read_report(row.text).mentions
    except Exception as error:  # one strange text must not stop an archive, and its words must not be in a traceback
        message = f"the report of {len(row.text)} characters cannot be read ({type(error).__name__})"
        raise CaseError("LABEL_UNCERTAIN", message, _STEP) from None


def decide_segments(mentions: Sequence[Mention]) -> tuple[int, ...]:
    """Return the segments 1..8 of a label, ascending; empty for a healthy liver.

    Args:
        mentions: What one report says.

    Raises:
        CaseError: `LABEL_NO_STATEMENT` if it says nothing of tumors in the liver, or only of former ones;
            `LABEL_NO_SEGMENT` if a tumor is present in no named segment; `LABEL_UNCERTAIN` if a tumor is in doubt
            outside the segments with a tumor, or a place is named of which nothing is understood.
    """
    segments = present_segments(tuple(mentions))
    count = sum(_is_open(mention, segments, mentions) for mention in mentions)
    if count:
        raise CaseError("LABEL_UNCERTAIN", f"{count} of {len(mentions)} statements on the liver are in doubt", _STEP)
    statuses = {mention.status for mention in mentions}
    if segments:
        return segments
    if "present" in statuses:
        raise CaseError("LABEL_NO_SEGMENT", "a tumor is present, but no segment of it is named", _STEP)
    if "absent" in statuses or ("benign" in statuses and "historical" not in statuses):
        return ()
    said = "former tumors only" if "historical" in statuses else "nothing of tumors in the liver"
    raise CaseError("LABEL_NO_STATEMENT", f"the report says {said}", _STEP)


def label_volumes(
    read: Iterable[tuple[str, tuple[Mention, ...] | CaseError]],
    canonical: Callable[[str], str] = str,
    splits: LabelTable | None = None,
    *,
    any_id: bool = False,
) -> LabelTable:
    """Return the labels of volumes from what was read of their reports, in any order.

    Rows that a report-reading program wrote of one id are one report. Several reports of one id are taken together:
    their segments are united, unless one of them says that the liver is healthy and another that it is not, which is
    `LABEL_CONFLICT`. A report that cannot decide sets its volume aside.

    Args:
        read: Id as written, and mentions or the reason why there are none.
        canonical: Turns an id as written into the id of the archive.
        splits: `read_splits`; volumes that it does not name are `train`.
        any_id: Take ids that are no file names, such as accession numbers with a slash.
    """
    labels: dict[str, VolumeLabel] = {}
    rejections = dict(splits.rejections) if splits else {}
    for name, decided in _decide_all(read, canonical).items():
        key = name if any_id or is_safe_id(name) else replacement_id(name)
        decision = decided if key == name else unsafe_id_error(name)
        known = splits.labels.get(key) if splits else None
        if isinstance(decision, CaseError):
            rejections.setdefault(key, Rejection.from_error(key, decision))
        elif key not in rejections:
            labels[key] = VolumeLabel(decision, known.split if known else SPLITS[0])
    return LabelTable(labels, rejections, TABLE)


def label_studies(read: Iterable[tuple[str, tuple[Mention, ...] | CaseError]], key: str) -> list[StudyLabel]:
    """Return the labels of a hospital archive's cases from what was read of their reports, in the order of ids.

    As `label_volumes`, but ids may be any text, and all splits are `train`.

    Args:
        read: Id as written, and mentions or the reason why there are none.
        key: What the ids are, as `StudyLabel.key`.
    """
    return [
        StudyLabel(key, name, None, decision, place="a report")
        if isinstance(decision, CaseError)
        else StudyLabel(key, name, VolumeLabel(decision, SPLITS[0]), place="a report")
        for name, decision in _decide_all(read).items()
    ]


def read_report_labels(
    path: Path, columns: ReportColumns, canonical: Callable[[str], str] = str, splits: LabelTable | None = None
) -> LabelTable:
    """Return the labels of volumes from a report table, in this process.

    Raises:
        RefusedInputError: As `read_report_rows`.
    """
    rows = read_report_rows(path, columns)
    return label_volumes(((row.volume_id, try_mentions(row)) for row in rows), canonical, splits)


def try_mentions(row: ReportRow) -> tuple[Mention, ...] | CaseError:
    """Return what `read_mentions` returns or raises."""
    try:
        return read_mentions(row)
    except CaseError as error:
        return error


def write_labels(run: RunFolder, table: LabelTable, column: str = "volume_id") -> Counter[str]:
    """Write `labels.csv`, which `read_labels` or `read_study_labels` takes, and `review.csv`, in the order of ids.

    Args:
        run: Where to.
        table: Labels, and what has none.
        column: How the column of ids is called.

    Returns:
        Number of volumes without a label, by reason code.
    """
    rows = [
        {column: key, "split": label.split, "segments": ";".join(map(str, label.segments))}
        for key, label in sorted(table.labels.items())
        if label.segments is not None
    ]
    run.write_bytes(format_csv((column, "split", "segments"), rows).encode(), LABELS_FILE)
    write_review(run, table.rejections.values(), column)
    return Counter(item.code for item in table.rejections.values())


def write_review(run: RunFolder, rejections: Iterable[Rejection], column: str = "volume_id") -> None:
    """Write `review.csv`: id, reason code and message of every volume whose reports a person has to read."""
    listed = sorted((item for item in rejections if item.code in REVIEW_CODES), key=lambda item: item.volume_id)
    rows = [{column: item.volume_id, "code": item.code, "message": item.message} for item in listed]
    run.write_bytes(format_csv((column, "code", "message"), rows).encode(), REVIEW_FILE)


def _given_mention(row: ReportRow) -> Mention:
    """Return the mention of a row that a program wrote."""
    status = next((status for status in STATUSES if status == row.status.lower()), None)
    if status is None:
        raise CaseError("STATUS_UNKNOWN", f"the status is none of {', '.join(STATUSES)}", _STEP)
    return Mention(status, parse_segments(row.segments), 0, 0, _GIVEN)


def _decide(mentions: tuple[Mention, ...] | CaseError) -> tuple[int, ...] | CaseError:
    """Return the segments of a report, or why there are none."""
    try:
        return mentions if isinstance(mentions, CaseError) else decide_segments(mentions)
    except CaseError as error:
        return error


def _decide_all(
    read: Iterable[tuple[str, tuple[Mention, ...] | CaseError]], canonical: Callable[[str], str] = str
) -> dict[str, tuple[int, ...] | CaseError]:
    """Return the segments of each id, or why there are none, in the order of ids."""
    decisions: dict[str, list[tuple[int, ...] | CaseError]] = {}
    given: dict[str, list[Mention]] = {}
    for written, mentions in read:
        name = canonical(written)
        if isinstance(mentions, tuple) and mentions and mentions[0].rule == _GIVEN:
            given.setdefault(name, []).extend(mentions)
        else:
            decisions.setdefault(name, []).append(_decide(mentions))
    for name, rows in given.items():
        decisions.setdefault(name, []).append(_decide(tuple(rows)))
    return {name: _unite(decisions[name]) for name in sorted(decisions)}


def _unite(decisions: Sequence[tuple[int, ...] | CaseError]) -> tuple[int, ...] | CaseError:
    """Return the segments of the reports of one volume, or why there are none."""
    errors = [decision for decision in decisions if isinstance(decision, CaseError)]
    if errors:
        return min(errors, key=str)
    found = [decision for decision in decisions if not isinstance(decision, CaseError)]
    segments = tuple(sorted(set(chain.from_iterable(found))))
    if segments and not all(found):
        return CaseError("LABEL_CONFLICT", f"the reports say both healthy and {';'.join(map(str, segments))}", _STEP)
    return segments


def _is_open(mention: Mention, segments: Sequence[int], mentions: Sequence[Mention]) -> bool:
    """Tell whether a mention leaves open what is in segments that are not known to hold a tumor."""
    if mention.rule == LIMITED:
        return not segments
    if mention.status == "uncertain":
        return not mention.segments or not set(mention.segments) <= set(segments)
    if not mention.sound:
        return True
    if mention.status != "none" or mention.rule != "numeral+no_finding":
        return False
    explained = chain(segments, *(other.segments for other in mentions if other.status != "none"))
    return not set(mention.segments) <= set(explained)
