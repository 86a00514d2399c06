"""Attempts at a case: what a worker survives leaves no mark, what kills it counts, and the case is set aside alone."""

import os
import signal

import pytest

from jobs import refine_pixel_labels as job
from pipeline.archive.quarantine import read_rejections
from pipeline.attempts import CODE, FOLDER, attempt
from pipeline.config import PipelineConfig, RayConfig
from pipeline.errors import CaseError
from pipeline.run_folder import RunFolder
from pipeline.stages import refine_pixel_labels as plr
from pipeline.stages.base import REASON, CaseStage, set_aside
from pipeline.stages.session import work_items
from tests.test_refine_faults import GRID, write_good

DEATHS = {"bad": 1000, "unlucky": 1}


def die(run, volume_id):
    """Kill the worker if this case is one that does."""
    before = run.names("deaths")
    if sum(name.startswith(f"{volume_id}.") for name in before) < DEATHS.get(volume_id, 0):
        run.touch("deaths", f"{volume_id}.{len(before)}")
        os.kill(os.getpid(), signal.SIGKILL)


class DeadlyRefinement(plr.RefinePixelLabels):
    def process(self, row):
        die(self.run, row["volume_id"])
        yield from super().process(row)


class DeadlyActor(CaseStage):
    reads = ("volume_id", "slab")
    emits = ("volume_id", "slab", *REASON)
    step = "predict_tumors"

    def __init__(self, run):
        self.run = run

    def process(self, row):
        die(self.run, row["volume_id"])
        yield {name: row[name] for name in self.reads}


def leave_mark(run, item):
    """What a process does that is killed inside an attempt."""
    entered = attempt(run, "step", item, 3)
    entered.__enter__()
    return entered  # kept alive: a collected generator would end the attempt


def test_marks_of_dead_workers_count_and_others_are_taken_back(tmp_path):
    run = RunFolder(str(tmp_path))
    with pytest.raises(OSError, match="of another kind"), attempt(run, "step", "a", 3):
        raise OSError("of another kind")
    assert run.names(FOLDER, "step") == []
    dead = [leave_mark(run, item) for item in ("a", "b", "a")]
    assert run.names(FOLDER, "step") == ["a.1", "a.2", "b.1"]
    with attempt(run, "step", "a", 3):
        assert run.names(FOLDER, "step") == ["a.1", "a.2", "a.3", "b.1"]
    assert run.names(FOLDER, "step") == ["b.1"]
    dead += [leave_mark(run, "b"), leave_mark(run, "b")]
    with pytest.raises(CaseError, match="3 workers died with this case in hand"), attempt(run, "step", "b", 3):
        raise AssertionError
    assert run.names(FOLDER, "step") == ["b.1", "b.2", "b.3"]


def test_number_of_attempts_has_a_range():
    with pytest.raises(ValueError, match=r"ray\.attempts_per_case: at least 1, got 0"):
        RayConfig(attempts_per_case=0)


def test_case_that_kills_its_worker_is_set_aside_alone(ray_cluster, tmp_path, monkeypatch):
    config, run = PipelineConfig(run=str(tmp_path / "run"), grid=GRID), RunFolder(str(tmp_path / "run"))
    for folder in (run, undisturbed := RunFolder(str(tmp_path / "calm"))):
        folder.write_json({"quarantined": {}}, "reports", "predict_tumors.json")
        for volume_id in ("bad", "good", "unlucky"):
            write_good(folder, volume_id)
    assert job.main(PipelineConfig(run=undisturbed.uri, grid=GRID)) == 0
    run.touch(FOLDER, "refine_pixel_labels", "good@0.3")  # of a job that was stopped
    monkeypatch.setattr(plr, "RefinePixelLabels", DeadlyRefinement)
    assert job.main(config) == 3
    (rejection,) = read_rejections(run)
    assert (rejection.volume_id, rejection.code, rejection.step) == ("bad", CODE, "refine_pixel_labels")
    assert sorted(name.split(".")[0] for name in run.names("deaths")) == ["bad"] * 3 + ["unlucky"]
    assert run.names("pseudo_labels") == ["good", "unlucky"]
    for parts in (
        ("pseudo_labels", name, slab) for name in ("good", "unlucky") for slab in run.names("pseudo_labels", name)
    ):
        assert run.read_bytes(*parts) == undisturbed.read_bytes(*parts)
    assert not run.exists(FOLDER)


def test_actor_that_dies_of_one_slab_gives_the_volume_up(ray_cluster, tmp_path):
    import ray.data

    run = RunFolder(str(tmp_path))
    rows = [{"volume_id": name, "slab": 0} for name in ("bad", "good", "unlucky")]
    flow = work_items("predict", rows, 1).map_batches(
        DeadlyActor,
        fn_constructor_args=(run,),
        compute=ray.data.ActorPoolStrategy(size=1),
        batch_size=1,
        batch_format="pyarrow",
    )
    accepted, reasons = set_aside(run, "predict_tumors", flow.iter_rows(), "probabilities")
    assert sorted(row["volume_id"] for row in accepted) == ["good", "unlucky"]
    assert reasons == {CODE: 1}
    assert [rejection.volume_id for rejection in read_rejections(run)] == ["bad"]
