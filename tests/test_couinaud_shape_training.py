"""Training the network of the constructor `shape`: variations, loss, resumption, and the job."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import train_couinaud_shape
from pipeline.command_line import parse
from pipeline.config import CouinaudShapeConfig, PipelineConfig
from pipeline.couinaud import shape_job
from pipeline.couinaud.shape_evaluation import evaluate, split_folds
from pipeline.couinaud.shape_maps import read_shapes
from pipeline.couinaud.shape_network import CHANNELS, ShapeNetwork
from pipeline.couinaud.shape_training import LabeledShape, ShapeTraining, make_sample, segment_loss
from pipeline.couinaud.shape_variation import RESECTIONS, Variation, draw_variation, keep_remnant, vary
from pipeline.couinaud.shape_vote import ShapeModel, interpolate
from pipeline.couinaud.shape_weights import pack, unpack
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.volume import to_native_image
from tests.shape_cases import make_geometry, make_labels, segment_at, voxel_points

GEOMETRY = make_geometry((6.0, 6.0, 6.0))
LABELS = make_labels(GEOMETRY)
SHAPE = LabeledShape("liver", LABELS, GEOMETRY)
TINY = CouinaudShapeConfig(side=16, widths=(8, 16), epochs=4, batch_size=2, folds=2, checkpoint_every=2)
STILL = Variation(np.eye(3), np.zeros((3, 2, 2, 2), np.float32), np.zeros((3, 2, 2, 2), np.float32))


@pytest.fixture
def maps(tmp_path):
    """A folder of three label maps."""
    folder = tmp_path / "maps"
    folder.mkdir()
    for name in ("a", "b", "c"):
        sitk.WriteImage(to_native_image(LABELS, GEOMETRY), str(folder / f"{name}.nii.gz"))
    return str(folder)


def test_no_variation_leaves_the_segments_in_place():
    liver, labels, geometry = vary(LABELS, GEOMETRY, STILL)
    points = voxel_points(geometry)[liver]
    assert (labels[liver] == segment_at(points)).mean() > 0.9
    volume, original = np.count_nonzero(liver) * geometry.voxel_ml, np.count_nonzero(LABELS) * GEOMETRY.voxel_ml
    assert volume == pytest.approx(original, rel=0.02)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_a_variation_never_mirrors_and_labels_only_liver(seed):
    variation = draw_variation(np.random.default_rng(seed))
    liver, labels, geometry = vary(LABELS, GEOMETRY, variation)
    assert np.linalg.det(variation.matrix) > 0
    assert liver.shape == labels.shape == geometry.shape
    assert not labels[~liver].any()
    assert not np.isin(labels, variation.resected).any()
    assert (labels[liver] > 0).mean() > 0.8


def test_a_turn_takes_points_where_the_matrix_says():
    turned = Variation(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), STILL.bend_mm, STILL.roughness_mm)
    liver, labels, geometry = vary(LABELS, GEOMETRY, turned)
    middle = voxel_points(GEOMETRY).reshape(-1, 3).mean(axis=0)
    points = (voxel_points(geometry)[liver] - middle) @ turned.matrix + middle
    assert (labels[liver] == segment_at(points)).mean() > 0.9


@pytest.mark.parametrize(("axis", "end"), [(0, 0), (0, 1), (2, 1)])
def test_a_cut_takes_its_share_from_its_end(axis, end):
    whole, _, before = vary(LABELS, GEOMETRY, STILL)
    cut, _, after = vary(LABELS, GEOMETRY, Variation(**{**vars(STILL), "cut": (axis, end, 0.25)}))
    face = np.take(cut, 0 if end == 0 else -1, axis=axis)
    assert face.any()
    assert 0.6 < np.count_nonzero(cut) / np.count_nonzero(whole) < 0.98
    assert after.spacing_mm == before.spacing_mm
    if end == 0:
        assert voxel_points(after)[0, 0, 0][2 - axis] > voxel_points(before)[0, 0, 0][2 - axis]


def test_samples_name_the_segment_at_their_place():
    liver, place, truth = make_sample(SHAPE, 16, np.random.default_rng(3))
    again = make_sample(SHAPE, 16, np.random.default_rng(3))
    assert liver.shape == (CHANNELS, 16, 16, 16)
    assert all(torch.equal(one, other) for one, other in zip((liver, place, truth), again, strict=True))
    inside = interpolate(liver[None, :1], place[None])[0, 0]
    assert float(inside.mean()) > 0.8
    assert set(truth.tolist()) <= set(range(8))


@pytest.mark.parametrize("segments", [(2, 3), (5, 6, 7, 8), (3,)])
def test_a_part_of_a_liver_is_never_resected_wholly(segments):
    part = np.where(np.isin(LABELS, segments), LABELS, 0)
    for resected in RESECTIONS:
        drawn = replace(STILL, resected=resected)
        assert keep_remnant(drawn, LABELS) is drawn
        left = np.count_nonzero(part[~np.isin(part, resected)]) / np.count_nonzero(part)
        assert bool(keep_remnant(drawn, part).resected) == (left >= 0.1)
        _, labels, _ = vary(part, GEOMETRY, keep_remnant(drawn, part))
        assert labels.any()


def test_a_sample_of_a_graft_is_drawn_where_its_segments_would_be_resected():
    graft = LabeledShape("graft", np.where(np.isin(LABELS, (2, 3)), LABELS, 0).astype(np.uint8), GEOMETRY)
    seed = next(seed for seed in range(999) if draw_variation(np.random.default_rng(seed)).resected[:2] == (2, 3))
    _, _, truth = make_sample(graft, 16, np.random.default_rng(seed))
    assert set(truth.tolist()) == {1, 2}


def test_loss_is_least_for_the_truth():
    truth = torch.arange(8).repeat(4)
    sure = 20 * torch.nn.functional.one_hot(truth, 8).float()
    assert float(segment_loss(sure, truth)) == pytest.approx(0, abs=1e-5)
    assert float(segment_loss(torch.zeros(32, 8), truth)) == pytest.approx(np.log(8) + 1 - (1 + 1) / 9, abs=1e-5)


def test_the_network_halves_the_grid():
    assert ShapeNetwork((8, 16))(torch.zeros(2, CHANNELS, 16, 16, 16)).shape == (2, 8, 8, 8, 8)


def test_weights_come_back_from_half_precision(tmp_path):
    networks = [ShapeTraining(TINY, seed).average for seed in (1, 2)]
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pack(networks, TINY.widths, TINY.side, {"seed": "1"}))
    model = unpack(str(path))
    assert (len(model.networks), model.side) == (2, 16)
    for network, read in zip(networks, model.networks, strict=True):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(read.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_training_learns_one_liver():
    config = CouinaudShapeConfig(side=16, widths=(16, 16), epochs=15, batch_size=4, learning_rate=2e-2, average_decay=0)
    training = ShapeTraining(config, 0)
    losses = [training.run_epoch([SHAPE] * 4)["loss"] for _ in range(15)]
    assert losses[-1] < 0.7 * losses[0]
    assert evaluate(ShapeModel((training.average.eval(),), config.side), SHAPE).mean_dice > 0.3


def test_a_restored_training_goes_on_as_if_never_stopped():
    shapes = [SHAPE] * 3
    straight, stopped = ShapeTraining(TINY, 5), ShapeTraining(TINY, 5)
    expected = [straight.run_epoch(shapes) for _ in range(4)][2:]
    stopped.run_epoch(shapes)
    stopped.run_epoch(shapes)
    restored = ShapeTraining(TINY, 5)
    restored.restore(stopped.state())
    assert [restored.run_epoch(shapes) for _ in range(2)] == expected
    for one, other in zip(straight.average.parameters(), restored.average.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_folds_cover_all_once():
    folds = split_folds(78, 5, 0)
    assert sorted(index for fold in folds for index in fold) == list(range(78))
    assert sorted(map(len, folds)) == [15, 15, 16, 16, 16]


def test_the_job_trains_measures_and_stops_where_it_is_done(maps, tmp_path, capsys):
    config = PipelineConfig(
        run=str(tmp_path / "run"), couinaud_shape=CouinaudShapeConfig(**{**vars(TINY), "shapes": maps})
    )
    assert train_couinaud_shape.main(config) == 0
    run = RunFolder(config.run)
    data = run.read_bytes("couinaud_shape", "couinaud_shape.safetensors")
    history = [json.loads(line) for line in run.read_bytes("couinaud_shape", "history.jsonl").splitlines()]
    assert [(record["fold"], record["epoch"]) for record in history] == [(m, e) for m in range(2) for e in range(4)]
    figures = run.read_json("couinaud_shape", "cross_validation.json")
    assert {liver["volume_id"] for liver in figures["livers"]} == {"a", "b", "c"}
    assert f"mean_dice           {figures['summary']['mean_dice']}" in capsys.readouterr().out
    assert train_couinaud_shape.main(config) == 0
    assert run.read_bytes("couinaud_shape", "couinaud_shape.safetensors") == data


def test_an_interrupted_job_gives_the_same_weights(maps, tmp_path):
    def run_until(name, epochs):
        config = PipelineConfig(
            run=str(tmp_path / name), couinaud_shape=CouinaudShapeConfig(**{**vars(TINY), "shapes": maps})
        )
        run, shapes = RunFolder(config.run), read_shapes(maps)
        for record in shape_job.train_folds(run, config, shapes):
            if record["epoch"] == epochs - 1:
                break
        return list(shape_job.train_folds(run, config, shapes)), run.read_bytes(
            "couinaud_shape", "couinaud_shape.safetensors"
        )

    (history, weights), (history_again, weights_again) = run_until("one", 3), run_until("two", 1)
    assert history == history_again
    assert weights == weights_again


def test_too_few_maps_are_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="0 label maps, at least 2"):
        read_shapes(str(tmp_path))


def test_the_command_in_the_weights_can_be_run_again():
    given = CouinaudShapeConfig(widths=(8, 16, 32), epochs=7)
    about = shape_job.describe(PipelineConfig(run="run", seed=3, couinaud_shape=given), 78)
    arguments = about["command"].removeprefix("python -m jobs.train_couinaud_shape ").split()
    config = parse(arguments)
    assert (config.seed, config.couinaud_shape.shapes) == (3, "SHAPES")
    assert (config.couinaud_shape.widths, config.couinaud_shape.epochs) == (given.widths, 7)
    assert len(about["commit"].rstrip("+")) in (40, len("unknown"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (12,)}, "multiples of 8"),
        ({"side": 20}, "multiple of 8, got 20"),
        ({"folds": 1}, "at least 2, got 1"),
        ({"epochs": 0}, "at least 1, got 0"),
        ({"average_decay": 1.0}, r"in \[0, 1\)"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CouinaudShapeConfig(**options)
