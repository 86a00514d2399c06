"""Sweep statistics over slabs of one volume, Parquet in to Parquet out: each slab is read once.

A task names consecutive slabs of a volume. The neighbors of a slab's last slices are in the slab after it, which is
counted next, or, after the task's last slab, read for them only. So a task takes the memory of two slabs (more only if
the radius exceeds a slab), however deep the volume is and however it is cut into tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.arrays import UInt8Array
from pipeline.config import GridConfig
from pipeline.errors import CaseError
from pipeline.refinement.pathological_slices import PathologicalSlices, read_pathological_slices
from pipeline.run_folder import RunFolder
from pipeline.schema import array_layout, decode, references_schema
from pipeline.slabs import VolumeRow, slab_name
from pipeline.sweep.level_counts import count_statistics
from pipeline.sweep.statistics_table import count_written, write_statistics

STEP = "sweep_statistics"


def count_slabs(run: RunFolder, grid: GridConfig, radius: int, volume: VolumeRow, slabs: Sequence[int]) -> int:
    """Write `refinement_statistics/VOLUME/SLAB.parquet` for slabs of a volume, unless they are there.

    Args:
        run: Run folder.
        grid: Grid of the run.
        radius: Slices further that a neighbor may be.
        volume: The volume.
        slabs: Slabs of the volume in ascending order.

    Returns:
        Slices of the slabs.

    Raises:
        CaseError: If a table of these slabs, or of those within the radius after them, cannot be used.
    """
    total = 0
    read: dict[int, PathologicalSlices] = {}
    for slab in slabs:
        written = count_written(run, volume.volume_id, slab, radius)
        if written is not None:
            total += written
            continue
        stop = (slab + 1) * grid.slab_length
        window = [other for other in volume.slabs if slab <= other and other * grid.slab_length < stop + radius]
        read = {other: slices for other, slices in read.items() if other in window}  # frees the slab before
        for other in window:
            if other not in read:
                read[other] = read_pathological_slices(run, grid, volume.volume_id, other)
        total += _count_slab(run, grid, radius, volume, [read[other] for other in window])
    return total


def _count_slab(
    run: RunFolder, grid: GridConfig, radius: int, volume: VolumeRow, window: Sequence[PathologicalSlices]
) -> int:
    """Write the statistics of the first slab of a window; return its number of slices."""
    slab, counted = window[0], window[0].pathological
    reference = _read_reference(run, grid, volume.volume_id, slab) if volume.has_reference else None
    counts = count_statistics(
        slab.probability,
        slab.slice_index[counted],
        reference if reference is None or counted.all() else reference[counted],
        radius,
        beyond=[(after.probability, after.slice_index[after.pathological]) for after in window[1:]],
    )
    area = np.zeros(len(counted), dtype=np.int32)
    area[counted] = counts.inside[:, 0]
    if reference is not None:
        area[~counted] = np.bitwise_count(reference[~counted]).sum(axis=1)
    write_statistics(run, volume.volume_id, slab.slab, slab.slice_index, counted, counts, area)
    return len(counted)


def _read_reference(run: RunFolder, grid: GridConfig, volume_id: str, slab: PathologicalSlices) -> UInt8Array:
    """Return the reference masks of a slab packed to bits, shape (n, ceil(H W / 8)).

    Raises:
        CaseError: If the table cannot be used: it is not there (`SLAB_MISSING`), is no Parquet file
            (`SLAB_UNREADABLE`), lacks a column (`COLUMN_MISSING`), holds other slices than the labels
            (`SLICE_MISSING`), or pixels of another grid (`SLICE_SHAPE`).
    """
    place = f"references/grid, slab {slab.slab}"
    try:
        table = run.read_table("references", "grid", volume_id, slab_name(slab.slab))
    except FileNotFoundError as error:
        raise CaseError("SLAB_MISSING", f"{place}: the file is not there", STEP) from error
    except pa.ArrowInvalid as error:
        raise CaseError("SLAB_UNREADABLE", f"{place}: the file is not a whole Parquet file", STEP) from error
    missing = {"slice_index", "reference_mask"} - set(table.schema.names)
    if missing:
        there = ", ".join(table.schema.names)
        raise CaseError("COLUMN_MISSING", f"{place}: no column {min(missing)}, there are {there}", STEP)
    rows = decode(table.select(["slice_index", "reference_mask"]), unpack=False)
    expected = references_schema(grid.height, grid.width).field("reference_mask")
    if not np.array_equal(rows["slice_index"], slab.slice_index):
        there, labeled = rows["slice_index"].tolist(), slab.slice_index.tolist()
        raise CaseError("SLICE_MISSING", f"{place}: masks of the slices {there}, labels of {labeled}", STEP)
    found = table.schema.field("reference_mask")
    if not found.equals(expected, check_metadata=True):
        shapes = [array_layout(field) or (field.type,) for field in (found, expected)]
        there, given = (" ".join(map(str, shape)) for shape in shapes)
        raise CaseError("SLICE_SHAPE", f"{place}: masks are {there}, the grid's are {given}", STEP)
    return rows["reference_mask"]
