"""The networks: shapes, what each sees, and what is on disk."""

import numpy as np
import pytest
import torch

from pipeline.config import CouinaudNetConfig, GridConfig
from pipeline.models import checkpoint
from pipeline.models.couinaudnet import CouinaudNet, prepare_input
from pipeline.models.unet import UNet
from pipeline.run_folder import RunFolder
from pipeline.training import make_optimizer

CONFIG = CouinaudNetConfig(inpainting_widths=(4, 8), spotting_widths=(4, 8, 8))


def noise(*shape):
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def left_half(height=8, width=12):
    mask = torch.zeros(1, 1, height, width)
    mask[..., : width // 2] = 1
    return mask


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 30), (5, 3)])
def test_unet_keeps_any_size(height, width):
    assert UNet(2, 3, (4, 8, 8))(noise(2, 2, height, width)).shape == (2, 3, height, width)


def test_unet_uses_every_weight():
    network = UNet(1, 1, (4, 8, 8))
    network(noise(2, 1, 16, 16)).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in network.parameters())


@pytest.mark.parametrize("segment_input", ["hint", "blank"])
def test_inpainting_leaves_the_rest_of_the_image(segment_input):
    image, mask = noise(1, 1, 8, 12), left_half()
    inpainted, logits = CouinaudNet((4, 8), (4, 8), segment_input)(image, mask)
    assert torch.equal(inpainted[mask == 0], image[mask == 0])
    assert not torch.isclose(inpainted[mask == 1], image[mask == 1]).all()
    assert logits.shape == image.shape


def test_neighbors_change_what_is_found_and_stay_out_of_the_inpainted_slice():
    model, mask = CouinaudNet((4, 8), (4, 8), context_slices=1).eval(), left_half()
    image = noise(1, 3, 8, 12)
    other = image.clone()
    other[:, 0] += 1
    (inpainted, logits), (_, changed) = model(image, mask), model(other, mask)
    assert inpainted.shape == logits.shape == (1, 1, 8, 12)
    assert torch.equal(inpainted[mask == 0], image[:, 1:2][mask == 0])
    assert not torch.allclose(logits, changed)


@pytest.mark.parametrize(("segment_input", "sees_inside"), [("hint", True), ("blank", False)])
def test_blank_segment_is_filled_from_its_surroundings(segment_input, sees_inside):
    model = CouinaudNet((4, 8), (4, 8), segment_input).eval()
    image, mask = noise(1, 1, 8, 12), left_half()
    with_tumor = image - 3 * mask
    same = torch.allclose(model(image, mask)[0][mask == 1], model(with_tumor, mask)[0][mask == 1])
    assert same is not sees_inside


def test_smoothing_keeps_a_flat_liver_flat():
    liver = np.zeros((1, 12, 12), bool)
    liver[0, 3:9, 2:10] = True
    gray = np.where(liver, 170, 0).astype(np.uint8)
    values = prepare_input(gray, liver, np.float32([100]), GridConfig(), "window", smoothing_sigma_px=2.0)
    np.testing.assert_allclose(values[liver], 170 / 255, rtol=1e-5)
    assert not values[~liver].any()


def test_smoothing_averages_noise():
    liver = np.ones((1, 40, 40), bool)
    gray = np.random.default_rng(0).integers(100, 200, liver.shape).astype(np.uint8)
    rough, smooth = (
        prepare_input(gray, liver, np.float32([100]), GridConfig(), "window", sigma) for sigma in (0.0, 2.0)
    )
    assert smooth.std() < 0.25 * rough.std()


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (checkpoint.build_couinaudnet(CONFIG, seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    weights = [next(model.parameters()) for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def trained_model():
    """A network and its optimizer after one step."""
    model = checkpoint.build_couinaudnet(CONFIG, 0)
    optimizer = make_optimizer(model, CONFIG)
    sum(output.square().mean() for output in model(noise(2, 1, 8, 8), torch.ones(2, 1, 8, 8))).backward()
    optimizer.step()
    return model, optimizer


def test_checkpoint_brings_back_weights_optimizer_and_history(tmp_path):
    run = RunFolder(str(tmp_path))
    model, optimizer = trained_model()
    state = checkpoint.TrainingState().after({"loss": 0.5})
    checkpoint.write_checkpoint(run, model, optimizer, state)
    other = checkpoint.build_couinaudnet(CONFIG, 1)
    other_optimizer = make_optimizer(other, CONFIG)
    name = checkpoint.newest_checkpoint(run)
    checkpoint.restore(run, name, other, other_optimizer)
    assert checkpoint.read_state(run, name) == state
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    averages = [o.state_dict()["state"][0]["exp_avg"] for o in (optimizer, other_optimizer)]
    assert torch.equal(*averages)


def test_checkpoint_without_its_last_file_does_not_count(tmp_path):
    run = RunFolder(str(tmp_path))
    model, optimizer = trained_model()
    state = checkpoint.TrainingState()
    assert checkpoint.newest_checkpoint(run) is None
    for _ in range(3):
        state = state.after({})
        checkpoint.write_checkpoint(run, model, optimizer, state)
    run.remove("couinaudnet", "checkpoints", "epoch-00003", "training.json")
    run.write_bytes(b"{", "couinaudnet", "checkpoints", "checkpoint_manager_snapshot.json")
    assert checkpoint.newest_checkpoint(run) == "epoch-00002"
    checkpoint.discard_stale_checkpoints(run)
    assert run.names("couinaudnet", "checkpoints") == ["epoch-00002"]


def test_published_network_predicts_as_the_trained_one(tmp_path):
    run = RunFolder(str(tmp_path))
    model, optimizer = trained_model()
    checkpoint.write_checkpoint(run, model, optimizer, checkpoint.TrainingState().after({}))
    checkpoint.publish(run, CONFIG, "epoch-00001", {"seed": 0})
    loaded, network = checkpoint.load_couinaudnet(run)
    image, mask = noise(1, 1, 8, 12), left_half()
    assert torch.equal(loaded(image, mask)[1], model.eval()(image, mask)[1])
    assert network["normalization"] == "window"
    assert sorted(run.names("couinaudnet")) == [
        "checkpoints",
        "couinaudnet.json",
        "difference_spotting_network.safetensors",
        "inpainting_network.safetensors",
    ]
