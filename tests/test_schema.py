"""Arrays go into Arrow and Parquet and come back the same."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.run_folder import RunFolder
from pipeline.schema import array_layout, decode, encode, probabilities_schema, pseudo_labels_schema, slices_schema


def slice_columns(count, height, width, rng):
    return {
        "volume_id": [f"case_{i}" for i in range(count)],
        "slice_index": np.arange(count, dtype=np.int32),
        "image": rng.integers(0, 256, (count, height, width), dtype=np.uint8),
        "couinaud_map": rng.integers(0, 9, (count, height, width), dtype=np.uint8),
        "image_label": rng.integers(0, 2, (count, 8)).astype(bool),
        "segment_area_mm2": rng.random((count, 8), dtype=np.float32),
        "liver_median_hu": rng.random(count, dtype=np.float32),
        "spacing_mm": rng.random((count, 3), dtype=np.float32),
        "crop_start": rng.integers(-5, 5, (count, 3), dtype=np.int32),
        "native_shape": rng.integers(1, 512, (count, 3), dtype=np.int32),
        "split": ["train"] * count,
    }


@settings(max_examples=20)
@given(st.integers(0, 4), st.integers(1, 5), st.integers(1, 7))
def test_round_trip_through_parquet(tmp_path_factory, count, height, width):
    run = RunFolder(str(tmp_path_factory.mktemp("run")))
    columns = slice_columns(count, height, width, np.random.default_rng(0))
    run.write_table(encode(columns, slices_schema(height, width)), "slices", "v", "0.parquet")
    rows = decode(run.read_table("slices", "v", "0.parquet"))
    for name, values in columns.items():
        np.testing.assert_array_equal(rows[name], np.array(values), err_msg=name)


def test_pixels_are_stored_as_bytes_of_their_own_size(tmp_path):
    field = slices_schema(6, 7).field("image")
    assert field.type == pa.binary(42)
    assert array_layout(field) == ((6, 7), np.dtype("uint8"))


def test_concatenated_and_sliced_tables_decode(tmp_path):
    columns = slice_columns(4, 3, 5, np.random.default_rng(1))
    table = encode(columns, slices_schema(3, 5))
    rows = decode(pa.concat_tables([table.slice(2), table.slice(0, 2)]))
    np.testing.assert_array_equal(rows["image"], columns["image"][[2, 3, 0, 1]])
    np.testing.assert_array_equal(decode(table.slice(1, 2))["image_label"], columns["image_label"][1:3])


def test_wrong_shape_names_the_column_and_both_shapes():
    columns = {
        "volume_id": ["a"],
        "slice_index": np.zeros(1, np.int32),
        "tumor_probability": np.zeros((1, 3, 3), np.uint8),
        "named": [True],
    }
    with pytest.raises(ValueError, match=r"tumor_probability.*\(4, 4\).*\(3, 3\)"):
        encode(columns, probabilities_schema(4, 4))


def test_missing_column_is_an_error():
    with pytest.raises(ValueError, match="do not match"):
        encode({"volume_id": ["a"]}, probabilities_schema(4, 4))


@settings(max_examples=30)
@given(st.integers(0, 4), st.integers(1, 5), st.integers(1, 9))
def test_masks_are_stored_as_bits_and_come_back(tmp_path_factory, count, height, width):
    run = RunFolder(str(tmp_path_factory.mktemp("run")))
    masks = np.random.default_rng(count).random((2, count, height, width)) < 0.5
    size = -(-height * width // 8)
    columns = {
        "volume_id": ["v"] * count,
        "slice_index": np.arange(count, dtype=np.int32),
        "pseudo_mask": masks[0],
        "refined_mask": np.packbits(masks[1].reshape(count, height * width), axis=1),  # packed by the caller
        "continuity_index": np.zeros(count, np.float32),
    }
    table = encode(columns, pseudo_labels_schema(height, width))
    assert table.schema.field("pseudo_mask").type == table.schema.field("refined_mask").type == pa.binary(size)
    run.write_table(table, "pseudo_labels", "v", "0.parquet")
    rows = decode(run.read_table("pseudo_labels", "v", "0.parquet"))
    for name, mask in zip(("pseudo_mask", "refined_mask"), masks, strict=True):
        assert rows[name].dtype == bool
        np.testing.assert_array_equal(rows[name], mask)


def test_packed_rows_of_another_size_are_an_error():
    columns = {"volume_id": ["a"], "slice_index": np.zeros(1, np.int32), "continuity_index": np.zeros(1, np.float32)}
    masks = dict.fromkeys(("pseudo_mask", "refined_mask"), np.zeros((1, 3), np.uint8))
    with pytest.raises(ValueError, match=r"pseudo_mask: expected uint8 \(2,\).*\(3,\)"):
        encode(columns | masks, pseudo_labels_schema(4, 4))


def test_reading_a_column_that_is_not_there_names_it(tmp_path):
    run, columns = RunFolder(str(tmp_path)), slice_columns(1, 2, 2, np.random.default_rng(0))
    run.write_table(encode(columns, slices_schema(2, 2)), "slices", "v", "0.parquet")
    with pytest.raises(KeyError, match=r"slices/v/0.parquet: no column tumor, there are volume_id, slice_index"):
        run.read_table("slices", "v", "0.parquet", columns=["slice_index", "tumor"])
