"""Statistics over a run folder: equal to counting whole volumes for any cut, through real Ray; bad input set aside."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import sweep_statistics
from pipeline.archive.quarantine import read_rejections
from pipeline.config import GridConfig, PipelineConfig, PixelLabelConfig
from pipeline.errors import RefusedInputError
from pipeline.image_labels import encode_segments
from pipeline.metrics import count_masks
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, references_schema
from pipeline.slabs import read_volume_rows, write_volume_row
from pipeline.stages.count_statistics import CountStatistics
from pipeline.sweep.grid import evaluate_grid
from pipeline.sweep.statistics_table import read_statistics
from tests.label_cases import by_slab, write_predictions, write_volume
from tests.test_refine_flow import cut_anywhere, random_volume
from tests.test_refinement_statistics import make_statistics, refine_masks

SHAPE = (16, 16)
SLAB_LENGTH = 4
FIRST = ("refinement_statistics", "v0", "00000.parquet")


def write_case(run, volume_id, case, slab_length=SLAB_LENGTH, split="train", has_reference=True):
    """Write the tables that the statistics read."""
    slice_index, sick, probability, reference = case
    row = write_volume(run, volume_id, slice_index, [3], slab_length, split)
    row = replace(row, has_reference=has_reference)
    write_volume_row(run, row)
    refined = encode_segments([3]) & sick[:, None]
    write_predictions(run, row, slice_index, refined, probability, slab_length)
    for name, at in by_slab(slice_index, slab_length) if has_reference else ():
        columns = {"volume_id": [volume_id] * len(at), "slice_index": slice_index[at], "reference_mask": reference[at]}
        run.write_table(encode(columns, references_schema(*SHAPE)), "references", "grid", volume_id, name)
    return row


def draw_case(rng, count):
    slice_index, refined, probability = random_volume(rng, count)
    reference = (probability > 128) & (rng.random(probability.shape) < 0.8)
    return slice_index.astype(np.int32), refined.any(axis=1), probability, reference


def assert_same(found, expected):
    assert (found.volume_id, found.split, found.has_reference) == (
        expected.volume_id,
        expected.split,
        expected.has_reference,
    )
    for name in ("slice_index", "above", "shared", "inside", "reference_area"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
        assert getattr(found, name).dtype == np.int32


def begin_run(path, **pixel_labels):
    grid = GridConfig(height=16, width=16, slab_length=SLAB_LENGTH)
    config = PipelineConfig(run=str(path), grid=grid, pixel_labels=PixelLabelConfig(**pixel_labels))
    run = RunFolder(config.run)
    run.write_json({"quarantined": {}}, "reports", "predict_tumors.json")
    return config, run


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 14), st.integers(1, 4), st.booleans())
def test_slabs_of_any_length_and_order_equal_the_whole(
    tmp_path_factory, seed, slab_length, count, radius, has_reference
):
    rng, run = np.random.default_rng(seed), RunFolder(str(tmp_path_factory.mktemp("run")))
    case = draw_case(rng, count)
    row = write_case(run, "v", case, slab_length, has_reference=has_reference)
    grid = GridConfig(height=16, width=16, slab_length=slab_length)
    stage = CountStatistics(run, grid, radius, {"v": row})
    rows = [next(stage.process({"volume_id": "v", "slabs": item})) for item in cut_anywhere(rng, row.slabs)]
    assert sum(given["slices"] for given in rows) == count
    assert_same(read_statistics(run, row), make_statistics(case, radius, "v", has_reference))


def test_job_counts_many_volumes_through_ray(ray_cluster, tmp_path):
    config, run = begin_run(tmp_path, radius=2)
    rng = np.random.default_rng(5)
    cases = {f"v{i}": draw_case(rng, count) for i, count in enumerate([1, 2, 9, 17, 5])}
    for volume_id, case in cases.items():
        write_case(run, volume_id, case)
    write_volume(run, "healthy", [0], [], SLAB_LENGTH)
    write_volume(run, "tested", [0], [3], SLAB_LENGTH, "test")
    assert sweep_statistics.main(config) == 0
    rows = read_volume_rows(run, "train", "validation")
    volumes = [read_statistics(run, row) for row in rows if not row.healthy]
    assert [volume.volume_id for volume in volumes] == list(cases)
    for volume in volumes:
        case = cases[volume.volume_id]
        assert_same(volume, make_statistics(case, 2, volume.volume_id))
        expected = count_masks(refine_masks(case, 0.45, 2.0, 2)[1], case[3])
        assert evaluate_grid([volume], [0.45], [2.0], 2).dice_per_case.item() == expected.dice()
    report = run.read_json("reports", "sweep_statistics.json")
    assert (report["taken"], report["given"], report["slices"], report["radius"]) == (5, 5, 34, 2)


def test_second_run_adds_nothing_and_changes_nothing(ray_cluster, tmp_path):
    config, run = begin_run(tmp_path)
    row = write_case(run, "v0", draw_case(np.random.default_rng(1), 9))
    assert sweep_statistics.main(config) == 0
    names, before = run.names("refinement_statistics", "v0"), run.local(*FIRST).stat()
    assert sweep_statistics.main(config) == 0
    run.remove("reports", "sweep_statistics.json")
    run.remove("refinement_statistics", "v0", names[-1])
    assert sweep_statistics.main(config) == 0
    assert run.names("refinement_statistics", "v0") == names
    after = run.local(*FIRST).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert run.read_json("reports", "sweep_statistics.json")["slices"] == row.slice_count


def test_threshold_and_scale_may_change_and_a_larger_radius_is_counted_anew(ray_cluster, tmp_path):
    case = draw_case(np.random.default_rng(1), 9)
    config, run = begin_run(tmp_path)
    row = write_case(run, "v0", case)
    assert sweep_statistics.main(config) == 0
    wider, _ = begin_run(tmp_path, radius=3, threshold=0.2, scale=2.0)
    assert sweep_statistics.main(wider) == 0
    assert sweep_statistics.main(config) == 0
    assert_same(read_statistics(run, row), make_statistics(case, 3, "v0"))


def test_run_without_tumors_is_refused(tmp_path):
    config, run = begin_run(tmp_path)
    write_volume(run, "healthy", [0], [], SLAB_LENGTH)
    with pytest.raises(RefusedInputError, match="no training or validation volume"):
        sweep_statistics.main(config)


def rewrite(run, change, *parts):
    run.write_table(change(run.read_table(*parts)), *parts)


def repeat_slice(run):
    rewrite(run, lambda table: table.take([0, 0]), "probabilities", "bad", "00001.parquet")


def lose_probability(run):
    rewrite(run, lambda table: table.drop_columns("tumor_probability"), "probabilities", "bad", "00001.parquet")


def lose_reference_slice(run):
    rewrite(run, lambda table: table.slice(1), "references", "grid", "bad", "00001.parquet")


def lose_reference_column(run):
    rewrite(run, lambda table: table.drop_columns("reference_mask"), "references", "grid", "bad", "00001.parquet")


def lose_reference_file(run):
    run.remove("references", "grid", "bad", "00001.parquet")


def cut_reference_file(run):
    run.write_bytes(b"PAR1", "references", "grid", "bad", "00001.parquet")


def change_reference_shape(run):
    slice_index = np.arange(4, 8, dtype=np.int32)
    columns = {"volume_id": ["bad"] * 4, "slice_index": slice_index, "reference_mask": np.zeros((4, 16, 18), bool)}
    table = encode(columns, references_schema(16, 18))
    run.write_table(table, "references", "grid", "bad", "00001.parquet")


def lose_last_label(run):
    rewrite(run, lambda table: table.slice(0, table.num_rows - 1), "image_labels", "bad", "00002.parquet")
    rewrite(run, lambda table: table.slice(0, table.num_rows - 1), "references", "grid", "bad", "00002.parquet")


FAULTS = {
    repeat_slice: ("SLICE_DUPLICATE", "probabilities, slab 1: slices [4]"),
    lose_probability: ("COLUMN_MISSING", "tumor_probability"),
    lose_reference_slice: ("SLICE_MISSING", "masks of the slices [5, 6, 7], labels of [4, 5, 6, 7]"),
    lose_reference_column: (
        "COLUMN_MISSING",
        "references/grid, slab 1: no column reference_mask",
    ),
    lose_reference_file: ("SLAB_MISSING", "references/grid, slab 1: the file is not there"),
    cut_reference_file: ("SLAB_UNREADABLE", "references/grid, slab 1: the file is not a whole Parquet file"),
    change_reference_shape: ("SLICE_SHAPE", "masks are (16, 18) bool, the grid's are (16, 16) bool"),
    lose_last_label: ("SLICE_MISSING", "9 slices have labels, the volume has 10"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_volume_with_a_bad_table_is_set_aside_and_the_rest_completes(ray_cluster, tmp_path, fault):
    config, run = begin_run(tmp_path)
    _, _, probability, reference = draw_case(np.random.default_rng(2), 10)
    case = np.arange(10, dtype=np.int32), np.ones(10, bool), probability, reference
    for volume_id in ("bad", "good"):
        write_case(run, volume_id, case)
    fault(run)
    assert sweep_statistics.main(config) == 3
    (rejection,) = read_rejections(run)
    code, message = FAULTS[fault]
    assert (rejection.volume_id, rejection.code, rejection.step) == ("bad", code, "sweep_statistics")
    assert message in rejection.message
    (volume,) = [read_statistics(run, row) for row in read_volume_rows(run) if not row.healthy]
    assert_same(volume, make_statistics(case, 1, "good"))
    assert run.names("refinement_statistics") == ["good"]
