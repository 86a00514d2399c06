"""Reading the sliced tables: the volumes of a run, their slabs, any range of slices of one volume, and gaps in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.arrays import BoolArray, Int32Array
from pipeline.run_folder import RunFolder
from pipeline.schema import decode, volumes_schema
from pipeline.volume import UNLABELED


@dataclass(frozen=True)
class VolumeRow:
    """One accepted volume, as in `volumes/`; see `pipeline.schema.volumes_schema` for units and axes."""

    volume_id: str
    split: str
    image_label: tuple[bool, ...]
    native_shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]
    native_orientation: str
    crop_start: tuple[int, int, int]
    liver_median_hu: float
    liver_ml: float
    slice_count: int
    has_reference: bool
    content_sha256: str
    slabs: tuple[int, ...]
    couinaud_method: str = ""
    couinaud_flags: str = ""
    couinaud_seconds: float = 0.0
    notes: str = ""

    @property
    def noted(self) -> list[str]:
        """The codes in `notes`."""
        return [note for note in self.notes.split(";") if note]

    @property
    def labeled(self) -> bool:
        """Whether the volume has a label."""
        return UNLABELED not in self.noted

    @property
    def healthy(self) -> bool:
        """Whether the volume has a label, and it names no segment."""
        return self.labeled and not any(self.image_label)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> VolumeRow:
        """Build a row from plain values, lists becoming tuples: the inverse of `vars`, also after JSON or Parquet."""
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in record.items()}
        return cls(**values)

    def label_array(self) -> BoolArray:
        """Return the volume's label as `bool[8]`."""
        return np.array(self.image_label, dtype=bool)


def count_notes(volumes: Iterable[VolumeRow]) -> Counter[str]:
    """Return how many volumes have each note."""
    return Counter(note for volume in volumes for note in volume.noted)


def write_volume_row(run: RunFolder, row: VolumeRow) -> None:
    """Commit a volume: its row is written last, after all of its slabs."""
    values = {name: [value] for name, value in vars(row).items()}
    table = pa.table(
        [pa.array(values[field.name], type=field.type) for field in volumes_schema()], schema=volumes_schema()
    )
    run.write_table(table, "volumes", f"{row.volume_id}.parquet")


def read_volume_rows(run: RunFolder, *splits: str) -> list[VolumeRow]:
    """Return the committed volumes that no step has set aside, in the order of their ids.

    Args:
        run: Run folder.
        splits: Only these splits; all if none is given.
    """
    rows = []
    for name in sorted(set(run.names("volumes")) - set(run.names("quarantine"))):
        (record,) = run.read_table("volumes", name).to_pylist()
        rows.append(VolumeRow.from_record(record))
    return [row for row in rows if not splits or row.split in splits]


def slab_name(slab: int) -> str:
    """Return the file name of a slab."""
    return f"{slab:05d}.parquet"


def read_slab(
    run: RunFolder, table: str, volume_id: str, slab: int, columns: list[str] | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """Return one slab of a sliced table as stacked columns, rows in the order of `slice_index`."""
    return decode(run.read_table(table, volume_id, slab_name(slab), columns=columns))


def read_slices(
    run: RunFolder,
    table: str,
    volume: VolumeRow,
    slab_length: int,
    start: int,
    stop: int,
    columns: list[str] | None = None,
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the rows of one volume with `start <= slice_index < stop`, in order; absent slices are simply not there.

    Args:
        run: Run folder.
        table: Sliced table, such as `slices` or `probabilities`.
        volume: The volume. Each of its slabs in the range must have its file, if perhaps without rows.
        slab_length: Slices per slab of this run.
        start: First slice index.
        stop: One past the last slice index.
        columns: Columns beside `slice_index`; all if None.

    Raises:
        FileNotFoundError: If a slab that the volume lists has no file: an earlier step is not complete.
    """
    wanted = [slab for slab in volume.slabs if slab * slab_length < stop and (slab + 1) * slab_length > start]
    if not wanted:
        raise ValueError(f"{volume.volume_id}: no slab holds slices {start}..{stop - 1}, slabs are {volume.slabs}")
    names = None if columns is None else list(dict.fromkeys(["slice_index", *columns]))
    tables = [run.read_table(table, volume.volume_id, slab_name(slab), columns=names) for slab in wanted]
    rows = decode(pa.concat_tables(tables))
    inside = (rows["slice_index"] >= start) & (rows["slice_index"] < stop)
    return {name: values[inside] for name, values in rows.items()}


def fill_gaps(rows: np.ndarray[Any, Any], slice_index: Int32Array) -> np.ndarray[Any, Any]:
    """Put slices at their places in a regular stack; slices that are not there are zero.

    Args:
        rows: Shape (n, H, W).
        slice_index: Ascending z indices, shape (n,), n >= 1.

    Returns:
        Shape (last - first + 1, H, W), of the same dtype.
    """
    depth = int(slice_index[-1] - slice_index[0]) + 1
    stack = np.zeros((depth, *rows.shape[1:]), rows.dtype)
    stack[slice_index - slice_index[0]] = rows
    return stack
