"""Training batches and steps: crops, losses against formulas written down again, and that learning works."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.config import CouinaudNetConfig
from pipeline.models.checkpoint import build_couinaudnet
from pipeline.training import (
    compute_losses,
    learning_rate,
    make_optimizer,
    soft_dice,
    summarize,
    train_step,
    weighted_mean,
)
from pipeline.training_batches import TrainingBatch, draw_crop, keep_distance, make_batch, make_sample

from .couinaudnet_cases import HEIGHT, WIDTH, draw_couinaud_map, tiny_config


def healthy_slices(count, context=0):
    """Columns of noisy healthy slices with neighbors like themselves."""
    couinaud_map = np.broadcast_to(draw_couinaud_map(), (count, 2 * context + 1, HEIGHT, WIDTH))
    noise = np.random.default_rng(0).integers(-5, 6, couinaud_map.shape)
    return {
        "volume_id": np.array(["case"] * count, dtype=object),
        "slice_index": np.arange(count, dtype=np.int32),
        "image": np.where(couinaud_map > 0, 170 + noise, 0).astype(np.uint8),
        "couinaud_map": couinaud_map,
        "healthy_segments": np.ones((count, 8), bool),
        "liver_median_hu": np.full(count, 100, np.float32),
        "slice_spacing_mm": np.full(count, 5, np.float32),
    }


@pytest.mark.parametrize("corner", [(0, 0), (39, 47), (20, 3)])
def test_crop_holds_the_liver_pixel_and_lies_inside(corner):
    liver = np.zeros((40, 48), bool)
    liver[corner] = True
    window = draw_crop(np.random.default_rng(0), liver, 16)
    assert liver[window].sum() == 1
    assert liver[window].shape == (16, 16)


@pytest.mark.parametrize("side", [0, 64])
def test_crop_of_the_whole_slice(side):
    liver = np.ones((40, 48), bool)
    assert liver[draw_crop(np.random.default_rng(0), liver, side)].shape == (40, 48)


def test_repeated_epoch_gives_the_same_batch_and_another_epoch_another(tmp_path):
    config, slices = tiny_config(tmp_path), healthy_slices(3)
    first, again, later = (make_batch(slices, epoch, config) for epoch in (0, 0, 1))
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.tumor_mask, later.tumor_mask)


def test_batch_does_not_depend_on_its_company(tmp_path):
    config, slices = tiny_config(tmp_path), healthy_slices(3)
    alone = make_batch({name: values[2:] for name, values in slices.items()}, 0, config)
    assert torch.equal(make_batch(slices, 0, config).image[2:], alone.image)


@pytest.mark.parametrize("style", ["superpixel", "textured"])
def test_batch_differs_from_healthy_only_in_the_segments(tmp_path, style):
    batch = make_batch(healthy_slices(8), 0, tiny_config(tmp_path, style, patch_size=24))
    assert batch.image.shape == (8, 1, 24, 24)
    changed = batch.image != batch.healthy_image
    assert changed.any()
    assert not (changed & (batch.segment_mask == 0)).any()
    assert not (batch.tumor_mask > batch.segment_mask).any()
    assert not batch.image[batch.judged_mask == 0].any()


def test_batch_with_neighbors_differs_from_healthy_in_the_segments_of_each_slice(tmp_path):
    config = tiny_config(tmp_path, context_slices=1, patch_size=24)
    batch = make_batch(healthy_slices(8, context=1), 0, config)
    assert batch.image.shape == (8, 3, 24, 24)
    assert batch.healthy_image.shape == batch.tumor_mask.shape == (8, 1, 24, 24)
    changed = batch.image[:, 1:2] != batch.healthy_image
    assert changed.any()
    assert not (changed & (batch.segment_mask == 0)).any()
    assert (batch.image[:, 0] != batch.image[:, 1]).any()


def test_nothing_is_painted_or_judged_in_and_near_named_segments(tmp_path):
    config = tiny_config(tmp_path)
    config = replace(config, couinaudnet=replace(config.couinaudnet, region_margin_mm=2 * config.grid.spacing_mm))
    slices = healthy_slices(6)
    slices["healthy_segments"][:, 5] = False
    batch = make_batch(slices, 0, config)
    liver, named = np.count_nonzero(slices["couinaud_map"]), np.count_nonzero(slices["couinaud_map"] == 6)
    assert batch.tumor_mask.any()
    assert batch.segment_mask.sum() <= liver - named
    assert not (batch.tumor_mask > batch.segment_mask).any()
    assert 0 < batch.judged_mask.sum() < liver - named
    assert torch.count_nonzero(batch.image) > liver - named


def test_margin_is_kept_from_segments_outside_the_crop(tmp_path):
    couinaud_map = np.full((1, 1, 40, 48), 6, np.uint8)
    couinaud_map[..., :24] = 5
    config = tiny_config(tmp_path, patch_size=16)
    config = replace(config, couinaudnet=replace(config.couinaudnet, region_margin_mm=6 * config.grid.spacing_mm))
    beside = 0
    for seed in range(30):
        healthy = np.arange(1, 9) == 6
        sample = make_sample(np.random.default_rng(seed), config, couinaud_map[0], couinaud_map[0], healthy, 100.0, 5.0)
        columns = draw_crop(np.random.default_rng(seed), couinaud_map[0, 0] == 6, 16)[1]
        beside += columns.start in range(24, 30)
        judged = [column - 23 > 6 for column in range(columns.start, columns.stop)]
        assert sample.judged_mask.sum() == 16 * sum(judged)
    assert beside


def test_margin_is_measured_from_the_rest_of_the_liver():
    liver = np.array([[0, 1, 1, 1, 1, 1, 1, 0]], bool)
    healthy = np.array([[0, 1, 1, 1, 1, 0, 0, 0]], bool)
    assert keep_distance(healthy, liver, 2.0).astype(int).tolist() == [[0, 1, 1, 0, 0, 0, 0, 0]]
    assert keep_distance(healthy, liver, 0.0).tolist() == healthy.tolist()
    assert keep_distance(liver, liver, 9.0).tolist() == liver.tolist()


def test_healthy_batch_has_segments_and_no_tumor(tmp_path):
    config = tiny_config(tmp_path)
    config = replace(config, synthesis=replace(config.synthesis, healthy_fraction=1.0))
    batch = make_batch(healthy_slices(4), 0, config)
    assert torch.equal(batch.image, batch.healthy_image)
    assert not batch.tumor_mask.any()
    assert batch.segment_mask.flatten(1).any(dim=1).all()


def small_batch():
    """Four pixels: tumor, its segment, the rest of the liver, outside."""
    as_image = [torch.tensor(row, dtype=torch.float32).view(1, 1, 1, 4) for row in
                ([0, 4, 3, 0], [2, 4, 3, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0])]  # fmt: skip
    return TrainingBatch(*as_image)


def test_losses_equal_their_formulas():
    logits = torch.tensor([0.5, -1.0, 2.0, 9.0]).view(1, 1, 1, 4)
    inpainted = torch.tensor([1.0, 4.5, 7.0, 7.0]).view(1, 1, 1, 4)
    config = CouinaudNetConfig(positive_weight=3.0, dice_weight=0.5)
    losses = compute_losses(inpainted, logits, small_batch(), config)
    p = 1 / (1 + np.exp(-np.array([0.5, -1.0, 2.0])))
    assert float(losses.inpainting) == pytest.approx((5 * 1.0 + 1 * 0.5) / 6)
    assert float(losses.cross_entropy) == pytest.approx(-(3 * np.log(p[0]) + np.log(1 - p[1]) + np.log(1 - p[2])) / 3)
    assert float(losses.dice) == pytest.approx(0.5 * (1 - (2 * p[0] + 1) / (p.sum() + 1 + 1)))
    assert float(losses.total) == pytest.approx(float(losses.inpainting + losses.cross_entropy + losses.dice))


def test_empty_masks_give_finite_losses():
    nothing = torch.zeros(1, 1, 2, 2)
    assert float(weighted_mean(nothing + 7, nothing)) == 0
    assert float(soft_dice(nothing, nothing)) == 1


def test_learning_rates():
    constant, cosine = (CouinaudNetConfig(learning_rate=0.1, schedule=kind) for kind in ("constant", "cosine"))
    assert [learning_rate(constant, progress) for progress in (0, 0.5, 1)] == [0.1] * 3
    assert [learning_rate(cosine, progress) for progress in (0, 0.5, 1)] == pytest.approx([0.1, 0.05, 0])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_step_moves_both_networks(tmp_path, precision):
    config = tiny_config(tmp_path, precision=precision)
    model = build_couinaudnet(config.couinaudnet, 0)
    before = {name: value.clone() for name, value in model.named_parameters()}
    batch = make_batch(healthy_slices(4), 0, config)
    result = train_step(model, make_optimizer(model, config.couinaudnet), batch, config.couinaudnet, 1e-2)
    moved = {name.split(".")[0] for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"inpainting_network", "difference_spotting_network"}
    assert np.isfinite(result.cross_entropy)


def test_networks_learn_to_find_and_remove_tumors(tmp_path):
    net = {
        "inpainting_widths": (8, 16),
        "spotting_widths": (8, 16),
        "normalization": "liver_median",
        "dice_weight": 0.5,
    }
    config = tiny_config(tmp_path, **net)
    model = build_couinaudnet(config.couinaudnet, 0)
    optimizer = make_optimizer(model, config.couinaudnet)
    slices = healthy_slices(8)
    steps = [train_step(model, optimizer, make_batch(slices, k, config), config.couinaudnet, 1e-2) for k in range(80)]
    first, last = summarize(steps[:10]), summarize(steps[-10:])
    assert last["synthetic_dice"] > max(0.65, first["synthetic_dice"] + 0.1)
    assert last["inpainting"] < 0.7 * first["inpainting"]
