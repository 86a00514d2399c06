"""Training CouinaudNet through Ray: which slices it sees, and that it goes on after whatever was killed."""

import contextlib
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import ray

from jobs import train_couinaudnet as job
from pipeline.config import CouinaudNetConfig, RayConfig
from pipeline.errors import RefusedInputError
from pipeline.labeled_slices import read_labeled_slab, read_neighbors
from pipeline.models import checkpoint
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, image_labels_schema
from pipeline.stages.base import ATTEMPTS_SETTING, check_flow
from pipeline.stages.couinaudnet_worker import _open_board, count_steps, fix_epochs
from pipeline.stages.healthy_slices import CountHealthySlices, ReadHealthySlices, decode_healthy_slices, find_healthy
from pipeline.stages.room import require_room
from pipeline.stages.session import NO_PROGRESS_TIMEOUT_S
from pipeline.stages.train_couinaudnet import _make_trainer, check_checkpoint, check_workers
from pipeline.training import make_optimizer
from pipeline.training_history import COUINAUDNET, read_history

from .couinaudnet_cases import SLAB, draw_couinaud_map, tiny_config, write_case
from .training_workers import training_workers

SLICES, REGIONS = CouinaudNetConfig(), CouinaudNetConfig(healthy_tissue="regions")


@pytest.fixture
def run(tmp_path):
    """Two healthy volumes and one of which ILR made three slices healthy; no job may open the references."""
    run = RunFolder(str(tmp_path))
    write_case(run, "healthy_1", slices=9)
    write_case(run, "healthy_2", slices=8)
    write_case(run, "named", segments=(4,), slices=9, relabeled=(0, 1, 7))
    write_case(run, "test_case", split="test")
    run.write_bytes(b"not a folder", "references")
    run.write_json({"quarantined": {}}, "reports", "refine_image_labels.json")
    return run


def test_flow_fits():
    check_flow(["volume_id", "slabs"], [CountHealthySlices, ReadHealthySlices])


def test_healthy_slices_are_those_without_a_refined_label(run):
    counts = list(CountHealthySlices(run, SLICES).process({"volume_id": "named", "slabs": [0, 1, 2]}))
    assert [row["healthy_slices"] for row in counts] == [2, 1, 0]
    assert [row["slices"] for row in counts] == [4, 4, 1]
    rows = [row for count in counts for row in ReadHealthySlices(run, SLICES).process(count)]
    assert [row["slice_index"] for row in rows] == [0, 1, 7]


def test_regions_are_the_segments_that_a_label_does_not_name(run):
    row = {"volume_id": "named", "slabs": [0, 1, 2]}
    assert [count["healthy_slices"] for count in CountHealthySlices(run, REGIONS).process(row)] == [4, 4, 1]
    rows = list(ReadHealthySlices(run, REGIONS).process({"volume_id": "named", "slab": 0}))
    healthy = [np.frombuffer(row["healthy_segments"], np.bool_).tolist() for row in rows]
    assert healthy == [[True] * 8] * 2 + [[True, True, True, False, True, True, True, True]] * 2


def test_slice_of_named_segments_only_has_no_healthy_tissue():
    named = {"refined_label": np.eye(8, dtype=bool)[[2, 2]], "segments_present": np.eye(8, dtype=bool)[[2, 3]]}
    assert find_healthy(named, REGIONS).any(axis=1).tolist() == [False, True]
    assert not find_healthy(named, SLICES).any()


def test_pixels_arrive_as_they_were_stored(run):
    rows = list(ReadHealthySlices(run, SLICES).process({"volume_id": "healthy_1", "slab": 0}))
    batch = {name: np.array([row[name] for row in rows], dtype=object) for name in rows[0]}
    decoded = decode_healthy_slices(batch, tiny_config("run").grid, context_slices=0)
    stored = read_labeled_slab(run, "healthy_1", 0, ["image"])["image"]
    assert np.array_equal(decoded["image"][:, 0], stored)
    assert np.array_equal(decoded["couinaud_map"][1, 0], draw_couinaud_map())


def test_neighbors_come_from_the_slabs_beside_and_are_black_beyond_the_liver(run):
    image = np.concatenate([read_labeled_slab(run, "named", slab, ["image"])["image"] for slab in range(3)])
    stacks = read_neighbors(run, "named", 1, np.int32([4, 7]), ["image"], context_slices=2)["image"]
    assert np.array_equal(stacks, image[[[2, 3, 4, 5, 6], [5, 6, 7, 8, 8]]] * (np.arange(10) < 9).reshape(2, 5, 1, 1))
    assert not read_neighbors(run, "named", 0, np.int32([0]), ["image"], context_slices=1)["image"][0, 0].any()


