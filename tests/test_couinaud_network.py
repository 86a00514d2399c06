"""The constructor `network`: nnU-Net's own result, nothing run from the files, and unusable folders refused early."""

import json
import os
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from jobs import ingest
from pipeline.archive.catalog import list_cases
from pipeline.config import CouinaudConfig, CouinaudEvaluationConfig
from pipeline.couinaud import construct, prepare
from pipeline.couinaud.agreement import compare_maps
from pipeline.couinaud.evaluation import MethodResult
from pipeline.couinaud.methods import needs_network
from pipeline.couinaud.network import find_segments, find_surroundings
from pipeline.errors import CaseError, RefusedInputError
from pipeline.nnunet.model_folder import CHECKPOINT, load_checkpoint, read_model_folder
from pipeline.nnunet.predictor import NetworkPredictor
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.stages.evaluate_couinaud import EvaluateConstructors, evaluation_config
from tests.couinaud_cases import IDS, configure, phantom, train_tiny_network, write_archive

SEGMENTS = {f"segment_{n}": n for n in range(1, 9)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder as nnU-Net's trainer leaves it."""
    torch.set_num_threads(1)
    return train_tiny_network(tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(model, tmp_path):
    """A copy of it, to be spoiled."""
    return shutil.copytree(model, tmp_path / "copy")


def settings(folder, **changes):
    return CouinaudConfig(method="network", network=str(folder), maximum_unlabeled_fraction=0.99, **changes)


def edit(path, change):
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def predict_as_nnunet(folder, image, spacing_mm):
    """What nnU-Net's own loading and prediction make of an array."""
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    path = folder / "fold_all" / CHECKPOINT
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, "trainer_name": "nnUNetTrainer"}, path)
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), ("all",))
    return predictor.predict_single_npy_array(image[None].astype(np.float32), {"spacing": list(spacing_mm)})


def test_labels_are_nnunets_own_on_the_canonical_image(folder):
    volume, spacing_mm = phantom("phantom_002"), phantom("phantom_002").geometry.spacing_mm
    box = find_surroundings(volume.liver_mask, spacing_mm)
    expected = predict_as_nnunet(folder, volume.hu[box][:, ::-1, ::-1], spacing_mm)[:, ::-1, ::-1]
    made = construct(volume, settings(folder))
    inside = volume.liver_mask[box] & (expected > 0)
    assert inside.sum() > 0.5 * volume.liver_mask.sum()
    assert made.method == "network"
    np.testing.assert_array_equal(made.labels[box][inside], expected[inside])
    np.testing.assert_array_equal(made.labels > 0, volume.liver_mask)


def test_canonical_order_is_y_and_x_reversed():
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    turned = sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.GetImageFromArray(array), "RAS"))
    np.testing.assert_array_equal(turned, array[:, ::-1, ::-1])


def test_orientation_turns_the_image_and_nothing_else(model):
    volume, read = phantom(), read_model_folder(str(model), "setting", find_segments)
    turned = np.ascontiguousarray(volume.hu[:, ::-1, ::-1])
    canonical = NetworkPredictor(read, "RAS", use_gpu=False).predict(volume.hu, volume.geometry.spacing_mm)
    plain = NetworkPredictor(read, "LPS", use_gpu=False).predict(turned, volume.geometry.spacing_mm)
    np.testing.assert_array_equal(canonical, plain[:, ::-1, ::-1])


def test_surroundings_are_ten_millimeters_within_the_image():
    mask = np.zeros((9, 30, 40), bool)
    mask[4:6, 10:20, 2:39] = True
    assert find_surroundings(mask, (5.0, 3.0, 1.0)) == (slice(2, 8), slice(6, 24), slice(0, 40))


def test_classes_follow_the_numbers_in_their_names(folder):
    volume = phantom()
    before = construct(volume, settings(folder)).labels
    reverse = {"background": 0, **{f"segment_{9 - value}": value for value in range(1, 9)}}
    edit(folder / "dataset.json", lambda values: values.update(labels=reverse))
    other = folder.rename(folder.parent / "other")
    np.testing.assert_array_equal(construct(volume, settings(other)).labels, np.where(before, 9 - before, 0))


