"""Ingest over an archive: one case in, its slabs of slices out, the volume's row last.

`DecodeVolume` reads a case once and streams its slabs; `WriteSlab` resamples and writes them. A bad case becomes one
row with a reason instead. The driver sees narrow rows only: it commits a volume when all of its slabs have arrived.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pipeline.archive.cases import CaseSource
from pipeline.archive.catalog import read_case
from pipeline.archive.quarantine import Rejection, remove_rejection, write_rejection
from pipeline.config import GridConfig, PipelineConfig
from pipeline.couinaud.checks import require_named_segments
from pipeline.couinaud.kept_maps import TimedMap, construct_or_take, write_map
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, native_references_schema, references_schema, slices_schema
from pipeline.slabs import VolumeRow, slab_name, write_volume_row
from pipeline.slicing import (
    NativeSlab,
    SlicePlan,
    cut_slab,
    make_reference_slab,
    make_slab,
    plan_slices,
    volume_row,
)
from pipeline.stages.base import REASON, CaseStage, Row, check_flow
from pipeline.stages.volumes import CASE_COLUMNS, load_networks, map_volumes, reject
from pipeline.volume import Volume

if TYPE_CHECKING:
    import ray.data

STEP = "ingest"
_PLANES = {"hu": np.int16, "liver_mask": np.bool_, "couinaud_map": np.uint8, "reference_mask": np.bool_}
_NO_SLAB: Row = {"slab": 0, "volume": "", "slice_index": b"", "box": [0, 0, 0, 0], **dict.fromkeys(_PLANES, b"")}


class DecodeVolume(CaseStage):
    """Read one case, construct its Couinaud map and emit its slabs; write its reference masks on its own grid.

    Holds one volume and one slab. Whatever can be wrong with a case shows before its first slab, so that a rejected
    case has no slabs.

    Args:
        run: Run folder.
        config: Settings of the run.
    """

    reads = CASE_COLUMNS
    emits = ("volume_id", "slab", "volume", "slice_index", "box", *_PLANES, *REASON, "step")
    step = STEP
    nothing: ClassVar[Row] = _NO_SLAB

    def __init__(self, run: RunFolder, config: PipelineConfig) -> None:
        self.run = run
        self.config = config

    def setup(self) -> None:
        """Load the networks that there may be use for, once per process."""
        load_networks(self.config)

    def process(self, row: Row) -> Iterator[Row]:
        """Emit one row per slab, or a single row that says why there are none."""
        case = CaseSource.from_row(row)
        try:
            volume, made, plan = self._decode(case)
        except Exception as error:  # one poisoned file must not stop an archive
            rejection = reject(case.volume_id, error, "decode")
            yield {**_NO_SLAB, **vars(rejection)}
            return
        described = pack_volume(volume_row(volume, plan, made.map.method, made.flags, made.seconds))
        _write_native_reference(self.run, volume)
        if self.config.couinaud.write_maps:
            write_map(self.run, volume, made)
        for slab in plan.slabs:
            yield _slab_row(case.volume_id, described, cut_slab(volume, plan, slab))

    def _decode(self, case: CaseSource) -> tuple[Volume, TimedMap, SlicePlan]:
        """Read and check a case; CaseError if it cannot be used."""
        volume = read_case(case, self.config)
        made = construct_or_take(self.run, volume, self.config.couinaud)
        require_named_segments(made.map, volume.image_label)
        return volume, made, plan_slices(volume, made.map.labels, self.config.grid)


class WriteSlab(CaseStage):
    """Resample one slab to the run's grid, write its tables and emit a narrow row; pass rejections through.

    Args:
        run: Run folder.
        grid: The run's grid.
    """

    reads = DecodeVolume.emits
    emits = ("volume_id", "slab", "volume", *REASON, "step")
    step = STEP

    def __init__(self, run: RunFolder, grid: GridConfig) -> None:
        self.run = run
        self.grid = grid

    def process(self, row: Row) -> Iterator[Row]:
        """Write `slices/` and, where there is a reference mask, `references/grid/`."""
        if not row["code"]:
            volume, native = unpack_volume(row["volume"]), _unpack_slab(row)
            name, shape = slab_name(native.slab), (self.grid.height, self.grid.width)
            table = encode(make_slab(native, volume, self.grid), slices_schema(*shape))
            self.run.write_table(table, "slices", volume.volume_id, name)
            if volume.has_reference:
                table = encode(make_reference_slab(native, volume, self.grid), references_schema(*shape))
                self.run.write_table(table, "references", "grid", volume.volume_id, name)
        yield {name: row[name] for name in self.emits}


def ingest_cases(
    run: RunFolder, config: PipelineConfig, cases: Sequence[CaseSource]
) -> Iterator[VolumeRow | Rejection]:
    """Run cases through the flow and give one outcome per case, as soon as it is known; nothing is committed yet.

    Args:
        run: Run folder; slices and references are written to it.
        config: Settings of the run.
        cases: Cases that are not committed, perhaps none.

    Raises:
        RuntimeError: If the flow lost rows.
    """
    if cases:
        manifest = build_flow(run, config, cases).iter_rows()
        yield from gather_volumes(manifest, [case.volume_id for case in cases])


def build_flow(run: RunFolder, config: PipelineConfig, cases: Sequence[CaseSource]) -> ray.data.Dataset:
    """Return the flow from cases to manifest rows.

    Every case is a block of its own, unless there are very many: a block's rows reach the driver when the whole block
    is done, and a volume can only be committed then.
    """
    from pipeline.stages.session import work_items

    rows = [case.to_row() for case in cases]
    check_flow(list(rows[0]), [DecodeVolume, WriteSlab])
    work = work_items("ingest", rows, blocks_per_cpu=len(rows))
    decoded = map_volumes(work, DecodeVolume, run, config)
    return decoded.map_batches(WriteSlab(run, config.grid), batch_size=1, batch_format="pyarrow")


def find_pending(run: RunFolder, cases: Sequence[CaseSource]) -> list[CaseSource]:
    """Return the cases that are not committed, and clear what an interrupted run left of them."""
    committed = {name.removesuffix(".parquet") for name in run.names("volumes")}
    pending = [case for case in cases if case.volume_id not in committed]
    for case in pending:
        remove_volume(run, case.volume_id)
    return pending


def gather_volumes(manifest: Iterable[Row], expected: Iterable[str]) -> Iterator[VolumeRow | Rejection]:
    """Turn manifest rows, in any order, into one outcome per case, as soon as it is known.

    Args:
        manifest: Rows that `WriteSlab` emits.
        expected: The ids that went in.

    Raises:
        RuntimeError: If at the end a case has neither all of its slabs nor a rejection.
    """
    waiting: dict[str, set[int]] = {volume_id: set() for volume_id in expected}
    rejected: set[str] = set()
    for row in manifest:
        volume_id = row["volume_id"]
        if volume_id in rejected:
            continue
        if row["code"]:
            del waiting[volume_id]
            rejected.add(volume_id)
            yield Rejection(volume_id, row["code"], row["message"], row["step"])
            continue
        volume = unpack_volume(row["volume"])
        waiting[volume_id].add(row["slab"])
        if waiting[volume_id] == set(volume.slabs):
            del waiting[volume_id]
            yield volume
    if waiting:
        raise RuntimeError(f"the flow ended before {len(waiting)} cases were complete, the first is {min(waiting)}")


def commit_outcomes(run: RunFolder, outcomes: Iterable[VolumeRow | Rejection]) -> Counter[str]:
    """Commit each complete volume; quarantine each rejected case and remove what was written of it.

    Returns:
        Number of rejected cases by reason code.
    """
    reasons: Counter[str] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, VolumeRow):
            remove_rejection(run, outcome.volume_id)  # before the row: a rejected volume is never read
            write_volume_row(run, outcome)
        else:
            write_rejection(run, outcome)
            remove_volume(run, outcome.volume_id)
            reasons[outcome.code] += 1
    return reasons


def remove_volume(run: RunFolder, volume_id: str) -> None:
    """Remove what there is of a volume: first its row, which commits it, then what was made of it."""
    run.remove("volumes", f"{volume_id}.parquet")
    run.remove("slices", volume_id)
    run.remove("references", "grid", volume_id)
    run.remove("references", "native", f"{volume_id}.parquet")
    run.remove("predicted_volumes", f"{volume_id}.parquet")
    run.remove("predictions", f"{volume_id}.nii.gz")


def pack_volume(volume: VolumeRow) -> str:
    """Return a volume's row as text that travels with its slabs."""
    return json.dumps(vars(volume))


