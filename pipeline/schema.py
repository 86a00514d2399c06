"""The tables of a run folder: their columns, and how arrays become Arrow columns and come back.

Pixel columns are fixed-size binary with shape and dtype in the schema's metadata: Parquet has no 8-bit type and stores
nested lists as 32-bit integers with levels, which costs 4 times the bytes and 15 times the reading time. Short vectors
are fixed-size lists, so that any Parquet reader understands the narrow columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.arrays import SEGMENT_COUNT

_SHAPE_KEY = b"array"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: Column name.
        dtype: NumPy dtype name, or `string`, `binary`.
        shape: Shape of one row's value; empty for a scalar.
        pixels: Stored as fixed-size binary instead of a fixed-size list.
        packed: Booleans stored as bits, most significant first: fixed-size binary of ceil(size / 8) bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    pixels: bool = False
    packed: bool = False

    def to_field(self) -> pa.Field:
        """Return the non-nullable Arrow field, with the array's shape and dtype in its metadata."""
        if self.dtype in ("string", "binary"):
            return pa.field(self.name, pa.string() if self.dtype == "string" else pa.large_binary(), nullable=False)
        scalar = pa.from_numpy_dtype(np.dtype(self.dtype))
        if not self.shape:
            return pa.field(self.name, scalar, nullable=False)
        size = int(np.prod(self.shape))
        layout: dict[str, Any] = {"shape": self.shape, "dtype": self.dtype}
        if self.packed:
            arrow_type, layout = pa.binary(-(-size // 8)), {**layout, "packed": True}
        else:
            arrow_type = pa.binary(size * np.dtype(self.dtype).itemsize) if self.pixels else pa.list_(scalar, size)
        metadata = {_SHAPE_KEY: json.dumps(layout).encode()}
        return pa.field(self.name, arrow_type, nullable=False, metadata=metadata)


def _key_columns() -> list[Column]:
    return [Column("volume_id", "string"), Column("slice_index", "int32")]


def volumes_schema() -> pa.Schema:
    """Return the schema of `volumes/`: one row per accepted volume.

    `spacing_mm`, `native_shape`, `origin_mm` and `direction` describe the volume reoriented to LPS (z feet to head);
    `native_orientation` is the orientation code of the file, which takes a mask back to the file's own grid.
    `slabs` lists the slab numbers that have liver slices; slab j holds the slice indices [j * L, (j + 1) * L). Then
    comes how the Couinaud map was made (`couinaud_seconds` is the only value that a second run changes), and `notes`:
    codes, between semicolons, of what was mended in the input or is doubtful about it.
    """
    vector = (3,)
    columns = [
        Column("volume_id", "string"),
        Column("split", "string"),
        Column("image_label", "bool", (SEGMENT_COUNT,)),
        Column("native_shape", "int32", vector),
        Column("spacing_mm", "float64", vector),
        Column("origin_mm", "float64", vector),
        Column("direction", "float64", (9,)),
        Column("native_orientation", "string"),
        Column("crop_start", "int32", vector),
        Column("liver_median_hu", "float32"),
        Column("liver_ml", "float32"),
        Column("slice_count", "int32"),
        Column("has_reference", "bool"),
        Column("content_sha256", "string"),
    ]
    fields = [column.to_field() for column in columns]
    fields.append(pa.field("slabs", pa.list_(pa.int32()), nullable=False))
    return pa.schema([*fields, *(column.to_field() for column in (*_couinaud_columns(), Column("notes", "string")))])


def _couinaud_columns() -> list[Column]:
    """Return how a Couinaud map was made: constructor, flags of what is doubtful joined by `;`, seconds of work."""
    return [
        Column("couinaud_method", "string"),
        Column("couinaud_flags", "string"),
        Column("couinaud_seconds", "float32"),
    ]


def couinaud_maps_schema() -> pa.Schema:
    """Return the schema of `couinaud_maps/`: one row per map in `couinaud/`, with the shares of segments 1..8."""
    columns = [
        Column("volume_id", "string"),
        *_couinaud_columns(),
        Column("segment_fraction", "float32", (SEGMENT_COUNT,)),
        Column("liver_ml", "float32"),
        Column("content_sha256", "string"),
    ]
    return pa.schema([column.to_field() for column in columns])


def predicted_volumes_schema() -> pa.Schema:
    """Return the schema of `predicted_volumes/`: one row per mask in `predictions/`, measured on the CT's own grid.

    `lesions` counts the lesions, as `pipeline.lesions` defines one; `largest_mm` is the equivalent diameter of the
    largest, 0 without any; `segment_ml` is the tumor in segments 1..8.
    """
    columns = [
        Column("volume_id", "string"),
        Column("tumor_ml", "float64"),
        Column("lesions", "int32"),
        Column("largest_mm", "float64"),
        Column("segment_ml", "float64", (SEGMENT_COUNT,)),
    ]
    return pa.schema([column.to_field() for column in columns])


def slices_schema(height: int, width: int) -> pa.Schema:
    """Return the schema of `slices/`: one row per axial liver slice on the run's grid.

    Args:
        height: Rows of the grid.
        width: Columns of the grid.
    """
    columns = [
        *_key_columns(),
        Column("image", "uint8", (height, width), pixels=True),
        Column("couinaud_map", "uint8", (height, width), pixels=True),
        Column("image_label", "bool", (SEGMENT_COUNT,)),
        Column("segment_area_mm2", "float32", (SEGMENT_COUNT,)),
        Column("liver_median_hu", "float32"),
        Column("spacing_mm", "float32", (3,)),
        Column("crop_start", "int32", (3,)),
        Column("native_shape", "int32", (3,)),
        Column("split", "string"),
    ]
    return pa.schema([column.to_field() for column in columns])


def references_schema(height: int, width: int) -> pa.Schema:
    """Return the schema of `references/grid/`: the reference tumor mask of each row of `slices/`, on the run's grid."""
    columns = [*_key_columns(), Column("reference_mask", "bool", (height, width), packed=True)]
    return pa.schema([column.to_field() for column in columns])


def native_references_schema(height: int, width: int) -> pa.Schema:
    """Return the schema of `references/native/`: reference masks on the volume's own grid (LPS), tumor slices only."""
    return references_schema(height, width)


def image_labels_schema() -> pa.Schema:
    """Return the schema of `image_labels/`: the label of each slice before and after ILR, and the segments present."""
    label = (SEGMENT_COUNT,)
    columns = [
        *_key_columns(),
        Column("image_label", "bool", label),
        Column("refined_label", "bool", label),
        Column("segments_present", "bool", label),
        Column("split", "string"),
    ]
    return pa.schema([column.to_field() for column in columns])


def probabilities_schema(height: int, width: int) -> pa.Schema:
    """Return the schema of `probabilities/`: level q of `tumor_probability` stands for q / 255.

    Rows exist for the slices of volumes whose label names a segment; `named` is false where no named segment is on
    the slice and the whole liver was predicted instead.
    """
    columns = [
        *_key_columns(),
        Column("tumor_probability", "uint8", (height, width), pixels=True),
        Column("named", "bool"),
    ]
    return pa.schema([column.to_field() for column in columns])


def pseudo_labels_schema(height: int, width: int) -> pa.Schema:
    """Return the schema of `pseudo_labels/`: masks before (m_k) and after PLR, and the continuity index CI_k."""
    columns = [
        *_key_columns(),
        Column("pseudo_mask", "bool", (height, width), packed=True),
        Column("refined_mask", "bool", (height, width), packed=True),
        Column("continuity_index", "float32"),
    ]
    return pa.schema([column.to_field() for column in columns])


def encode(columns: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]], schema: pa.Schema) -> pa.Table:
    """Pack columns into an Arrow table.

    Args:
        columns: One entry per field of the schema. Array columns are stacked, shape `(n, *shape)`; a packed one may
            come as its bytes already, uint8 of shape `(n, ceil(size / 8))`.
        schema: A schema made by this module.

    Returns:
        A table with exactly this schema.

    Raises:
        ValueError: If names, shapes or dtypes differ from the schema; both sides are quoted.
    """
    if set(columns) != set(schema.names):
        raise ValueError(f"columns {sorted(columns)} do not match the schema's {sorted(schema.names)}")
    return pa.table([_encode_column(columns[field.name], field) for field in schema], schema=schema)