@pytest.mark.parametrize(
    ("labels", "first"),
    [
        ({"background": 0, **SEGMENTS}, 1),
        ({"background": 0, **{chr(64 + n): n for n in range(1, 9)}}, 1),
        ({"background": 0, **{f"x{n % 8 + 1}": n for n in range(1, 9)}, "ignore": 9}, 2),
    ],
)
def test_labels_by_name_or_value(labels, first):
    found = find_segments(labels)
    assert found[1] == first
    assert sorted(found.values()) == list(range(1, 9))


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("dataset.json", lambda values: values["labels"].popitem(), "labels must be the segments 1..8"),
        ("dataset.json", lambda values: values["labels"].update(liver_segment_8=[7, 8]), "labels must be"),
        ("dataset.json", lambda values: values["channel_names"].update({"1": "MR"}), "one input channel"),
        ("plans.json", lambda values: values["configurations"].clear(), "the plans of"),
        (
            "plans.json",
            lambda values: values["configurations"]["configured"]["architecture"].update(
                network_class_name="os.system"
            ),
            "os.system",
        ),
        (
            "plans.json",
            lambda values: values["configurations"]["configured"]["architecture"]["arch_kwargs"].update(
                nonlin="builtins.exec"
            ),
            "builtins.exec",
        ),
        (
            "plans.json",
            lambda values: values["configurations"]["configured"]["architecture"]["arch_kwargs"].update(
                features_per_stage=[4, 8, 32]
            ),
            "weights are not those of the planned network",
        ),
    ],
)
def test_unusable_folder_is_refused(folder, name, change, words):
    edit(folder / name, change)
    with pytest.raises(RefusedInputError, match=words):
        prepare(settings(folder))


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", f"fold_all/{CHECKPOINT}"])
def test_missing_file_is_refused_before_any_volume(folder, name, tmp_path):
    (folder / name).unlink()
    with pytest.raises(RefusedInputError, match=r"couinaud\.network"):
        ingest.main(configure(tmp_path / "run", couinaud=settings(folder)))
    assert not (tmp_path / "run" / "settings" / "couinaud.json").exists()


def test_method_without_a_folder_is_refused():
    with pytest.raises(RefusedInputError, match="expected an nnU-Net model folder, got ''"):
        prepare(CouinaudConfig(method="network"))


class Payload:
    """What a pickle should not be able to do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_87_code_in_a_checkpoint_is_refused_and_not_run(folder, tmp_path):
    path = folder / "fold_all" / CHECKPOINT
    torch.save({**load_checkpoint(path), "logging": Payload(tmp_path / "ran")}, path)
    with pytest.raises(RefusedInputError, match=r"fold_all/checkpoint_final\.pth cannot be read as data alone"):
        prepare(settings(folder))
    assert not (tmp_path / "ran").exists()


def test_checkpoint_of_the_time_before_numpy_2_is_read(folder):
    path = folder / "fold_all" / CHECKPOINT
    torch.save({**load_checkpoint(path), "_best_ema": np.float64(0.5)}, path)
    with zipfile.ZipFile(path) as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(path, "w") as target:
        for name, data in members.items():
            target.writestr(name, data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert any(b"numpy._core.multiarray" in data for data in members.values())
    assert load_checkpoint(path)["_best_ema"] == 0.5


def test_network_that_finds_too_little_rejects_the_case(model):
    volume = phantom("phantom_002")
    config = replace(settings(model), maximum_unlabeled_fraction=0.0)
    with pytest.raises(CaseError, match="COUINAUD_INCOMPLETE"):
        construct(volume, config)


def test_ingest_runs_the_network_in_actors(ray_cluster, model, tmp_path):
    archive = write_archive(tmp_path / "archive")
    (archive / "volume_labels.csv").write_text("volume_id,segments\n" + "".join(f"{name},\n" for name in IDS))
    config = configure(tmp_path / "run", archive, couinaud=settings(model, write_maps=True))
    assert needs_network(config.couinaud)
    assert ingest.main(config) == 0
    rows = read_volume_rows(RunFolder(config.run))
    assert [(row.volume_id, row.couinaud_method) for row in rows] == [(name, "network") for name in IDS]
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "run" / "couinaud" / "phantom_001.nii.gz")))
    np.testing.assert_array_equal(written, construct(phantom("phantom_001"), config.couinaud).labels)


def test_comparison_takes_the_network_in(model, tmp_path):
    compared = CouinaudEvaluationConfig(methods=("network",))
    config = evaluation_config(configure(tmp_path, couinaud=settings(model), couinaud_evaluation=compared))
    stage = EvaluateConstructors(RunFolder(config.run), config)
    stage.setup()
    (row,) = stage.process({**list_cases(config)[0][1].to_row(), "pictured": False})
    (result,) = map(MethodResult.from_json, row["results"])
    volume = phantom("phantom_001")
    made = construct(volume, settings(model)).labels
    assert (result.method, result.code) == ("network", "")
    assert result.agreement == compare_maps(made, volume.couinaud_map, volume, 50.0)


def test_more_actors_than_the_cluster_has_room_for_are_refused(ray_cluster, model, tmp_path):
    with pytest.raises(RefusedInputError, match=r"2 workers need 1 CPUs each and one CPU beside them"):
        ingest.main(configure(tmp_path / "run", couinaud=settings(model, prediction_actors=2)))
