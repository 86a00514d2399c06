"""Predicting tumors: where, what is stored, and which volumes."""

from contextlib import nullcontext
from dataclasses import asdict

import numpy as np
import pytest
import torch

from jobs import predict_tumors as job
from pipeline.config import CouinaudNetConfig
from pipeline.errors import RefusedInputError
from pipeline.image_labels import encode_segments
from pipeline.models import checkpoint
from pipeline.prediction import find_regions, predict_probability, require_same_input
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slab
from pipeline.stages.predict_segmentation import require_networks
from pipeline.stages.predict_tumors import PredictTumors, predict_tumors
from pipeline.sweep.config_file import replace_settings
from pipeline.training import make_optimizer

from .couinaudnet_cases import HEIGHT, WIDTH, draw_couinaud_map, tiny_config, write_case

MAP = np.array([[[0, 4, 4], [5, 5, 0]], [[0, 4, 4], [6, 6, 0]]], np.uint8)
NAMED_THEN_RELABELED = np.stack([encode_segments([4, 5]), encode_segments([])])


def test_named_segments_are_predicted():
    regions = find_regions(MAP, np.stack([encode_segments([4]), encode_segments([6, 8])]), predict_relabeled=True)
    assert regions.masks.astype(int).tolist() == [[[0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0]]]
    assert regions.named.tolist() == [True, True]


def test_relabeled_slice_is_predicted_in_the_whole_liver():
    regions = find_regions(MAP, NAMED_THEN_RELABELED, predict_relabeled=True)
    assert regions.masks[1].astype(int).tolist() == [[0, 1, 1], [1, 1, 0]]
    assert regions.named.tolist() == [True, False]


def test_slice_without_a_pixel_of_its_named_segments_is_predicted_in_the_whole_liver():
    regions = find_regions(MAP, np.stack([encode_segments([6]), encode_segments([4])]), predict_relabeled=False)
    assert regions.masks.astype(int).tolist() == [[[0, 1, 1], [1, 1, 0]], [[0, 1, 1], [0, 0, 0]]]
    assert regions.named.tolist() == [True, True]


def test_relabeled_slice_is_left_out_on_request():
    regions = find_regions(MAP, NAMED_THEN_RELABELED, predict_relabeled=False)
    assert regions.rows.tolist() == [0]
    assert regions.masks.shape == (1, 2, 3)


def test_probability_is_zero_outside_the_region_and_independent_of_batches():
    model = checkpoint.build_couinaudnet(CouinaudNetConfig(inpainting_widths=(4, 8), spotting_widths=(4, 8)), 0).eval()
    images = np.random.default_rng(0).normal(size=(5, 1, 8, 12)).astype(np.float32)
    masks = np.random.default_rng(1).random((5, 8, 12)) < 0.5
    together, single = (predict_probability(model, images, masks, size) for size in (4, 1))
    _, logits = model(torch.from_numpy(images), torch.from_numpy(masks)[:, None].float())
    expected = np.rint(torch.sigmoid(logits)[:, 0].detach().numpy() * 255) * masks
    assert np.abs(together.astype(int) - expected).max() <= 1
    assert np.abs(together.astype(int) - single).max() <= 1
    assert not together[~masks].any()
    assert together.dtype == np.uint8


def test_no_slice_gives_no_row():
    model = checkpoint.build_couinaudnet(CouinaudNetConfig(inpainting_widths=(4, 8), spotting_widths=(4, 8)), 0).eval()
    assert predict_probability(model, np.zeros((0, 1, 8, 12), np.float32), np.zeros((0, 8, 12), bool), 4).shape == (
        0,
        8,
        12,
    )


@pytest.fixture
def run(tmp_path):
    """Volumes of all kinds and an untrained network."""
    run = RunFolder(str(tmp_path))
    write_case(run, "healthy")
    write_case(run, "named", segments=(4, 6), relabeled=(0, 5))
    write_case(run, "validation_case", segments=(3,), split="validation")
    write_case(run, "test_case", segments=(5,), split="test")
    config = tiny_config(tmp_path).couinaudnet
    model = checkpoint.build_couinaudnet(config, 0)
    checkpoint.write_checkpoint(run, model, make_optimizer(model, config), checkpoint.TrainingState().after({}))
    checkpoint.publish(run, config, "epoch-00001", {})
    run.write_json({"quarantined": {}}, "reports", "train_couinaudnet.json")
    return run


def predict(run, volume_id, slab, **net):
    """Run the stage on one slab; return the written columns."""
    stage = PredictTumors(run, tiny_config(run.uri, **net))
    stage.setup()
    assert list(stage.process({"volume_id": volume_id, "slab": slab})) == [{"volume_id": volume_id, "slab": slab}]
    return read_slab(run, "probabilities", volume_id, slab)


