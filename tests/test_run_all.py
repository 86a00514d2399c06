"""The whole method on a tiny phantom cohort: it survives the loss of its driver and of a training worker."""

import csv
import json

import numpy as np
import pytest
from scipy import ndimage

from jobs import run_all, train_couinaud_shape, train_segmenter
from pipeline.command_line import load_config
from pipeline.config import CouinaudNetConfig, PipelineConfig, SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.masks import read_prediction
from pipeline.phantom import make_phantom
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.stages.room import require_method_room

from .whole_run import EARLY


def test_killed_driver_and_killed_worker_lose_nothing(interrupted_run):
    run = interrupted_run.run
    assert run.hashes(*EARLY) == interrupted_run.hashes
    assert set(interrupted_run.reports) == {"ingest.json", "refine_image_labels.json"}
    assert interrupted_run.reports.items() <= run.report_times().items()
    assert interrupted_run.couinaudnet_epochs >= 2
    for network in ("couinaudnet", "segmenter"):
        epochs = [entry["epoch"] for entry in run.history(network)]
        assert sorted(set(epochs)) == list(range(6))
        assert epochs.count(0) == 1
    summary = json.loads((run.folder / "evaluation" / "summary.json").read_text())
    assert summary["segmenter"]["test"]["n_cases"] == 1
    assert (run.folder / "report.html").exists()


def test_the_table_of_predictions_agrees_with_the_mask_and_the_phantoms_own_map(interrupted_run):
    """The pixels of this run are the phantom's voxels, so that the map on its grid is the phantom's own."""
    run, config = RunFolder(str(interrupted_run.run.folder)), load_config(str(interrupted_run.run.config))
    (volume,) = read_volume_rows(run, "test")
    (row,) = csv.DictReader(run.read_bytes("predictions.csv").decode().splitlines())
    mask, segments = read_prediction(run, volume), make_phantom(config.phantom, 0, volume.volume_id).couinaud_map
    expected_ml = np.bincount(segments[mask], minlength=9) * np.prod(volume.spacing_mm) / 1000
    assert mask.any()
    assert int(row["lesions"]) == ndimage.label(mask)[1]
    assert float(row["tumor_ml"]) == pytest.approx(expected_ml.sum(), rel=1e-5)
    assert [float(row[f"segment_{number}_ml"]) for number in range(1, 9)] == pytest.approx(expected_ml[1:], rel=1e-5)


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("couinaudnet", CouinaudNetConfig(num_workers=2)),
        ("couinaudnet", CouinaudNetConfig(prediction_actors=3)),
        ("segmenter", SegmenterConfig(use_gpu=True)),
        ("segmenter", SegmenterConfig(prediction_actors=3)),
    ],
)
def test_what_the_cluster_has_no_room_for_is_refused_before_the_first_step(ray_cluster, tmp_path, section, settings):
    with pytest.raises(RefusedInputError, match=rf"{section}\..* the cluster has 2 CPUs and 0 GPUs"):
        run_all.main(PipelineConfig(run=str(tmp_path), **{section: settings}))
    assert not list(tmp_path.iterdir())


def test_room_for_steps_that_are_done_is_not_asked_for(ray_cluster):
    config = PipelineConfig(run="r", couinaudnet=CouinaudNetConfig(num_workers=2))
    require_method_room(config, ["train_segmenter", "predict_segmentation", "evaluate"])


@pytest.mark.parametrize("job", [run_all, train_segmenter, train_couinaud_shape])
def test_run_folder_that_is_not_mounted_is_refused_before_any_work(job, monkeypatch):
    run = RunFolder("mock:///run")
    run.write_json({"quarantined": {}}, "reports", "refine_pixel_labels.json")
    monkeypatch.setattr("pipeline.steps.open_run_folder", lambda _: run)  # each `mock` of its own is empty
    monkeypatch.setattr("pipeline.branch_folder.open_run_folder", lambda _: run)
    with pytest.raises(RefusedInputError, match="needs a local or mounted run folder, got mock:///run"):
        job.main(PipelineConfig(run=run.uri))
