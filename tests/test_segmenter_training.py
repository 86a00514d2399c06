"""Training without Ray: it goes on where it stopped, refuses code in checkpoints, and predicts what it learned."""

import os
import pickle

import numpy as np
import pytest
import torch

from pipeline.run_folder import RunFolder
from pipeline.segmenter.cases import TrainingCase
from pipeline.segmenter.dataset import NetworkInput, describe_dataset, export_case
from pipeline.segmenter.folders import SegmenterFolders, nnunet_session
from pipeline.segmenter.planning import extract_fingerprint, plan, preprocess_case, write_json
from pipeline.segmenter.prediction import TumorPredictor
from pipeline.segmenter.trainer import FINAL_CHECKPOINT, LATEST_CHECKPOINT, read_checkpoint, train
from pipeline.segmenter.weights import read_segmenter, write_segmenter
from tests.segmenter_cases import SPACING_MM, read_input, tiny_config, write_case

CPU = torch.device("cpu")
pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid value encountered in scalar divide"),  # nnU-Net's Dice of no tumor
    pytest.mark.filterwarnings("ignore:Mean of empty slice"),
]


def prepare(folder, **settings):
    """A run folder that is ready for training."""
    torch.set_num_threads(1)
    run, config = RunFolder(str(folder)), tiny_config(folder, **settings)
    cases = ("healthy", "sick")
    folders = SegmenterFolders.of(run)
    for name in cases:
        volume, _, _ = write_case(run, name, healthy=name == "healthy")
        export_case(run, TrainingCase(volume), config)
    context = config.segmenter.context_slices
    write_json(describe_dataset(cases, context), folders.raw / "dataset.json")
    with nnunet_session(folders):
        plan(folders, [extract_fingerprint(folders, name, context) for name in cases], config.segmenter)
        for name in cases:
            preprocess_case(folders, name)
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder after a training that learned the dark discs."""
    folder = tmp_path_factory.mktemp("trained")
    run = prepare(folder)
    config = tiny_config(folder, epochs=5, iterations_per_epoch=80, base_features=8, checkpoint_every=2)
    history = []
    train(run, config, CPU, history.append)
    return run, config, history


def checkpoint_path(run, name):
    (path,) = run.local("segmenter", "nnUNet_results").rglob(name)
    return path


def test_callback_sees_every_epoch_so_far(trained):
    _, _, history = trained
    assert [[row["epoch"] for row in rows] for rows in history] == [list(range(n + 1)) for n in range(5)]


def test_training_learns(trained):
    _, _, history = trained
    assert history[-1][-1]["train_loss"] < history[-1][0]["train_loss"] - 0.1


def test_prediction_finds_the_tumor_inside_the_liver_only(trained):
    run, config, _ = trained
    volume, _, tumor = write_case(run, "new", split="test")
    slices = read_input(run, volume, config)
    probability = TumorPredictor(run, False, CPU).predict(slices)
    assert probability.shape == slices.image.shape
    assert probability.dtype == np.float32
    assert probability[tumor].mean() > probability[slices.liver_mask & ~tumor].mean() + 0.2
    assert not probability[~slices.liver_mask].any()


def test_mirrored_prediction_of_a_mirrored_image_is_the_mirror_image(trained):
    run, _, _ = trained
    image = np.zeros((2, 32, 48), np.float32)
    image[:, 2:30, 10:38] = np.random.default_rng(0).uniform(0.2, 1, (2, 28, 28))  # the patch: no tiles, no padding
    index = np.array([5, 6], np.int32)
    predictor = TumorPredictor(run, True, CPU)
    seen = predictor.predict(NetworkInput(image, image > 0, index, SPACING_MM))
    turned = predictor.predict(NetworkInput(image[:, :, ::-1], image[:, :, ::-1] > 0, index, SPACING_MM))
    np.testing.assert_allclose(turned[:, :, ::-1], seen, atol=2e-3)


def test_black_volume_has_no_tumor(trained):
    run, config, _ = trained
    volume, _, _ = write_case(run, "new", split="test")
    slices = read_input(run, volume, config)
    black = NetworkInput(slices.image * 0, slices.liver_mask, slices.slice_index, slices.spacing_mm)
    assert not TumorPredictor(run, False, CPU).predict(black).any()


def test_weights_come_back_as_they_were(trained, tmp_path):
    network, description = read_segmenter(trained[0])
    copy = RunFolder(str(tmp_path))
    write_segmenter(copy, network, description)
    again, same = read_segmenter(copy)
    image = torch.rand(1, 1, 32, 32)
    assert same == description
    assert torch.equal(network(image), again(image))
    assert "dataset" not in description.dataset_json


def test_weights_of_another_network_are_refused(trained, tmp_path):
    network, description = read_segmenter(trained[0])
    copy = RunFolder(str(tmp_path))
    write_segmenter(copy, network.encoder, description)
    with pytest.raises(ValueError, match=r"weights do not fit the plans: .*decoder"):
        read_segmenter(copy)


def test_longer_training_goes_on_from_the_last_epoch(tmp_path):
    run = prepare(tmp_path)
    first, second = [], []
    train(run, tiny_config(tmp_path, epochs=2), CPU, first.append)
    train(run, tiny_config(tmp_path, epochs=4), CPU, second.append)
    assert [rows[-1]["epoch"] for rows in first + second] == [0, 1, 2, 3]
    assert second[-1][:2] == first[-1]
    train(run, tiny_config(tmp_path, epochs=4), CPU, lambda rows: pytest.fail("trained again"))


class KilledError(Exception):
    """Stands for the death of a worker."""


def kill(rows):
    """Die in the third epoch."""
    if len(rows) == 3:
        raise KilledError


def test_killed_training_goes_on_from_its_last_checkpoint(tmp_path):
    run, config, epochs = prepare(tmp_path), tiny_config(tmp_path, epochs=4, checkpoint_every=2), []
    with pytest.raises(KilledError):
        train(run, config, CPU, kill)
    checkpoint = checkpoint_path(run, LATEST_CHECKPOINT)
    checkpoint.with_name(checkpoint.name + ".tmp").write_bytes(b"half a file")
    train(run, config, CPU, lambda rows: epochs.append(rows[-1]["epoch"]))
    assert epochs == [2, 3]


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw", "average_decay": 0.9, "context_slices": 1}])
def test_killed_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path, settings):
    settings, weights = {**settings, "epochs": 4, "checkpoint_every": 2}, []
    for name in ("undisturbed", "killed"):
        run, config = prepare(tmp_path / name, **settings), tiny_config(tmp_path / name, **settings)
        if name == "killed":
            with pytest.raises(KilledError):
                train(run, config, CPU, kill)
        train(run, config, CPU, lambda rows: None)
        weights.append(run.read_bytes("segmenter", "segmenter.safetensors"))
    assert weights[0] == weights[1]


def test_average_of_the_weights_is_what_is_kept(tmp_path):
    settings = {"average_decay": 0.5, "iterations_per_epoch": 4}
    run = prepare(tmp_path, **settings)
    train(run, tiny_config(tmp_path, **settings), CPU, lambda rows: None)
    checkpoint = read_checkpoint(checkpoint_path(run, FINAL_CHECKPOINT), CPU)
    last, average = checkpoint["network_weights"], checkpoint["average_state"]
    assert average["n_averaged"] == 8
    moved = False
    for name, kept in read_segmenter(run)[0].named_parameters():
        assert torch.equal(kept, average[f"module.{name}"])
        moved |= not torch.equal(kept, last[name])
    assert moved


def test_network_with_context_predicts_from_its_own_description(tmp_path):
    settings = {"context_slices": 1, "epochs": 1}
    run, config = prepare(tmp_path, **settings), tiny_config(tmp_path, **settings)
    train(run, config, CPU, lambda rows: None)
    volume, _, _ = write_case(run, "gap", split="test", slice_index=(2, 3, 6))
    slices, predictor = read_input(run, volume, config), TumorPredictor(run, False, CPU)
    probability = predictor.predict(slices)
    slices.image[1] = 0
    changed = [not np.array_equal(*pair) for pair in zip(predictor.predict(slices), probability, strict=True)]
    assert read_segmenter(run)[1].context_slices == 1
    assert changed == [True, True, False]


def test_same_seed_gives_the_same_weights(tmp_path):
    weights = []
    for name in "ab":
        run = prepare(tmp_path / name)
        train(run, tiny_config(tmp_path / name), CPU, lambda rows: None)
        weights.append(run.read_bytes("segmenter", "segmenter.safetensors"))
    assert weights[0] == weights[1]


def test_three_dimensional_configuration_trains_and_predicts(tmp_path):
    run, config = prepare(tmp_path, configuration="3d_fullres"), tiny_config(tmp_path, configuration="3d_fullres")
    train(run, config, CPU, lambda rows: None)
    volume, _, _ = write_case(run, "gap", split="test", slice_index=(2, 3, 6, 7, 8))
    probability = TumorPredictor(run, True, CPU).predict(read_input(run, volume, config))
    assert probability.shape == (5, 32, 48)
    assert 0 < probability.max() <= 1


@pytest.mark.filterwarnings("ignore:torch.cuda.amp.GradScaler")
def test_process_group_of_one_is_not_taken_for_cuda(tmp_path):
    store = torch.distributed.HashStore()
    run, epochs = prepare(tmp_path), []
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        train(run, tiny_config(tmp_path), CPU, lambda rows: epochs.append(rows[-1]["epoch"]))
    finally:
        torch.distributed.destroy_process_group()
    assert epochs == [0, 1]


class Bomb:
    """Something that runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_87_checkpoint_with_code_in_it_is_refused(trained, tmp_path):
    run, _, _ = trained
    path = checkpoint_path(run, FINAL_CHECKPOINT)
    good = read_checkpoint(path, CPU)
    bad = tmp_path / "checkpoint.pth"
    torch.save({**good, "logging": Bomb(tmp_path / "owned")}, bad)
    with pytest.raises(pickle.UnpicklingError):
        read_checkpoint(bad, CPU)
    assert not (tmp_path / "owned").exists()