def unpack_volume(text: str) -> VolumeRow:
    """Return the row that `pack_volume` packed."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()
    }
    return VolumeRow(**values)


def _write_native_reference(run: RunFolder, volume: Volume) -> None:
    """Write the reference mask's tumor slices, bit for bit, if the case has a mask."""
    if volume.reference_mask is None:
        return
    index = np.flatnonzero(volume.reference_mask.any(axis=(1, 2))).astype(np.int32)
    columns: dict[str, Any] = {
        "volume_id": [volume.volume_id] * len(index),
        "slice_index": index,
        "reference_mask": volume.reference_mask[index],
    }
    table = encode(columns, native_references_schema(*volume.geometry.shape[1:]))
    run.write_table(table, "references", "native", f"{volume.volume_id}.parquet")


def _slab_row(volume_id: str, described: str, native: NativeSlab) -> Row:
    """Pack a slab; `box` is y and x of its first voxel, rows and columns."""
    planes = {name: getattr(native, name) for name in _PLANES}
    return {
        "volume_id": volume_id,
        "slab": native.slab,
        "volume": described,
        "slice_index": native.slice_index.tobytes(),
        "box": [*native.box_start, *native.hu.shape[1:]],
        **{name: b"" if plane is None else plane.tobytes() for name, plane in planes.items()},
        **dict.fromkeys((*REASON, "step"), ""),
    }


def _unpack_slab(row: Row) -> NativeSlab:
    """Return the slab that `_slab_row` packed; its arrays are read-only."""
    index = np.frombuffer(row["slice_index"], np.int32)
    y, x, height, width = row["box"]
    planes: dict[str, Any] = {
        name: np.frombuffer(row[name], dtype).reshape(len(index), height, width) if row[name] else None
        for name, dtype in _PLANES.items()
    }
    return NativeSlab(slab=row["slab"], slice_index=index, box_start=(y, x), **planes)