def test_stage_writes_named_and_relabeled_slices(run):
    columns = predict(run, "named", 0)
    segments = np.isin(draw_couinaud_map(), (4, 6))
    assert columns["slice_index"].tolist() == [0, 1, 2, 3]
    assert columns["named"].tolist() == [False, True, True, True]
    assert not columns["tumor_probability"][1:][:, ~segments].any()
    assert columns["tumor_probability"][1:][:, segments].any()
    assert columns["tumor_probability"][0][draw_couinaud_map() == 3].any()


def test_slab_without_a_predicted_slice_is_written_empty(run):
    write_case(run, "gone", segments=(4,), slices=2, relabeled=(0, 1))
    columns = predict(run, "gone", 0, predict_relabeled=False)
    assert columns["tumor_probability"].shape == (0, HEIGHT, WIDTH)


def test_written_slab_is_not_predicted_again(run):
    predict(run, "named", 0)
    before = run.read_bytes("probabilities", "named", "00000.parquet")
    run.remove("couinaudnet", "couinaudnet.json")
    stage = PredictTumors(run, tiny_config(run.uri))
    list(stage.process({"volume_id": "named", "slab": 0}))
    assert run.read_bytes("probabilities", "named", "00000.parquet") == before


@pytest.mark.parametrize(
    ("setting", "before", "now"),
    [("grid.spacing_mm", 4.0, 2.0), ("grid.window_low_hu", -200.0, -100.0), ("grid.window_high_hu", 250.0, 200.0)],
)
def test_network_that_was_trained_on_another_grid_is_refused(run, setting, before, now):
    trained = tiny_config(run.uri)
    run.write_json({"network": {}, "grid": asdict(trained.grid)}, "couinaudnet", "couinaudnet.json")
    with pytest.raises(RefusedInputError, match=rf"couinaudnet was trained with {setting} = {before}, now it is {now}"):
        predict_tumors(run, replace_settings(trained, {setting: now}), None)
    require_same_input(run, replace_settings(trained, {"grid.slab_length": 8, "grid.height": 64}), "couinaudnet")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_segmenter_that_was_trained_on_other_input_is_refused(run, share):
    trained = replace_settings(tiny_config(run.uri), {"segmenter.couinaudnet_share": share})
    grid, normalization = asdict(trained.grid), trained.segmenter.normalization
    run.write_json({"grid": grid, "normalization": normalization}, "segmenter", "segmenter.json")
    require_networks(run, trained)
    other = replace_settings(trained, {"segmenter.normalization": "liver_median"})
    with pytest.raises(RefusedInputError, match=r"segmenter.normalization = 'window', now it is 'liver_median'"):
        require_networks(run, other)
    run.write_json({"network": {}, "grid": {**grid, "spacing_mm": 1.0}}, "couinaudnet", "couinaudnet.json")
    refused = pytest.raises(RefusedInputError, match=r"couinaudnet was trained with grid.spacing_mm = 1.0, now")
    with refused if share else nullcontext():
        require_networks(run, trained)


def test_prediction_does_not_round_to_tf32_and_leaves_the_settings_as_they_were():
    cudnn, seen = torch.backends.cudnn, []

    def model(image, mask):
        seen.append((cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark))
        return image, image[:, :1]

    before = (cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark)
    predict_probability(model, np.zeros((2, 1, 8, 12), np.float32), np.ones((2, 8, 12), bool), 1)
    assert seen == [(False, *before[1:])] * 2
    assert (cudnn.allow_tf32, cudnn.enabled, cudnn.benchmark) == before


def test_job_predicts_pathological_volumes_that_are_not_for_testing(run, tmp_path, ray_cluster):
    config = tiny_config(tmp_path, prediction_actors=2)
    assert job.main(config) == 0
    assert run.names("probabilities") == ["named", "validation_case"]
    assert run.names("probabilities", "named") == ["00000.parquet", "00001.parquet"]
    assert run.read_json("reports", "predict_tumors.json")["given"] == 4
    assert job.main(config) == 0


def test_more_actors_than_cpus_are_refused(run, tmp_path, ray_cluster):
    from pipeline.stages.session import work_items

    work = work_items("predict_tumors", [{"volume_id": "named", "slab": 0}])
    with pytest.raises(RefusedInputError, match=r"prediction_actors: 9 workers need 1 CPUs each, the cluster has 2"):
        predict_tumors(run, tiny_config(tmp_path, prediction_actors=9), work)
