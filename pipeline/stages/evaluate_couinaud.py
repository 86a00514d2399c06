"""Constructors against annotations over an archive: one annotated case in, one result per method out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pipeline.archive.cases import CaseSource
from pipeline.archive.catalog import read_case
from pipeline.config import CouinaudMethod, PipelineConfig
from pipeline.couinaud import construct
from pipeline.couinaud.agreement import compare_maps
from pipeline.couinaud.evaluation import MethodResult
from pipeline.couinaud.evaluation_picture import CutVolume, cut_volume
from pipeline.couinaud.methods import OPTIONAL_INPUTS, list_methods
from pipeline.couinaud.result import CouinaudMap
from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder
from pipeline.stages.base import CaseStage, Row
from pipeline.stages.volumes import CASE_COLUMNS, load_networks, map_volumes, reject
from pipeline.volume import Volume

STEP = "evaluate_couinaud"


class EvaluateConstructors(CaseStage):
    """Construct the map of one annotated case with each method and compare it with the annotation.

    Args:
        run: Run folder; nothing is written to it.
        config: Settings, as `evaluation_config` gives them.
    """

    reads = (*CASE_COLUMNS, "pictured")
    emits = ("results", "picture")
    step = STEP

    def __init__(self, run: RunFolder, config: PipelineConfig) -> None:
        self.run = run
        self.config = config

    def setup(self) -> None:
        """Load the network, if it is compared, and that of the liver, once per process."""
        load_networks(self.config)

    def process(self, row: Row) -> Iterator[Row]:
        """Give the results of all methods and, if it is wanted, one slice of their maps."""
        case, picture = CaseSource.from_row(row), b""
        try:
            volume = read_case(case, self.config, OPTIONAL_INPUTS)
            annotation = construct(volume, replace(self.config.couinaud, method="precomputed"))
        except Exception as error:  # one poisoned file must not stop an archive
            results = [_fail(case, reject(case.volume_id, error, STEP).code)]
        else:
            made = dict(self._construct(volume, annotation))
            results = [result for result, _ in made.values()]
            if row["pictured"]:
                maps = {name: found.labels for name, (_, found) in made.items() if found}
                picture = cut_volume(volume, {"annotation": annotation.labels, **maps}).to_bytes()
        yield {"results": [result.to_json() for result in results], "picture": picture}

    def reject(self, row: Row, error: CaseError) -> Row:
        """Return the row of a case without a method's result."""
        return {"results": [_fail(CaseSource.from_row(row), error.code).to_json()], "picture": b""}

    def _construct(
        self, volume: Volume, annotation: CouinaudMap
    ) -> Iterator[tuple[str, tuple[MethodResult, CouinaudMap | None]]]:
        """Give each method's result and map."""
        blind = replace(volume, couinaud_map=None)
        wanted = self.config.couinaud_evaluation.methods
        for method in list_methods(volume, self.config.couinaud):
            if wanted and method not in wanted:
                continue
            started = time.perf_counter()
            try:
                made = construct(blind, replace(self.config.couinaud, method=method))
            except Exception as error:  # a method that cannot do a case is a result, too
                code = reject(volume.volume_id, error, STEP).code
                yield method, (MethodResult(volume.volume_id, volume.split, method, code=code), None)
                continue
            seconds = time.perf_counter() - started
            area = self.config.image_labels.minimum_area_mm2
            agreement = compare_maps(made.labels, annotation.labels, volume, area)
            yield method, (MethodResult(volume.volume_id, volume.split, method, seconds, made.flags, agreement), made)


def _fail(case: CaseSource, code: str) -> MethodResult:
    """Return what there is to say of a case that cannot be used."""
    return MethodResult(case.volume_id, case.split, "", code=code)


def evaluation_config(config: PipelineConfig) -> PipelineConfig:
    """Return settings under which the network is loaded if, and only if, it is compared."""
    methods = config.couinaud_evaluation.methods
    compared = bool(config.couinaud.network and not methods) or "network" in methods
    method: CouinaudMethod = "network" if compared else "shape"
    network = config.couinaud.network if compared else ""
    return replace(config, couinaud=replace(config.couinaud, method=method, network=network))


def evaluate_constructors(
    run: RunFolder, config: PipelineConfig, cases: Sequence[CaseSource], pictured: int
) -> Iterator[tuple[list[MethodResult], CutVolume | None]]:
    """Run annotated cases through the comparison, in any order.

    Args:
        run: Run folder.
        config: Settings, as `evaluation_config` gives them.
        cases: Cases with an annotation, at least one.
        pictured: So many of them, spread over the archive, come with a slice for the picture.
    """
    from pipeline.stages.session import work_items

    chosen = set(np.linspace(0, len(cases) - 1, min(pictured, len(cases))).astype(int).tolist())
    rows = [{**case.to_row(), "pictured": number in chosen} for number, case in enumerate(cases)]
    work = work_items("evaluate_couinaud", rows, blocks_per_cpu=len(rows))
    for row in map_volumes(work, EvaluateConstructors, run, config).iter_rows():
        picture = CutVolume.from_bytes(row["picture"]) if row["picture"] else None
        yield [MethodResult.from_json(text) for text in row["results"]], picture
