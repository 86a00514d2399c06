"""What PLR reads of a slab: the probabilities of its pathological slices, checked against the labels and the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.arrays import BoolArray, Int32Array, UInt8Array
from pipeline.config import GridConfig
from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder
from pipeline.schema import array_layout, decode
from pipeline.slabs import slab_name

_STEP = "refine_pixel_labels"


@dataclass(frozen=True)
class PathologicalSlices:
    """The slices of one slab, and the probabilities of those that are still pathological after ILR.

    Args:
        slab: Slab number.
        slice_index: All slices of the slab, ascending, shape (n,).
        refined_label: Segments that the labels name after ILR, shape (n, 8).
        probability: Stored levels of o_k of the m pathological slices, shape (m, H, W).
    """

    slab: int
    slice_index: Int32Array
    refined_label: BoolArray
    probability: UInt8Array

    @property
    def pathological(self) -> BoolArray:
        """Whether the refined label names a segment, shape (n,)."""
        return np.asarray(self.refined_label.any(axis=1))

    def between(self, start: int, stop: int) -> tuple[UInt8Array, Int32Array]:
        """Return probabilities and indices of the pathological slices in [start, stop), without a copy."""
        index = self.slice_index[self.pathological]
        rows = slice(*np.searchsorted(index, (start, stop)))
        return self.probability[rows], index[rows]


def read_pathological_slices(run: RunFolder, grid: GridConfig, volume_id: str, slab: int) -> PathologicalSlices:
    """Read one slab.

    Raises:
        CaseError: If a table of the slab cannot be used: it is not there (`SLAB_MISSING`), is no Parquet file
            (`SLAB_UNREADABLE`), lacks a column (`COLUMN_MISSING`), holds pixels of another grid (`SLICE_SHAPE`), holds
            a slice twice (`SLICE_DUPLICATE`), out of order (`SLICE_ORDER`) or of another slab (`SLICE_MISPLACED`), or
            a pathological slice has no probability (`SLICE_MISSING`).
    """
    labels = _read_rows(run, "image_labels", volume_id, slab, ["refined_label"], grid)
    rows = _read_rows(run, "probabilities", volume_id, slab, ["tumor_probability"], grid)
    slice_index = labels["slice_index"]
    wanted = slice_index[labels["refined_label"].any(axis=1)]
    missing = np.setdiff1d(wanted, rows["slice_index"])
    if missing.size:
        raise _reject("SLICE_MISSING", f"slices {missing.tolist()} are pathological but have no probability")
    probability = rows["tumor_probability"]
    if len(wanted) < len(probability):
        probability = probability[np.isin(rows["slice_index"], wanted)]
    return PathologicalSlices(slab, slice_index, labels["refined_label"], probability)


def _read_rows(
    run: RunFolder, table: str, volume_id: str, slab: int, columns: Sequence[str], grid: GridConfig
) -> dict[str, np.ndarray[Any, Any]]:
    """Read `slice_index` and other columns of a slab and check them."""
    place = f"{table}, slab {slab}"
    try:
        rows = run.read_table(table, volume_id, slab_name(slab))
    except FileNotFoundError as error:
        raise _reject("SLAB_MISSING", f"{place}: the file is not there") from error
    except pa.ArrowInvalid as error:
        raise _reject("SLAB_UNREADABLE", f"{place}: the file is not a whole Parquet file") from error
    names = ["slice_index", *columns]
    missing = [name for name in names if name not in rows.schema.names]
    if missing:
        raise _reject("COLUMN_MISSING", f"{place}: no column {missing[0]}, there are {', '.join(rows.schema.names)}")
    _check_grid(rows.schema, place, grid)
    values = decode(rows.select(names))
    _check_slices(values["slice_index"], slab, place, grid.slab_length)
    return values


def _check_grid(schema: pa.Schema, place: str, grid: GridConfig) -> None:
    """Check that probabilities are of the run's grid."""
    expected = ((grid.height, grid.width), np.dtype(np.uint8))
    for field in schema:
        if field.name == "tumor_probability" and array_layout(field) != expected:
            found = array_layout(field) or (field.type,)
            raise _reject(
                "SLICE_SHAPE",
                f"{place}: probabilities are {' '.join(map(str, found))}, the grid is {expected[0]} {expected[1]}",
            )


def _check_slices(slice_index: Int32Array, slab: int, place: str, slab_length: int) -> None:
    """Check that slices are those of the slab, each once, in order."""
    values, counts = np.unique(slice_index, return_counts=True)
    if len(values) < len(slice_index):
        raise _reject("SLICE_DUPLICATE", f"{place}: slices {values[counts > 1].tolist()} are there more than once")
    if not np.array_equal(values, slice_index):
        raise _reject("SLICE_ORDER", f"{place}: slices do not ascend, they are {slice_index.tolist()}")
    strangers = values[values // slab_length != slab]
    if strangers.size:
        raise _reject("SLICE_MISPLACED", f"{place}: slices {strangers.tolist()} belong to other slabs")


def _reject(code: str, message: str) -> CaseError:
    """Return the error that sets the volume aside."""
    return CaseError(code, message, _STEP)
