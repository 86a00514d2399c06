"""The whole method on a tiny phantom cohort: it survives the loss of its driver and of a training worker."""

import json

import pytest

from jobs import run_all, train_couinaud_shape, train_segmenter
from pipeline.config import CouinaudNetConfig, PipelineConfig, SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
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