def _encode_column(values: Any, field: pa.Field) -> pa.Array:
    """Pack one column."""
    declared = array_layout(field)
    if declared is None:
        return pa.array(values.tolist() if isinstance(values, np.ndarray) else values, type=field.type)
    shape, dtype = declared
    array, size = np.ascontiguousarray(values), math.prod(shape)
    packed = _is_packed(field)
    if packed and array.dtype == np.uint8:
        shape, dtype = (field.type.byte_width,), array.dtype
    if array.shape[1:] != shape or (len(array) and array.dtype != dtype):
        raise ValueError(f"column {field.name}: expected {dtype} {shape} per row, got {array.dtype} {array.shape[1:]}")
    array = array.astype(dtype, copy=False)
    if packed and dtype == np.bool_:
        array = np.packbits(array.reshape(len(array), size), axis=1)
    if pa.types.is_fixed_size_binary(field.type):
        return pa.Array.from_buffers(field.type, len(array), [None, pa.py_buffer(array)])
    return pa.FixedSizeListArray.from_arrays(pa.array(array.reshape(-1)), size)


def decode(table: pa.Table, *, unpack: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    """Unpack an Arrow table into stacked, read-only NumPy columns.

    Args:
        table: A table with a schema of this module, or any selection of its columns.
        unpack: False leaves packed booleans as their bytes, uint8 of shape `(n, ceil(size / 8))`.

    Returns:
        Column name to array: `(n, *shape)` for array columns, object arrays of `str` for strings.
    """
    return {field.name: _decode_column(table.column(field.name), field, unpack) for field in table.schema}


def _decode_column(column: pa.ChunkedArray, field: pa.Field, unpack: bool) -> np.ndarray[Any, Any]:
    """Unpack one column."""
    declared = array_layout(field)
    if declared is None:
        return column.to_numpy()
    shape, dtype = declared
    array = _join_chunks(column)
    if pa.types.is_fixed_size_binary(field.type):
        size = field.type.byte_width
        data = np.frombuffer(array.buffers()[1], np.uint8, count=len(array) * size, offset=array.offset * size)
        if _is_packed(field):
            data = data.reshape(len(array), size)
            if not unpack:
                return data
            data = np.unpackbits(data, axis=1, count=math.prod(shape))
        return data.view(dtype).reshape(len(array), *shape)
    flat: np.ndarray[Any, Any] = array.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(array), *shape)


def _join_chunks(column: pa.ChunkedArray) -> pa.Array:
    """Return the column as one array; a single chunk is not copied."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def array_layout(field: pa.Field) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
    """Return shape and dtype of one row's array, or None for a scalar column."""
    if not field.metadata or _SHAPE_KEY not in field.metadata:
        return None
    layout = json.loads(field.metadata[_SHAPE_KEY])
    return tuple(layout["shape"]), np.dtype(layout["dtype"])


def _is_packed(field: pa.Field) -> bool:
    """Tell whether a column's booleans are stored as bits."""
    return bool(field.metadata and json.loads(field.metadata.get(_SHAPE_KEY, "{}")).get("packed"))
