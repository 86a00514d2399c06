"""Tables that PLR cannot use: the volume is named and set aside, the rest of the run completes without it."""

import numpy as np
import pyarrow as pa
import pytest

from jobs import refine_pixel_labels
from pipeline.archive.quarantine import Rejection, read_rejections, write_rejection
from pipeline.config import GridConfig, PipelineConfig
from pipeline.image_labels import encode_segments
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, probabilities_schema
from pipeline.slabs import read_volume_rows
from tests.label_cases import write_predictions, write_volume

GRID = GridConfig(height=16, width=16, slab_length=4)
SLICES = np.arange(3, 13, dtype=np.int32)
SECOND = ("probabilities", "bad", "00001.parquet")  # slices 4..7


def write_good(run, volume_id):
    refined = np.tile(encode_segments([3]), (len(SLICES), 1))
    probability = np.random.default_rng(1).integers(0, 256, (len(SLICES), 16, 16), dtype=np.uint8)
    row = write_volume(run, volume_id, SLICES, [3], GRID.slab_length)
    write_predictions(run, row, SLICES, refined, probability, GRID.slab_length)


def rewrite(run, change, *parts):
    run.write_table(change(run.read_table(*parts)), *parts)


def repeat_slice(run):
    rewrite(run, lambda table: table.take([0, 1, 1, 2, 3]), *SECOND)


def lose_slice(run):
    rewrite(run, lambda table: table.take([0, 1, 3]), *SECOND)


def turn_over(run):
    rewrite(run, lambda table: table.take([3, 2, 1, 0]), *SECOND)


def move_slice(run):
    index = pa.array([4, 5, 6, 9], pa.int32())
    rewrite(run, lambda table: table.set_column(1, table.field(1), index), *SECOND)


def change_shape(run):
    columns = {
        "volume_id": ["bad"] * 4,
        "slice_index": np.arange(4, 8, dtype=np.int32),
        "tumor_probability": np.zeros((4, 16, 18), np.uint8),
        "named": [True] * 4,
    }
    run.write_table(encode(columns, probabilities_schema(16, 18)), *SECOND)


def lose_column(run):
    rewrite(run, lambda table: table.drop_columns("tumor_probability"), *SECOND)


def lose_label_slice(run):
    rewrite(run, lambda table: table.slice(1), "image_labels", "bad", "00003.parquet")


def lose_file(run):
    run.remove(*SECOND)


def cut_file(run):
    run.write_bytes(run.read_bytes(*SECOND)[:100], *SECOND)


FAULTS = {
    repeat_slice: ("SLICE_DUPLICATE", "probabilities, slab 1: slices [5] are there more than once"),
    lose_slice: ("SLICE_MISSING", "slices [6] are pathological but have no probability"),
    turn_over: ("SLICE_ORDER", "probabilities, slab 1: slices do not ascend, they are [7, 6, 5, 4]"),
    move_slice: ("SLICE_MISPLACED", "probabilities, slab 1: slices [9] belong to other slabs"),
    change_shape: (
        "SLICE_SHAPE",
        "probabilities, slab 1: probabilities are (16, 18) uint8, the grid is (16, 16) uint8",
    ),
    lose_column: ("COLUMN_MISSING", "no column tumor_probability, there are volume_id, slice_index, named"),
    lose_label_slice: ("SLICE_MISSING", "9 slices have labels, the volume has 10"),
    lose_file: ("SLAB_MISSING", "probabilities, slab 1: the file is not there"),
    cut_file: ("SLAB_UNREADABLE", "probabilities, slab 1: the file is not a whole Parquet file"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_volume_with_a_bad_table_is_set_aside_and_the_rest_completes(ray_cluster, tmp_path, fault):
    config, run = PipelineConfig(run=str(tmp_path), grid=GRID), RunFolder(str(tmp_path))
    run.write_json({"quarantined": {}}, "reports", "predict_tumors.json")
    for volume_id in ("bad", "first", "last"):
        write_good(run, volume_id)
    fault(run)
    assert refine_pixel_labels.main(config) == 3
    code, message = FAULTS[fault]
    (rejection,) = read_rejections(run)
    assert (rejection.volume_id, rejection.code, rejection.step) == ("bad", code, "refine_pixel_labels")
    assert message in rejection.message
    assert run.names("pseudo_labels") == ["first", "last"]
    assert [row.volume_id for row in read_volume_rows(run)] == ["first", "last"]
    report = run.read_json("reports", "refine_pixel_labels.json")
    assert (report["taken"], report["given"], report["quarantined"]) == (3, 2, {code: 1})
    assert report["slices"] == 20
    assert refine_pixel_labels.main(config) == 3  # committed


def test_volumes_that_an_unfinished_run_set_aside_are_tried_again(ray_cluster, tmp_path):
    config, run = PipelineConfig(run=str(tmp_path), grid=GRID), RunFolder(str(tmp_path))
    run.write_json({"quarantined": {}}, "reports", "predict_tumors.json")
    write_good(run, "repaired")
    write_rejection(run, Rejection("repaired", "SLAB_MISSING", "", "refine_pixel_labels"))
    write_rejection(run, Rejection("other", "IMAGE_MISSING", "", "read"))
    assert refine_pixel_labels.main(config) == 0
    assert run.names("pseudo_labels") == ["repaired"]
    assert [rejection.volume_id for rejection in read_rejections(run)] == ["other"]
