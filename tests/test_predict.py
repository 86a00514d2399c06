"""A trained segmenter on new CTs: what it says of a CT does not depend on the way there, and nobody learns from it."""

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from jobs import evaluate, predict, refine_image_labels, train_couinaudnet
from pipeline.branch_folder import make_branch
from pipeline.command_line import load_config, parse
from pipeline.errors import RefusedInputError
from pipeline.phantom import make_phantom
from pipeline.run_folder import RunFolder
from pipeline.run_status import read_status
from pipeline.slabs import read_volume_rows
from pipeline.steps import made_with, plain_settings
from pipeline.trained_model import read_model_settings, take_model
from tests.archive_cases import write_image

KNOWN, NEW = "phantom_003", "phantom_001"
"""The test volume of the trained run, and one that comes later."""


def read_mask(folder, volume_id):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(Path(folder) / "predictions" / f"{volume_id}.nii.gz")))


def write_ct(archive, config, volume_id):
    """A phantom's CT and its liver: no tumor, no Couinaud map, no label."""
    volume = make_phantom(config.phantom, 0, volume_id)
    for folder, array in (("imagesTr", volume.hu), ("labelsTr", volume.liver_mask.astype(np.uint8))):
        write_image(archive / folder / f"{volume_id}.nii.gz", array, spacing=volume.geometry.spacing_mm)


def list_states(folder):
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


@pytest.fixture(scope="module")
def predicted(interrupted_run, ray_cluster, tmp_path_factory):
    """The command's settings for an archive that has grown, exit codes, and the first mask's time before and after."""
    root, trained = tmp_path_factory.mktemp("predict"), interrupted_run.run
    before = list_states(trained.folder)
    made = load_config(str(trained.config))
    archive = root / "archive"
    write_ct(archive, made, KNOWN)
    (archive / "volume_labels.csv").write_text("volume_id,segments\nanother,5\n")  # it was not asked for
    given = ["--model", str(trained.folder), "--source", str(archive), "--layout", "msd", "--run", str(root / "run")]
    config = parse(given, base=read_model_settings)
    codes, times = [predict.main(config)], [os.stat(root / "run" / "predictions" / f"{KNOWN}.nii.gz").st_mtime_ns]
    assert evaluate.main(parse(["--run", config.run], base=made_with("segmenter"))) == 0
    write_ct(archive, made, NEW)
    for folder in ("imagesTr", "labelsTr"):
        (archive / folder / "broken.nii.gz").write_bytes(b"no image")
    codes.append(predict.main(config))
    times.append(os.stat(root / "run" / "predictions" / f"{KNOWN}.nii.gz").st_mtime_ns)
    assert not RunFolder(config.run).exists("reports", "evaluate.json")  # it was one of fewer volumes
    assert list_states(trained.folder) == before
    return config, codes, times


def test_a_new_ct_is_predicted_as_if_it_had_been_in_the_run(predicted, interrupted_run):
    config, *_ = predicted
    expected = read_mask(interrupted_run.run.folder, KNOWN)
    assert expected.any()
    np.testing.assert_array_equal(read_mask(config.run, KNOWN), expected)


def test_what_is_new_is_predicted_and_a_bad_case_set_aside(predicted):
    config, codes, times = predicted
    run = RunFolder(config.run)
    assert codes == [0, 3]
    assert times[0] == times[1]
    assert run.names("predictions") == [f"{NEW}.nii.gz", f"{KNOWN}.nii.gz"]
    assert run.names("quarantine") == ["broken.parquet"]
    table = run.read_bytes("predictions.csv").decode().splitlines()
    assert [line.split(",")[0] for line in table] == ["volume_id", NEW, KNOWN]
    report = run.read_json("reports", "predict_segmentation.json")
    assert (report["taken"], report["given"]) == (2, 2)


def test_status_is_of_the_steps_that_prediction_takes(predicted):
    steps = read_status(predicted[0].run).steps
    assert [step.step for step in steps] == ["ingest", "predict_segmentation", "evaluate"]
    assert [step.state for step in steps[:2]] == ["done"] * 2


def test_a_case_without_a_label_is_not_healthy_and_has_no_reference(predicted):
    config, *_ = predicted
    volumes = read_volume_rows(RunFolder(config.run))
    facts = {(row.split, row.labeled, row.healthy, row.has_reference, row.couinaud_method) for row in volumes}
    assert facts == {("test", False, False, False, "shape")}
    assert evaluate.main(parse(["--run", config.run], base=made_with("segmenter"))) == 0
    summary = RunFolder(config.run).read_json("evaluation", "summary.json")["segmenter"]["test"]
    assert (summary["n_cases"], summary["n_tumor_free"], summary["n_without_reference"]) == (0, 0, 2)


