"""Couinaud maps of an archive without anything else: one case in, its map in the run folder, one narrow row out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pipeline.archive.cases import CaseSource
from pipeline.archive.catalog import list_files, read_case
from pipeline.archive.dicom.changes import find_changes, remember
from pipeline.archive.dicom.inventory import input_hash
from pipeline.archive.quarantine import Rejection, remove_rejection, write_rejection
from pipeline.config import PipelineConfig
from pipeline.couinaud.kept_maps import ROWS, construct_or_take, remove_map, write_map
from pipeline.run_folder import RunFolder
from pipeline.stages.base import REASON, CaseStage, Row, check_flow
from pipeline.stages.volumes import CASE_COLUMNS, load_networks, map_volumes, reject

STEP = "construct_couinaud"
INPUTS = "couinaud_inputs.json"
"""What the maps were made from, as `archive.json` says it of volumes."""


class ConstructCouinaud(CaseStage):
    """Read one case, construct its Couinaud map and write it; say why if that cannot be done.

    Args:
        run: Run folder.
        config: Settings of the run.
    """

    reads = CASE_COLUMNS
    emits = ("volume_id", *REASON, "step")
    step = STEP

    def __init__(self, run: RunFolder, config: PipelineConfig) -> None:
        self.run = run
        self.config = config

    def setup(self) -> None:
        """Load the networks that there may be use for, once per process."""
        load_networks(self.config)

    def process(self, row: Row) -> Iterator[Row]:
        """Give one row; its code is empty if the map was written."""
        case = CaseSource.from_row(row)
        result = Rejection(case.volume_id, "", "", "")
        try:
            volume = read_case(case, self.config)
            write_map(self.run, volume, construct_or_take(self.run, volume, self.config.couinaud))
        except Exception as error:  # one poisoned file must not stop an archive
            result = reject(case.volume_id, error, STEP)
        yield vars(result)


def construct_maps(run: RunFolder, config: PipelineConfig, cases: Sequence[CaseSource]) -> Iterator[Rejection]:
    """Construct the maps of cases and give one outcome each, in any order; its code is empty where there is a map.

    Args:
        run: Run folder.
        config: Settings of the run.
        cases: Cases without a map, perhaps none.
    """
    if cases:
        from pipeline.stages.session import work_items

        rows = [case.to_row() for case in cases]
        check_flow(list(rows[0]), [ConstructCouinaud])
        work = work_items("construct_couinaud", rows, blocks_per_cpu=len(rows))
        for row in map_volumes(work, ConstructCouinaud, run, config).iter_rows():
            yield Rejection(**row)


def find_unmapped(
    run: RunFolder, cases: Sequence[CaseSource], rejections: Sequence[Rejection]
) -> tuple[list[CaseSource], dict[str, int]]:
    """Remove maps whose input is not what it was, or is not remembered; return the cases without one, and the changes.

    Args:
        run: Run folder.
        cases: Cases of the source.
        rejections: Those that are set aside before anything is read.
    """
    inputs = {case.volume_id: input_hash(list_files(case)) for case in cases}
    rejected = {item.volume_id for item in rejections}
    changes = find_changes(run, inputs, rejected.__contains__, INPUTS)
    outdated = changes.stale | changes.new
    for volume_id in outdated:
        remove_map(run, volume_id)
    if outdated:
        remember(run, changes, state=INPUTS)
    mapped = set(run.names(ROWS))
    return [case for case in cases if f"{case.volume_id}.parquet" not in mapped], changes.counts


def set_aside(run: RunFolder, outcomes: Iterable[Rejection]) -> Counter[str]:
    """Quarantine the cases that have no map, and forget what an earlier attempt said of those that have one.

    What `ingest` has set aside stays so: its reasons are others.

    Returns:
        Number of rejected cases by reason code.
    """
    reasons: Counter[str] = Counter()
    ingested = run.exists("reports", "ingest.json")
    for outcome in outcomes:
        if outcome.code:
            write_rejection(run, outcome)
            reasons[outcome.code] += 1
        elif not ingested:
            remove_rejection(run, outcome.volume_id)
    return reasons
