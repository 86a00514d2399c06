"""The comparison of arms on phantoms, as it is called: shared work once, nothing twice, and what changed anew."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.case_results import CaseResult
from pipeline.command_line import parse
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.reproduce.comparison import Comparison
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.stages.evaluate import EvaluateSegmentation
from pipeline.stages.reproduce import fit_in_cluster, ingest_cohort
from pipeline.sweep.config_file import replace_settings
from tests.couinaud_cases import GRID, IDS, write_archive

ROOT = Path(__file__).parent.parent
ARGUMENTS = ["--budget", "smoke", "--benchmark", "phantom", "--arms", "none", "plr", "--run"]


def msd_config(tmp_path):
    return PipelineConfig(run=str(tmp_path / "cohort"), grid=GRID)


def test_cohort_joins_several_sources(ray_cluster, tmp_path):
    folders = [write_archive(tmp_path / name, (name,), maps=True, labels=True) for name in IDS[:2]]
    sources = [SourceConfig(path=str(folder)) for folder in folders]
    config = msd_config(tmp_path)
    assert [volume.volume_id for volume in ingest_cohort(config, sources)] == list(IDS[:2])
    assert ingest_cohort(config, ()) == read_volume_rows(RunFolder(config.run))


def test_left_out_volume_becomes_a_test_volume(ray_cluster, tmp_path):
    source = SourceConfig(path=str(write_archive(tmp_path / "a", IDS[:2], maps=True, labels=True)))
    volumes = ingest_cohort(msd_config(tmp_path), [source], IDS[1])
    assert {volume.volume_id: volume.split for volume in volumes} == {IDS[0]: "train", IDS[1]: "test"}
    with pytest.raises(RefusedInputError, match="no volume stranger among 2"):
        ingest_cohort(replace(msd_config(tmp_path), run=str(tmp_path / "other")), [source], "stranger")


def test_cohort_needs_all_of_its_cases(ray_cluster, tmp_path):
    folder = write_archive(tmp_path / "a", IDS[:2], maps=True, labels=True)
    (folder / "imagesTr" / f"{IDS[1]}.nii.gz").write_bytes(b"no image")
    with pytest.raises(RefusedInputError, match="1 NIFTI_CORRUPT of 2 cases; the benchmark needs all of them"):
        ingest_cohort(msd_config(tmp_path), [SourceConfig(path=str(folder))])


def test_one_cpu_is_left_for_the_data(ray_cluster):
    assert [fit_in_cluster(count) for count in (1, 2, 8)] == [1, 1, 1]


def reproduce(run, *more):
    command = [sys.executable, "-m", "jobs.reproduce", *ARGUMENTS, str(run), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def files_of(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Run folder and output of a first call."""
    run = tmp_path_factory.mktemp("reproduce") / "run"
    return run, reproduce(run)


def test_arms_share_cohort_and_network(made):
    run, output = made
    assert sorted(name.rsplit("-", 1)[0] for name in RunFolder(str(run)).names("arms")) == ["none_0", "plr_0"]
    assert [len(RunFolder(str(run)).names(kind)) for kind in ("cohorts", "networks")] == [1, 1]
    assert output.count("train_couinaudnet") == 1
    assert "| volume-level labels | 1 |" in output


def test_results_hold_what_the_arms_measured(made):
    run, _ = made
    results = {name: json.loads((run / "results" / f"{name}_0.json").read_text()) for name in ("none", "plr")}
    assert (
        results["none"]["pseudo_masks"]["phantom_000"]["before"]
        == (results["plr"]["pseudo_masks"]["phantom_000"]["before"])
    )
    for name, result in results.items():
        masks = result["pseudo_masks"]["phantom_000"]
        assert (masks["before"] == masks["after"]) == (name == "none")
        assert result["image_labels"]["phantom_000"]["before"] == result["image_labels"]["phantom_000"]["after"]
        assert {case: values["split"] for case, values in result["cases"].items()} == {
            "phantom_003": "validation",
            "phantom_004": "test",
        }
        assert result["seconds"]["shared"] == ["ingest", "refine_image_labels", "train_couinaudnet", "predict_tumors"]
        assert len((run / "results" / f"{name}_0.json").read_bytes()) < 6000


def test_counts_are_those_of_the_predicted_volume(made):
    from pipeline.branch_folder import open_run_folder

    run, _ = made
    (folder,) = (run / "arms").glob("plr_0-*")
    branch = open_run_folder(str(folder))
    volumes = {row.volume_id: row for row in read_volume_rows(branch, "test")}
    (row,) = EvaluateSegmentation(branch, volumes).process({"volume_id": "phantom_004"})
    case = CaseResult.from_json(row["result"])
    kept = json.loads((run / "results" / "plr_0.json").read_text())["cases"]["phantom_004"]
    assert {name: kept[name] for name in vars(case.masks)} == vars(case.masks)


def test_nothing_is_done_twice(made):
    run, _ = made
    before = files_of(run)
    output = reproduce(run)
    assert "plr, seed 0: done before" in output
    assert files_of(run) == before


def test_changed_setting_makes_only_the_arms_stale_that_it_shapes(made):
    run, _ = made
    config = parse(["--config", "reproduce_smoke", *ARGUMENTS, str(run)])
    volumes = {node.name: read_volume_rows(RunFolder(node.config.run)) for node in Comparison.of(config).cohorts()}
    assert Comparison.of(config).find_stale(volumes) == {}
    assert len(Comparison.of(config).read_all()) == 2
    changed = Comparison.of(replace_settings(config, {"pixel_labels.scale": 4.0}))
    assert changed.find_stale(volumes)["plr", 0] == "made with pixel_labels.scale = 5.0, now it is 4.0"
    assert changed.read_all() == []
    (cohort,) = volumes
    other = {cohort: [replace(row, content_sha256="other") for row in volumes[cohort]]}
    assert set(Comparison.of(config).find_stale(other).values()) == {"made from other volumes"}
