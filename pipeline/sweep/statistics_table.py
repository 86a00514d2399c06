"""`refinement_statistics/VOLUME/SLAB.parquet`: the counts of every slice, about 1 KB x (2 + radius) each.

Not compressed: that would save two thirds of what is a twentieth of the pixels, and cost a third of the counting again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.arrays import BoolArray, Int32Array
from pipeline.refinement.levels import LEVELS
from pipeline.run_folder import RunFolder
from pipeline.schema import Column, decode, encode
from pipeline.slabs import VolumeRow, slab_name
from pipeline.sweep.level_counts import LevelCounts
from pipeline.sweep.statistics import VolumeStatistics

TABLE = "refinement_statistics"
_COLUMNS = ("slice_index", "above", "shared", "inside", "reference_area")


def refinement_statistics_schema(radius: int) -> pa.Schema:
    """Return the schema of `refinement_statistics/`: one row per slice of a volume whose label names a segment.

    `above`, `shared` and `inside` are those of `pipeline.sweep.statistics`; `reference_area` counts the pixels of
    the reference mask. All are 0 where there is nothing: on slices that ILR made healthy, without a reference.
    """
    columns = [
        Column("volume_id", "string"),
        Column("slice_index", "int32"),
        Column("above", "int32", (LEVELS + 1,), pixels=True),
        Column("shared", "int32", (radius, LEVELS + 1), pixels=True),
        Column("inside", "int32", (LEVELS + 1,), pixels=True),
        Column("reference_area", "int32"),
    ]
    return pa.schema([column.to_field() for column in columns])


def write_statistics(
    run: RunFolder,
    volume_id: str,
    slab: int,
    slice_index: Int32Array,
    counted: BoolArray,
    counts: LevelCounts,
    reference_area: Int32Array,
) -> None:
    """Write the statistics of one slab.

    Args:
        run: Run folder.
        volume_id: The volume.
        slab: Slab number.
        slice_index: All slices of the slab, shape (n,).
        counted: Which of them are counted, shape (n,); the others are black.
        counts: Counts of the counted slices.
        reference_area: Shape (n,).
    """
    columns: dict[str, Any] = {
        "volume_id": [volume_id] * len(slice_index),
        "slice_index": slice_index,
        "reference_area": reference_area,
        **{name: _spread(values, counted) for name, values in vars(counts).items()},
    }
    table = encode(columns, refinement_statistics_schema(counts.shared.shape[1]))
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream, compression="none", use_dictionary=False, write_statistics=False)
    run.write_bytes(stream.getvalue().to_pybytes(), TABLE, volume_id, slab_name(slab))


def count_written(run: RunFolder, volume_id: str, slab: int, radius: int) -> int | None:
    """Return the number of slices of a slab's statistics, None if there are none of this radius."""
    path = (TABLE, volume_id, slab_name(slab))
    if not run.exists(*path):
        return None
    with run.filesystem.open_input_file(run.path(*path)) as source:
        footer = pq.read_metadata(source)
    same = footer.schema.to_arrow_schema().equals(refinement_statistics_schema(radius))
    return footer.num_rows if same else None


def read_statistics(run: RunFolder, volume: VolumeRow) -> VolumeStatistics:
    """Return the statistics of a volume.

    Raises:
        FileNotFoundError: If a slab has none: the step that writes them is not complete.
    """
    tables = []
    for slab in volume.slabs:
        with run.filesystem.open_input_file(run.path(TABLE, volume.volume_id, slab_name(slab))) as source:
            tables.append(pq.ParquetFile(source).read(columns=list(_COLUMNS), use_threads=False))
    rows = decode(pa.concat_tables(tables))
    return VolumeStatistics(volume.volume_id, volume.split, has_reference=volume.has_reference, **rows)


def _spread(values: Int32Array, counted: BoolArray) -> Int32Array:
    """Lay the rows of the counted slices among zeros."""
    if counted.all():
        return values
    spread = np.zeros((len(counted), *values.shape[1:]), dtype=np.int32)
    spread[counted] = values
    return spread
