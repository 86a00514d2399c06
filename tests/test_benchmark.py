"""The benchmark measures what it says: the same masks by every way, paired ratios, peaks of one measurement."""

from dataclasses import replace

import numpy as np
import pytest

from jobs import benchmark
from pipeline.benchmarks import hospital, kernels
from pipeline.benchmarks.cohort import open_cohort
from pipeline.benchmarks.processes import BareRefinement
from pipeline.benchmarks.refinement import TARGETS, compare
from pipeline.benchmarks.timing import Timings, peak_mb, restart_peak, take_turns
from pipeline.command_line import run_job
from pipeline.config import GridConfig, PhantomConfig, PipelineConfig
from pipeline.masks import read_volume_slices
from pipeline.pixel_labels import refine_pixel_labels
from pipeline.run_folder import RunFolder
from pipeline.stages import benchmark_dicom
from pipeline.stages.refine_pixel_labels import cut_work

TINY = {
    "phantom": PhantomConfig(train_pathological=2, slices=8),
    "grid": GridConfig(height=24, width=20, slab_length=5),
}


def test_job_reports_every_figure(ray_cluster, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kernels, "cache_bytes", lambda: 1 << 16)
    assert benchmark.main(PipelineConfig(run=str(tmp_path), **TINY)) == 0
    report = RunFolder(str(tmp_path)).read_json("reports", "benchmark.json")
    assert report["taken"] == 16
    assert {row["figure"] for row in report["targets"]} == set(TARGETS)
    assert all(row["value"] > 0 for row in report["targets"])
    assert {len(seconds) for seconds in report["seconds_of"].values()} == {5}
    assert len(capsys.readouterr().out.splitlines()) == len(TARGETS)


def test_bare_processes_write_what_the_rule_says(tmp_path):
    config = PipelineConfig(run=str(tmp_path), **TINY)
    run, volumes, _ = open_cohort(config)
    with BareRefinement(1, run, config, {row.volume_id: row for row in volumes}) as processes:
        assert processes.refine(cut_work(volumes, 5)) == 16
    for volume in volumes:
        rows = read_volume_slices(run, "probabilities", volume, ["tumor_probability"])
        expected = refine_pixel_labels(rows["tumor_probability"], rows["slice_index"], 0.5, 5.0)
        written = read_volume_slices(run, "pseudo_labels", volume, ["pseudo_mask", "refined_mask"])
        assert expected.refined_mask.any()
        np.testing.assert_array_equal(written["pseudo_mask"], expected.pseudo_mask)
        np.testing.assert_array_equal(written["refined_mask"], expected.refined_mask)


