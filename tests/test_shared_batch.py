"""Two workers with half a batch each take the step of one worker with the whole batch."""

import multiprocessing

import numpy as np
import pytest
import torch

from pipeline.models.checkpoint import build_couinaudnet
from pipeline.models.shared_batch import SharedBatchNorm2d
from pipeline.training import make_optimizer, train_step
from pipeline.training_batches import TrainingBatch, make_batch

from .couinaudnet_cases import tiny_config
from .test_training import healthy_slices

SLICES = 6
NET = {"normalization": "liver_median", "dice_weight": 0.5}


def take_step(rank, workers, store):
    """Take a worker's step in float64; return what is recorded of it, the gradients and the batch statistics."""
    config = tiny_config("unused", **NET)
    slices = {name: np.split(column, workers)[rank] for name, column in healthy_slices(SLICES).items()}
    batch = make_batch(slices, 0, config)
    batch = TrainingBatch(**{name: value.double() for name, value in vars(batch).items()})
    model = network = build_couinaudnet(config.couinaudnet, 0).double()
    if workers > 1:
        torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=workers)
        network = torch.nn.parallel.DistributedDataParallel(model)
    result = train_step(network, make_optimizer(model, config.couinaudnet), batch, config.couinaudnet, 1e-2)
    if workers > 1:
        torch.distributed.destroy_process_group()
    gradients = {name: value.grad.numpy() for name, value in model.named_parameters()}
    return vars(result), gradients, {name: value.numpy() for name, value in model.named_buffers()}


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """The step of one worker, and those of two, the second of which is another process."""
    store = f"file://{tmp_path_factory.mktemp('group')}/store"
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        second = processes.apply_async(take_step, (1, 2, store))
        shared = [take_step(0, 2, store), second.get()]
    return take_step(0, 1, store), shared


def test_losses_and_counts_are_those_of_the_whole_batch(steps):
    alone, shared = steps
    for result, _, _ in shared:
        assert result == pytest.approx(alone[0], rel=1e-6)


def test_gradients_are_those_of_the_whole_batch(steps):
    alone, shared = steps
    largest = max(np.abs(gradient).max() for gradient in alone[1].values())
    for _, gradients, _ in shared:
        for name, gradient in alone[1].items():
            np.testing.assert_allclose(gradients[name], gradient, rtol=1e-4, atol=1e-6 * largest)


def test_batch_statistics_are_those_of_the_whole_batch(steps):
    alone, shared = steps
    for _, _, statistics in shared:
        for name, value in alone[2].items():
            np.testing.assert_allclose(statistics[name], value, rtol=1e-9, atol=1e-12)


def test_one_worker_normalizes_as_pytorch_does():
    features = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    usual, shared = torch.nn.BatchNorm2d(3), SharedBatchNorm2d(3)
    assert torch.equal(usual(features), shared(features))
    assert torch.equal(usual.eval()(features), shared.eval()(features))