def test_nobody_learns_from_cases_without_a_label(predicted):
    config, *_ = predicted
    with pytest.raises(RefusedInputError, match="2 of 2 volumes have no label"):
        refine_image_labels.main(config)
    with pytest.raises(RefusedInputError, match="needs refine_image_labels"):
        train_couinaudnet.main(config)


@pytest.fixture
def model(tmp_path):
    """A run folder with what is left of a training, and the command for it."""
    run, sections = RunFolder(str(tmp_path / "model")), load_config("standard")
    for section in ("grid", "synthesis", "couinaudnet", "segmenter"):
        run.write_json(plain_settings(getattr(sections, section)), "settings", f"{section}.json")
    for name in ("segmenter/segmenter", "couinaudnet/inpainting_network", "couinaudnet/difference_spotting_network"):
        run.write_bytes(name.encode(), f"{name}.safetensors")
    run.write_json({}, "segmenter", "segmenter.json")
    run.write_json({}, "couinaudnet", "couinaudnet.json")
    run.write_json({"quarantined": {}}, "reports", "train_segmenter.json")
    return run, ["--model", run.uri, "--run", str(tmp_path / "run")]


def test_settings_come_from_the_model_and_resources_from_the_command(model, tmp_path):
    site = tmp_path / "site.toml"
    site.write_text('[ray]\ncpus = 3\n[segmenter]\nprediction_actors = 2\n[source]\nmasks = "livers"\n')
    given = [*model[1], "--config", str(site), "--segmenter.use-gpu", "--seed", "4"]
    config, made = parse(given, base=read_model_settings), load_config("standard")
    assert (config.grid, config.couinaudnet, config.synthesis) == (made.grid, made.couinaudnet, made.synthesis)
    assert plain_settings(config.segmenter) == plain_settings(made.segmenter)
    assert (config.segmenter.use_gpu, config.segmenter.prediction_actors, config.ray.cpus) == (True, 2, 3)
    assert (config.source.masks, config.seed) == ("livers", 4)
    take_model(config)


def test_the_files_are_taken_once_and_go_by_their_hash(model):
    run, given = model
    config = parse(given, base=read_model_settings)
    take_model(config)
    taken = RunFolder(config.run)
    names = [f"segmenter/{name}" for name in taken.names("segmenter")]
    names += [f"couinaudnet/{name}" for name in taken.names("couinaudnet")]
    assert len(names) == 5
    assert all(taken.read_bytes(name) == run.read_bytes(name) for name in names)
    take_model(config)
    run.write_bytes(b"other weights", "segmenter", "segmenter.safetensors")
    with pytest.raises(
        RefusedInputError, match=f"holds predictions of {run.uri} .*, now it is {run.uri} .*; use anoth"
    ):
        take_model(config)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--grid.spacing-mm", "1.0", "grid.spacing_mm: the model of .* goes with 2.0, given is 1.0"),
        ("--segmenter.threshold", "0.5", "segmenter.threshold: the model of .* goes with 0.4, given is 0.5"),
        ("--config", "quick", "goes with .*, given is"),
        ("--run", "model", "has a segmenter of its own"),
        ("--model", "", "expected a run folder with a trained segmenter"),
        ("--model", "nowhere", "train_segmenter has not completed on .*nowhere"),
    ],
)
def test_what_does_not_go_with_the_model_is_refused(model, monkeypatch, tmp_path, option, value, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RefusedInputError, match=words):
        predict.main(parse([*model[1], option, value], base=read_model_settings))
    assert not (tmp_path / "run").exists()


def test_a_branch_has_its_settings_and_files_from_its_parent(model, tmp_path):
    run, given = model
    branch = make_branch(
        str(tmp_path / "arm"), "../model", ["segmenter", "couinaudnet", "reports/train_segmenter.json"]
    )
    own = {**run.read_json("settings", "segmenter.json"), "threshold": 0.3}
    branch.write_json(own, "settings", "segmenter.json")
    config = parse(["--model", branch.uri, *given[2:]], base=read_model_settings)
    assert (config.segmenter.threshold, config.grid) == (0.3, load_config("standard").grid)
    take_model(config)
    weights = (Path(config.run) / "segmenter" / "segmenter.safetensors").read_bytes()
    assert weights == run.read_bytes("segmenter", "segmenter.safetensors")
    assert RunFolder(config.run).read_json("model.json")["run"] == branch.uri
