"""Two training workers have the loss curve of one worker with the doubled batch, closer than another seed has it."""

from dataclasses import replace

import numpy as np
import pytest

from jobs import train_couinaudnet, train_segmenter
from pipeline.run_folder import RunFolder
from pipeline.steps import EXIT_DONE
from pipeline.training_history import COUINAUDNET, SEGMENTER, read_history

from . import couinaudnet_cases, segmenter_cases

BATCH = 8


def couinaudnet_curve(folder, seed, workers):
    """Losses per epoch; the setting is the batch of each worker."""
    run = RunFolder(str(folder))
    for name in ("first", "second", "third"):
        couinaudnet_cases.write_case(run, name, slices=16)
    run.write_json({"quarantined": {}}, "reports", "refine_image_labels.json")
    values = {"epochs": 8, "batch_size": BATCH // workers, "num_workers": workers, "cpus_per_worker": 1 / workers}
    config = couinaudnet_cases.tiny_config(folder, normalization="liver_median", dice_weight=0.5, **values)
    assert train_couinaudnet.main(replace(config, seed=seed)) == EXIT_DONE
    return np.array([record["loss"] for record in read_history(run, COUINAUDNET)])


def segmenter_curve(folder, seed, workers):
    """Losses per epoch; the setting is the batch that the workers share."""
    run = segmenter_cases.write_cohort(folder)
    values = {"epochs": 8, "batch_size": BATCH, "num_workers": workers, "cpus_per_worker": 1 / workers}
    config = segmenter_cases.tiny_config(folder, iterations_per_epoch=8, **values)
    assert train_segmenter.main(replace(config, seed=seed)) == EXIT_DONE
    return np.array([record["train_loss"] for record in read_history(run, SEGMENTER)])


def distance(first, second):
    """Mean absolute difference of two curves."""
    return float(np.abs(first - second).mean())


@pytest.mark.faults
@pytest.mark.parametrize("train", [couinaudnet_curve, segmenter_curve])
def test_two_workers_have_the_curve_of_one_with_the_doubled_batch(train, tmp_path, ray_cluster):
    alone, other_seed = (train(tmp_path / f"seed_{seed}", seed, workers=1) for seed in range(2))
    shared = train(tmp_path / "shared", 0, workers=2)
    assert distance(shared, alone) <= distance(other_seed, alone)
    assert shared[-1] < 0.9 * shared[0]
