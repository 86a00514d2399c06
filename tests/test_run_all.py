"""The whole method on a tiny phantom cohort: it survives the loss of its driver and of a training worker."""

import json

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