def test_networks_see_no_farther_than_the_slabs_beside(run):
    image = np.concatenate([read_labeled_slab(run, "named", slab, ["image"])["image"] for slab in range(3)])
    assert tiny_config("run", context_slices=SLAB).couinaudnet.context_slices == SLAB
    stack = read_neighbors(run, "named", 1, np.int32([4]), ["image"], context_slices=SLAB)["image"][0]
    np.testing.assert_array_equal(stack, image[:9])
    with pytest.raises(ValueError, match=r"couinaudnet\.context_slices: at most grid\.slab_length, got 5 and 4"):
        tiny_config("run", context_slices=SLAB + 1)


def test_labels_of_other_slices_are_an_error(run):
    labels = {
        "volume_id": ["named"],
        "slice_index": np.int32([99]),
        "image_label": np.zeros((1, 8), bool),
        "refined_label": np.zeros((1, 8), bool),
        "segments_present": np.zeros((1, 8), bool),
        "split": ["train"],
    }
    run.write_table(encode(labels, image_labels_schema()), "image_labels", "named", "00002.parquet")
    with pytest.raises(ValueError, match=r"slices \[8\] but labels for \[99\]"):
        read_labeled_slab(run, "named", 2, ["image"])


@pytest.mark.parametrize(
    ("settings", "capacity", "message"),
    [
        ({}, {"CPU": 1.0}, "need 1 CPUs each and one CPU beside them, the cluster has 1 CPUs"),
        ({"cpus_per_worker": 0.8}, {"CPU": 2.0}, "2 workers need 0.8 CPUs each"),
        ({"use_gpu": True}, {"CPU": 4.0, "GPU": 1.0}, "a GPU each and .* the cluster has 4 CPUs and 1 GPUs"),
        ({"cpus_per_worker": 0.5}, {"CPU": 2.0}, None),
        ({"use_gpu": True}, {"CPU": 3.0, "GPU": 2.0}, None),
    ],
)
def test_too_small_a_cluster_is_refused(settings, capacity, message):
    refused = pytest.raises(RefusedInputError, match=message) if message else contextlib.nullcontext()
    with refused:
        require_room("couinaudnet.num_workers", 2, CouinaudNetConfig(**settings), capacity, spare_cpu=True)


def test_training_without_a_cpu_for_its_data_or_slices_for_all_is_refused(ray_cluster):
    with pytest.raises(RefusedInputError, match=r"couinaudnet\.num_workers: 2 workers .* the cluster has 2 CPUs"):
        check_workers(CouinaudNetConfig(num_workers=2), 10)
    with pytest.raises(RefusedInputError, match="a healthy slice each, there are 1"):
        check_workers(CouinaudNetConfig(num_workers=2, cpus_per_worker=0.5), 1)


@pytest.mark.parametrize(("slices", "workers", "steps"), [(20, 1, 5), (21, 1, 6), (21, 2, 3), (3, 2, 1)])
def test_steps_per_epoch_are_equal_on_all_workers(slices, workers, steps):
    assert count_steps(CouinaudNetConfig(num_workers=workers, batch_size=4), slices) == steps


@pytest.mark.parametrize(("steps", "slices", "epochs"), [(0, 9, 7), (2000, 741, 22), (1, 741, 1), (5, 0, 5)])
def test_length_may_be_given_in_steps(steps, slices, epochs):
    config = tiny_config("run", steps=steps, epochs=7, batch_size=8)
    assert fix_epochs(config, slices).couinaudnet.epochs == epochs


@pytest.mark.parametrize(("before", "now", "refused"), [(4, 1, True), (1, 2, True), (2, 2, False), (None, 2, False)])
def test_checkpoint_of_another_number_of_workers_is_not_gone_on_from(tmp_path, before, now, refused):
    run, config = RunFolder(str(tmp_path)), tiny_config(tmp_path, num_workers=now).couinaudnet
    check_checkpoint(run, config)
    model = checkpoint.build_couinaudnet(config, 0)
    state = checkpoint.TrainingState(num_workers=before).after({"steps": 5})
    checkpoint.write_checkpoint(run, model, make_optimizer(model, config), state)
    words = rf"epoch-00001 was trained by {before} workers, now it is {now};"
    with pytest.raises(RefusedInputError, match=words) if refused else contextlib.nullcontext():
        check_checkpoint(run, config)


def test_72_training_without_a_healthy_slice_is_refused(tmp_path, ray_cluster):
    run = RunFolder(str(tmp_path))
    write_case(run, "named", segments=(4,))
    run.write_json({"quarantined": {}}, "reports", "refine_image_labels.json")
    with pytest.raises(RefusedInputError, match="tumor on all 6 slices of 1 training volumes"):
        job.main(tiny_config(tmp_path))