def test_cohort_of_another_size_replaces_nothing_but_the_cohort(tmp_path):
    config = PipelineConfig(run=f"file://{tmp_path}?x=1", **TINY)
    open_cohort(config)
    RunFolder(config.run).write_bytes(b"x", "couinaudnet", "couinaudnet.json")
    open_cohort(replace(config, seed=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["benchmark", "couinaudnet"]


def test_plain_way_gives_the_same_masks(tmp_path):
    _, volumes, deep = open_cohort(PipelineConfig(run=str(tmp_path), **TINY))
    assert [volume.slice_count for volume in (*volumes, deep)] == [8, 8, 80]
    probability, _ = kernels.draw_probability((3,), 12, 24, 20)
    expected = refine_pixel_labels(probability, np.arange(12, dtype=np.int32), 0.5, 2.0).refined_mask
    np.testing.assert_array_equal(kernels.refine_plainly(probability, 0.5, 2.0), expected)


def test_dask_gives_the_same_masks(tmp_path):
    pytest.importorskip("dask.array")
    config = PipelineConfig(run=str(tmp_path), **TINY)
    probability, _ = kernels.draw_probability((3,), 12, 24, 20)
    expected = refine_pixel_labels(probability, np.arange(12, dtype=np.int32), 0.5, 5.0).refined_mask
    np.testing.assert_array_equal(kernels._dask_operation(config, probability)(), expected)


def test_cohort_is_written_once_and_again_for_another_size(tmp_path):
    config = PipelineConfig(run=str(tmp_path), **TINY)
    run, volumes, _ = open_cohort(config)
    run.write_bytes(b"", "here")
    assert open_cohort(config)[1] == volumes
    assert run.exists("here")
    larger = PhantomConfig(train_pathological=3, slices=8)
    assert len(open_cohort(PipelineConfig(run=str(tmp_path), phantom=larger, grid=TINY["grid"]))[1]) == 3
    assert not run.exists("here")


def test_ratio_is_the_median_of_the_rounds_quotients():
    assert Timings({"a": [1.0, 6.0, 30.0], "b": [1.0, 2.0, 3.0]}).ratio("a", "b") == 3.0


def test_operations_take_turns_and_the_first_round_does_not_count():
    calls = []
    timings = take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert [len(seconds) for seconds in timings.seconds.values()] == [2, 2]


@pytest.mark.skipif(peak_mb() is None, reason="the system does not say how much memory a process took")
def test_peak_starts_again_once_per_measurement():
    np.ones(64 << 20, np.uint8)
    before = peak_mb()
    restart_peak("first")
    low = peak_mb()
    assert low < before - 32
    np.ones(64 << 20, np.uint8)
    restart_peak("first")
    assert peak_mb() > low + 32


def test_figure_that_was_not_measured_is_not_reached():
    parts = {place.split(".")[0]: {} for place, _, _ in TARGETS.values()}
    for place, _, bound in TARGETS.values():
        part, key = place.split(".")
        parts[part][key] = bound
    parts["memory"]["16x_over_1x"] = None
    assert [row["figure"] for row in compare(parts) if not row["reached"]] == ["peak memory, 16x over 1x volumes"]


def test_subject_is_taken_off_the_command_line():
    assert benchmark.take_subject(["refinement", "--run", "x"]) == (benchmark.main, ["--run", "x"])
    assert benchmark.take_subject(["couinaud", "--run", "x"]) == (benchmark.measure_couinaud, ["--run", "x"])
    assert benchmark.take_subject(["--run", "x"]) == (benchmark.main, ["--run", "x"])
    with pytest.raises(SystemExit) as leave:
        run_job(*benchmark.take_subject(["weather", "--run", "x"]))
    assert leave.value.code == 2


def test_ingest_is_measured_against_bare_decoders(ray_cluster, tmp_path, monkeypatch, capsys):
    tiny = PhantomConfig(
        train_pathological=1, train_healthy=0, test=0, slices=8, height=48, width=56, slice_spacing_mm=20.0,
        pixel_spacing_mm=6.0,
    )  # fmt: skip
    monkeypatch.setattr(hospital, "SIZE", tiny)
    for module in (hospital, benchmark_dicom):
        monkeypatch.setattr(module, "SERIES", 3)
    monkeypatch.setattr(benchmark_dicom, "ROUNDS", 1)
    config = PipelineConfig(run=str(tmp_path), grid=GridConfig(height=64, width=64, spacing_mm=6.0, slab_length=5))
    assert benchmark.measure_dicom(config) == 0
    report = RunFolder(str(tmp_path)).read_json("reports", "benchmark_dicom.json")
    assert {row["figure"] for row in report["targets"]} == set(benchmark_dicom.TARGETS)
    assert all(row["value"] > 0 for row in report["targets"])
    assert len(capsys.readouterr().out.splitlines()) == len(benchmark_dicom.TARGETS)
    archive = hospital.open_hospital(RunFolder(str(tmp_path)), "uncompressed", config.seed)
    with hospital.BareDecoders(1) as decoders:
        assert decoders.decode(archive) == 3 * 8
        assert decoders.decode_all(archive) == 3 * (8 + 2)
