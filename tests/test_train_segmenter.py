"""The segmenter's jobs through Ray: from pseudo labels to masks on the native grid, whatever dies on the way."""

import json
import os
import re
import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk

from jobs import predict_segmentation, train_segmenter
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.stages.predict_segmentation import encode_mask, native_geometry, predict_volumes
from pipeline.stages.train_segmenter import plan_segmenter
from pipeline.steps import EXIT_DONE
from pipeline.sweep.config_file import replace_settings
from pipeline.training_history import SEGMENTER, read_history
from tests.segmenter_cases import NATIVE_SHAPE, tiny_config, write_case, write_cohort
from tests.training_workers import training_workers

pytestmark = pytest.mark.usefixtures("ray_cluster")


EPOCHS = 8
CHECKPOINT_EVERY = 2


def two_workers(folder, **settings):
    values = {"epochs": EPOCHS, "iterations_per_epoch": 30, "base_features": 8, "num_workers": 2}
    return tiny_config(folder, **values, cpus_per_worker=0.5, **settings)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder after both jobs. Its `references` is a plain file that cannot be opened as a folder."""
    folder = tmp_path_factory.mktemp("run")
    config, run = two_workers(folder), write_cohort(folder)
    assert train_segmenter.main(config) == EXIT_DONE
    assert predict_segmentation.main(config) == EXIT_DONE
    return run, config


def kill_one_worker(run, killed):
    """Wait for a checkpoint and kill the last worker of the group; keep the number of epochs of that moment."""
    while (epochs := len(read_history(run, SEGMENTER))) < CHECKPOINT_EVERY + 1:
        time.sleep(0.05)
    workers = training_workers()
    workers[-1].kill()
    killed.append((epochs, len(workers)))


@pytest.mark.faults
def test_training_goes_on_from_a_checkpoint_after_a_worker_was_killed(tmp_path):
    run, killed = write_cohort(tmp_path), []
    killer = threading.Thread(target=kill_one_worker, args=(run, killed), daemon=True)
    killer.start()
    assert train_segmenter.main(two_workers(tmp_path, checkpoint_every=CHECKPOINT_EVERY)) == EXIT_DONE
    killer.join()
    ((epochs, workers),) = killed
    assert workers == 2
    assert [row["epoch"] for row in read_history(run, SEGMENTER)] == list(range(EPOCHS))
    logs = sorted(run.local("segmenter", "nnUNet_results").rglob("training_log_*.txt"))
    assert len(logs) >= 2
    first = int(re.search(r"'epoch': (\d+)", logs[-1].read_text()).group(1))
    assert first >= epochs - CHECKPOINT_EVERY


def test_curves_are_kept_and_the_rest_is_cleared(trained):
    run, _ = trained
    assert [row["epoch"] for row in read_history(run, SEGMENTER)] == list(range(EPOCHS))
    assert run.names("segmenter", "tensorboard")
    assert not run.exists("segmenter", "ray_train")


def test_report_counts_the_training_volumes(trained):
    report = trained[0].read_json("reports", "train_segmenter.json")
    assert (report["taken"], report["given"], report["last_epoch"]["epoch"]) == (3, 3, EPOCHS - 1)


def test_mask_lies_on_the_native_grid_where_the_tumor_is(trained):
    run, _ = trained
    image = sitk.ReadImage(run.path("predictions", "test.nii.gz"))
    assert sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection()) == "RAI"
    oriented = sitk.DICOMOrient(image, "LPS")
    mask = sitk.GetArrayFromImage(oriented)
    assert mask.shape == NATIVE_SHAPE
    assert oriented.GetOrigin() == pytest.approx((10.0, -20.0, 30.0))
    z, y, x = np.nonzero(mask)
    assert (z.min(), z.max()) == (2, 7)
    assert y.mean() == pytest.approx(14 + 4, abs=2)
    assert x.mean() == pytest.approx(19 + 4, abs=2)


def test_committed_jobs_do_nothing(trained):
    run, config = trained
    before = os.stat(run.path("segmenter", "segmenter.json")).st_mtime_ns
    assert train_segmenter.main(config) == EXIT_DONE
    assert predict_segmentation.main(config) == EXIT_DONE
    assert os.stat(run.path("segmenter", "segmenter.json")).st_mtime_ns == before


def test_only_missing_volumes_are_predicted(trained):
    run, config = trained
    write_case(run, "later", split="validation")
    there = run.local("predictions", "test.nii.gz")
    before = there.stat().st_mtime_ns
    run.remove("reports", "predict_segmentation.json")
    assert predict_segmentation.main(config) == EXIT_DONE
    assert there.stat().st_mtime_ns == before
    assert run.names("predictions") == ["later.nii.gz", "test.nii.gz"]


@pytest.mark.parametrize("asked", [{"use_gpu": True}, {"num_workers": 4, "batch_size": 4}, {"cpus_per_worker": 3.0}])
def test_training_that_the_cluster_has_no_room_for_is_refused_before_a_case_is_exported(tmp_path, asked):
    run = write_cohort(tmp_path)
    with pytest.raises(RefusedInputError, match=r"segmenter\.num_workers: . workers need .* the cluster has 2"):
        train_segmenter.main(tiny_config(tmp_path, **asked))
    assert not run.exists("segmenter")


@pytest.mark.parametrize("asked", [{"use_gpu": True}, {"prediction_actors": 3}])
def test_prediction_that_the_cluster_has_no_room_for_is_refused(tmp_path, asked):
    run = write_cohort(tmp_path)
    volumes = {row.volume_id: row for row in read_volume_rows(run)}
    with pytest.raises(RefusedInputError, match=r"prediction_actors: . workers need .* the cluster has 2"):
        next(predict_volumes(run, tiny_config(tmp_path, **asked), volumes, list(volumes)))


def test_prediction_on_another_grid_than_the_segmenter_learned_is_refused(trained):
    run, config = trained
    volumes = {row.volume_id: row for row in read_volume_rows(run)}
    other = replace_settings(config, {"grid.window_high_hu": 200.0})
    with pytest.raises(
        RefusedInputError, match=r"segmenter was trained with grid.window_high_hu = 250.0, now it is 200.0"
    ):
        next(predict_volumes(run, other, volumes, ["test"]))


def test_nothing_to_predict_is_no_error_but_said(tmp_path, capsys):
    run = RunFolder(str(tmp_path))
    write_case(run, "sick")
    run.write_json({}, "reports", "train_segmenter.json")
    assert predict_segmentation.main(tiny_config(tmp_path)) == EXIT_DONE
    assert run.read_json("reports", "predict_segmentation.json")["taken"] == 0
    assert "no volume is of the split test or validation" in capsys.readouterr().out
    assert len(run.read_bytes("predictions.csv").splitlines()) == 1


def test_same_mask_gives_the_same_file(tmp_path):
    volume, _, _ = write_case(RunFolder(str(tmp_path)), "case", orientation="RAI")
    mask = np.random.default_rng(1).random(NATIVE_SHAPE) < 0.5
    first = encode_mask(mask, native_geometry(volume))
    time.sleep(1.1)  # gzip may keep the time, in seconds
    assert encode_mask(mask, native_geometry(volume)) == first


def test_nothing_to_learn_is_refused_in_one_line(tmp_path):
    fingerprint = {"shape": [6, 27, 27], "spacing": [5.0, 1.0, 1.0], "relative_size": 0.5, "intensities": [[]]}
    exported = [{"case_id": "sick", "fingerprint": json.dumps(fingerprint)}]
    with pytest.raises(RefusedInputError) as refusal:
        plan_segmenter(RunFolder(str(tmp_path)), tiny_config(tmp_path), exported)
    assert str(refusal.value) == "segmenter: none of 1 training cases has a pixel in its label"


def test_without_labels_copies_teach_what_a_tumor_is(tmp_path):
    run = RunFolder(str(tmp_path))
    write_case(run, "sick")
    write_case(run, "healthy", healthy=True)
    run.remove("pseudo_labels")
    run.write_json({}, "reports", "ingest.json")
    config = tiny_config(tmp_path, labels="none", synthetic_copies=2, context_slices=1, average_decay=0.9)
    assert train_segmenter.main(config) == EXIT_DONE
    assert run.names("segmenter", "cases") == ["healthy+1.json", "healthy+2.json", "healthy.json"]
    assert run.exists("settings", "synthesis.json")
    assert run.read_json("segmenter", "segmenter.json")["epochs"] == 2
