"""What stands in for nnU-Net's own: the schedule of AdamW, averaged weights, shared augmentation, smoothing along z."""

import math

import numpy as np
import pytest
import torch

from pipeline.config import SegmenterConfig
from pipeline.segmenter.dataset import NetworkInput
from pipeline.segmenter.optimization import WarmUpCosine, average_weights, settle_augmentation
from pipeline.segmenter.prediction import smooth_across_slices
from pipeline.segmenter.trainer import SegmenterTrainer


def make_schedule(epochs, steps):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=123.0)
    return optimizer, WarmUpCosine(optimizer, 2.0, epochs, steps)


def test_rate_rises_to_the_peak_and_falls_as_half_a_cosine():
    _, schedule = make_schedule(epochs=4, steps=20)  # 80 steps, of which 4 rise
    assert [schedule.rate(done) for done in range(4)] == [0.5, 1.0, 1.5, 2.0]
    assert schedule.rate(4) == 2.0
    assert schedule.rate(4 + 19) == pytest.approx(1 + math.cos(math.pi / 4))
    assert schedule.rate(4 + 38) == pytest.approx(1.0)
    assert 0 < schedule.rate(79) < 0.002


def test_rate_at_an_epoch_does_not_depend_on_how_it_was_reached():
    straight, resumed = make_schedule(4, 20), make_schedule(4, 20)
    for _ in range(40):
        straight[1].advance()
    resumed[1].step(2)
    assert straight[0].param_groups[0]["lr"] == resumed[0].param_groups[0]["lr"] == straight[1].rate(40)


def test_average_forgets_the_first_weights_soon():
    network = torch.nn.Linear(1, 1, bias=False)
    average = average_weights(network, 0.25)
    seen = []
    for value in (8.0, 0.0, 1.0):
        torch.nn.init.constant_(network.weight, value)
        average.update_parameters(network)
        seen.append(average.module.weight.item())
    first = 8 * 2 / 11
    assert seen == pytest.approx([8.0, first, first + 0.75 * (1 - first)])


def training_transforms():
    """nnU-Net's augmentation of a 2-D patch."""
    return SegmenterTrainer.__base__.get_training_transforms((32, 32), (-0.1, 0.1), None, (0, 1), False)


def test_neighbor_slices_are_augmented_alike():
    transforms = training_transforms()
    settle_augmentation(transforms, channels=3)
    transforms.transforms = [one for one in transforms.transforms if "GaussianNoise" not in repr(one)]
    for one in transforms.transforms:
        one.apply_probability = 1
    patch = torch.rand(1, 32, 32).repeat(3, 1, 1)
    target = torch.zeros(1, 32, 32, dtype=torch.int16)
    changed = transforms(image=patch.clone(), segmentation=target)["image"]
    assert not torch.equal(changed, patch)
    assert torch.allclose(changed[0], changed[1])
    assert torch.allclose(changed[0], changed[2])


def test_channels_are_changed_as_often_as_before():
    before, after = training_transforms(), training_transforms()
    settle_augmentation(after, channels=3)
    for old, new in zip(before.transforms, after.transforms, strict=True):
        if hasattr(old, "apply_probability"):
            share = old.apply_probability * old.transform.p_per_channel
            assert new.apply_probability * new.transform.p_per_channel == pytest.approx(share)


def test_one_channel_keeps_nnunets_probabilities():
    before, after = training_transforms(), training_transforms()
    settle_augmentation(after, channels=1)
    expected = [repr(one).replace("benchmark = True", "benchmark = False") for one in before.transforms]
    assert [repr(one) for one in after.transforms] == expected


def column(values, liver, index):
    """A volume of one pixel per slice, 2 mm apart."""
    mask = np.array(liver, bool).reshape(-1, 1, 1)
    image = np.zeros(mask.shape, np.float32)
    slices = NetworkInput(image, mask, np.array(index, np.int32), (2.0, 1.0, 1.0))
    return np.array(values, np.float32).reshape(-1, 1, 1), slices


def test_smoothing_weighs_slices_by_their_distance_in_mm():
    probability, slices = column([0, 0, 0, 1, 0, 0], [1] * 6, [10, 11, 12, 13, 14, 16])
    smooth = smooth_across_slices(probability, slices, 3.0).ravel()
    weights = np.exp(-0.5 * (2 * np.arange(-6, 7) / 3) ** 2)  # scipy cuts at four deviations
    places = np.array([10, 11, 12, 13, 14, 16])
    expected = [weights[13 - z + 6] / weights[places - z + 6].sum() for z in places]
    np.testing.assert_allclose(smooth, expected, atol=1e-6)


def test_certain_tumor_stays_certain_up_to_the_ends_of_the_liver():
    probability, slices = column([1, 1, 1, 0, 1], [1, 1, 1, 0, 1], [3, 4, 5, 6, 9])
    smooth = smooth_across_slices(probability, slices, 5.0).ravel()
    np.testing.assert_allclose(smooth, [1, 1, 1, 0, 1], atol=1e-6)


def test_no_smoothing_leaves_the_probability_as_it_is():
    probability, slices = column([0.1, 0.9], [1, 1], [0, 1])
    assert smooth_across_slices(probability, slices, 0.0) is probability


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context_slices": 1, "configuration": "3d_fullres"}, r"context_slices: only .* 2d, got 1 with 3d_fullres"),
        ({"context_slices": -1}, "context_slices: not negative, got -1"),
        ({"smoothing_mm": -0.5}, "smoothing_mm: not negative"),
        ({"average_decay": 1.0}, r"average_decay: in \[0, 1\), got 1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SegmenterConfig(**settings)
