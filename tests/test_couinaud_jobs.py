"""The jobs with the constructors that the package brings: nothing but liver masks in, maps and comparisons out."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

import pipeline.benchmarks.couinaud as couinaud_benchmark
from jobs import benchmark, construct_couinaud, evaluate_couinaud, ingest, refine_image_labels
from pipeline.archive.catalog import list_cases, read_case
from pipeline.archive.quarantine import read_rejections
from pipeline.config import CouinaudConfig, CouinaudEvaluationConfig
from pipeline.couinaud import construct
from pipeline.couinaud.kept_maps import read_rows
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slices, read_volume_rows
from tests.couinaud_cases import GRID, IDS, PHANTOM, configure, phantom, vessel_mask, write_archive, write_nifti

SHAPE = CouinaudConfig(method="shape")


@pytest.mark.parametrize("method", ["shape", "planes", "territories"])
def test_every_method_divides_the_liver_alike_each_time(method):
    volume = replace(phantom("phantom_002"), couinaud_map=None)
    made = construct(volume, CouinaudConfig(method=method))
    np.testing.assert_array_equal(made.labels > 0, volume.liver_mask)
    assert made.method == method
    assert set(np.unique(made.labels)) == set(range(9))
    np.testing.assert_array_equal(construct(volume, CouinaudConfig(method=method)).labels, made.labels)


def test_liver_masks_are_enough(ray_cluster, tmp_path, capsys):
    root = write_archive(tmp_path / "archive")
    write_nifti(root / "labelsTr" / "phantom_001.nii.gz", np.zeros_like(phantom().couinaud_map), phantom())
    config = configure(tmp_path / "run", root, couinaud=SHAPE)
    assert construct_couinaud.main(config) == 3
    run = RunFolder(config.run)
    rows = {row["volume_id"]: row for row in read_rows(run)}
    assert sorted(rows) == [name for name in IDS if name != "phantom_001"]
    assert {row["couinaud_method"] for row in rows.values()} == {"shape"}
    assert run.names("quarantine") == ["phantom_001.parquet"]
    assert "maps: 3 shape" in capsys.readouterr().out

    write_archive(root, labels=True)
    before = {name: run.local("couinaud", f"{name}.nii.gz").stat().st_mtime_ns for name in rows}
    assert ingest.main(config) == 0
    assert before == {name: run.local("couinaud", f"{name}.nii.gz").stat().st_mtime_ns for name in rows}
    seconds = {row.volume_id: row.couinaud_seconds for row in read_volume_rows(run)}
    assert all(seconds[name] == row["couinaud_seconds"] for name, row in rows.items())


@pytest.mark.parametrize("orientation", ["RAS", "LAI", "SPL", "PIR"])
def test_map_does_not_hang_on_the_order_of_the_files_axes(tmp_path, orientation):
    plain, turned = (write_archive(tmp_path / name, IDS[:1]) for name in ("plain", "turned"))
    for path in turned.rglob("*.nii.gz"):
        sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), orientation), str(path))
    maps = []
    for root in (plain, turned):
        config = configure(tmp_path / "run", root, couinaud=SHAPE)
        (case,), _ = list_cases(config, labels_required=False)
        volume = read_case(case, config)
        maps.append(construct(volume, config.couinaud).labels)
        expected = orientation if root == turned else volume.geometry.native_orientation
        assert volume.geometry.native_orientation == expected
    np.testing.assert_array_equal(*maps)


def test_bad_vessels_cost_only_the_case_that_needs_them(ray_cluster, tmp_path):
    root, volume = write_archive(tmp_path / "archive", IDS[:3], vessels=True), phantom("phantom_001")
    write_nifti(root / "vesselsTr" / "phantom_000.nii.gz", 3 * vessel_mask(phantom()), phantom())
    write_nifti(root / "vesselsTr" / "phantom_001.nii.gz", 3 * vessel_mask(volume), volume)
    write_nifti(root / "couinaudTr" / "phantom_001.nii.gz", volume.couinaud_map, volume)
    config = configure(tmp_path / "run", root)
    assert construct_couinaud.main(config) == 3
    run = RunFolder(config.run)
    assert {row["volume_id"]: row["couinaud_method"] for row in read_rows(run)} == {
        "phantom_001": "precomputed",
        "phantom_002": "planes",
    }
    assert [(item.volume_id, item.code) for item in read_rejections(run)] == [("phantom_000", "VESSEL_VALUES")]


def test_shape_replaces_the_maps_of_a_run(ray_cluster, tmp_path):
    config = configure(tmp_path / "run", couinaud=SHAPE)
    assert ingest.main(config) == 0
    assert refine_image_labels.main(config) == 0
    run = RunFolder(config.run)
    for row in read_volume_rows(run):
        slices = read_slices(run, "slices", row, GRID.slab_length, 0, PHANTOM.slices)
        assert row.couinaud_method == "shape"
        assert not np.any((slices["image"] > 0) & (slices["couinaud_map"] == 0))


def test_comparison_of_an_archive(ray_cluster, tmp_path, capsys):
    config = configure(tmp_path / "run", couinaud_evaluation=CouinaudEvaluationConfig(methods=("shape", "planes")))
    assert evaluate_couinaud.main(config) == 0
    folder = RunFolder(config.run).local("couinaud_evaluation")
    with (folder / "cases.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [(row["volume_id"], row["method"]) for row in rows] == [(n, m) for n in IDS for m in ("planes", "shape")]
    assert all(0.2 < float(row["dice"]) <= 1 for row in rows)
    assert Image.open(folder / "slices.png").width > 500
    table = capsys.readouterr().out.split("\n\nCases")[0]
    assert "presence" in table
    assert evaluate_couinaud.main(config) == 0
    assert capsys.readouterr().out.strip() == table.strip()
    report = RunFolder(config.run).read_json("reports", "evaluate_couinaud.json")
    assert (report["taken"], report["given"], report["quarantined"]) == (4, 4, {})


def test_benchmark_reports_every_figure(ray_cluster, tmp_path, monkeypatch, capsys):
    small = replace(PHANTOM, train_pathological=1, train_healthy=0, test=0)
    monkeypatch.setattr(couinaud_benchmark, "SIZE", small)
    monkeypatch.setattr("pipeline.stages.benchmark_couinaud.VOLUMES", 2)
    assert benchmark.measure_couinaud(configure(tmp_path)) == 0
    run = RunFolder(str(tmp_path))
    report = run.read_json("reports", "benchmark_couinaud.json")
    assert report["taken"] == len(couinaud_benchmark.METHODS) * len(couinaud_benchmark.WORKERS) * 2
    assert {row["figure"] for row in report["targets"]} == set(couinaud_benchmark.TARGETS)
    for part in report["figures"].values():
        assert part.pop("beside_volume_mb") >= 0  # a small volume fits into what a warm worker has
        assert all(figure > 0 for figure in part.values())
    assert len(capsys.readouterr().out.splitlines()) == len(couinaud_benchmark.TARGETS)
    volume = couinaud_benchmark.read_benchmark_volume(run)
    np.testing.assert_array_equal(volume.vessels.portal, phantom().vessels.portal)