def test_settings_of_ray_data_hold_in_the_task_that_trains(run, tmp_path, ray_cluster):
    config = replace(tiny_config(tmp_path), ray=RayConfig(attempts_per_case=7))
    slabs = [{"volume_id": "healthy", "slab": 0, "healthy_slices": 4}]

    def read_settings():
        context = _make_trainer(run, config, slabs, 1).datasets["train"].context
        return context.get_config(ATTEMPTS_SETTING), context.execution_no_progress_timeout_s

    assert ray.get(ray.remote(read_settings).options(num_cpus=0).remote()) == (7, NO_PROGRESS_TIMEOUT_S)


def test_two_workers_train_and_leave_networks_and_curves(run, tmp_path, ray_cluster):
    config = tiny_config(tmp_path, num_workers=2, cpus_per_worker=0.5)
    assert job.main(config) == 0
    model, network = checkpoint.load_couinaudnet(run)
    assert (network["spotting_widths"], model.training) == ([4, 8], False)
    report = run.read_json("reports", "train_couinaudnet.json")
    assert (report["taken"], report["given"]) == (26, 20)
    description = run.read_json("couinaudnet", "couinaudnet.json")
    assert (description["epochs"], description["steps"], description["resumed_from_epoch"]) == (2, 6, [])
    assert read_curve(tmp_path, "couinaudnet/cross_entropy") == list(range(6))
    assert not run.exists("couinaudnet", "checkpoints")
    assert job.main(config) == 0


def test_curves_of_a_run_folder_behind_a_uri_are_in_its_history_alone(tmp_path):
    assert _open_board(RunFolder("mock:///run"), 0) is None
    with _open_board(RunFolder(f"file://{tmp_path}"), 0) as board:
        board.add_scalar("x", 1.0, 0)
    assert list((tmp_path / "couinaudnet" / "tensorboard").iterdir())


def read_curve(folder, name):
    """Steps of a TensorBoard curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "couinaudnet" / "tensorboard"))
    events.Reload()
    return [event.step for event in events.Scalars(name)]


def kill_worker_after_first_checkpoint(run, killed):
    """Kill one of the training workers as soon as there is a checkpoint; keep the history of that moment."""
    while checkpoint.newest_checkpoint(run) is None or not read_history(run, COUINAUDNET):
        time.sleep(0.02)
    killed["history"] = read_history(run, COUINAUDNET)
    workers = training_workers()
    workers[-1].kill()
    killed["of"] = len(workers)


@pytest.mark.faults
def test_two_workers_of_which_one_is_killed_go_on_from_their_checkpoint(run, tmp_path, ray_cluster):
    config, killed = tiny_config(tmp_path, epochs=12, num_workers=2, cpus_per_worker=0.5), {}
    killer = threading.Thread(target=kill_worker_after_first_checkpoint, args=(run, killed), daemon=True)
    killer.start()
    assert job.main(config) == 0
    assert killed["of"] == 2
    history = read_history(run, COUINAUDNET)
    assert history[: len(killed["history"])] == killed["history"]
    assert [record["epoch"] for record in history] == list(range(12))
    (resumed,) = (record["epoch"] for record in history if record["resumed"])
    assert resumed >= len(killed["history"])
    assert read_curve(tmp_path, "couinaudnet/inpainting") == list(range(12 * 3))


@pytest.mark.faults
def test_restarted_driver_goes_on_from_the_checkpoint(run, tmp_path, ray_cluster):
    """What a driver killed in its second epoch leaves: one checkpoint, half of another, half of Ray's list of them."""
    config = tiny_config(tmp_path)
    model = checkpoint.build_couinaudnet(config.couinaudnet, 0)
    optimizer = make_optimizer(model, config.couinaudnet)
    first = {"epoch": 0, "steps": 5, "resumed": False, "loss": 1.0}
    checkpoint.write_checkpoint(run, model, optimizer, checkpoint.TrainingState().after(first))
    run.write_bytes(b"half", "couinaudnet", "checkpoints", "epoch-00002", "inpainting_network.safetensors")
    run.write_bytes(b'{"ray_ver', "couinaudnet", "checkpoints", "checkpoint_manager_snapshot.json")
    assert job.main(config) == 0
    history = read_history(run, COUINAUDNET)
    assert history[0] == first
    assert [(record["epoch"], record["resumed"]) for record in history] == [(0, False), (1, True)]
    assert run.read_json("couinaudnet", "couinaudnet.json")["resumed_from_epoch"] == [1]
