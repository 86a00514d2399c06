"""The state of a run, from its folder alone."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import status as job
from pipeline.archive.quarantine import Rejection, write_rejection
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.run_status import RunStatus, StepStatus, format_status, read_status
from pipeline.training_history import COUINAUDNET, SEGMENTER, write_history

from .couinaudnet_cases import write_case


@pytest.fixture
def run(tmp_path):
    """A run in the middle of its first training; one case was set aside."""
    run = RunFolder(str(tmp_path / "run"))
    for volume_id, segments, split in (("a", (4,), "train"), ("b", (), "train"), ("c", (5,), "test")):
        write_case(run, volume_id, segments, split)
    write_rejection(run, Rejection("d", "MASK_SHAPE", "3 slices, expected 4", "decode"))
    for step in ("ingest", "refine_image_labels"):
        run.write_json({"seconds": 12.5}, "reports", f"{step}.json")
    run.write_json({"epochs": 8, "steps": 0}, "settings", "couinaudnet.json")
    write_history(run, COUINAUDNET, [{"epoch": 0}, {"epoch": 1}])
    return run


def by_name(run):
    return {step.step: step for step in read_status(run.uri).steps}


def test_done_begun_and_to_do_are_told_apart(run):
    steps = by_name(run)
    assert [step.state for step in steps.values()] == ["done", "done", "begun", *["to do"] * 5]
    assert (steps["ingest"].finished, steps["ingest"].seconds) == (3, 12.5)
    assert (steps["train_couinaudnet"].finished, steps["train_couinaudnet"].expected) == (2, 8)
    assert abs(steps["train_couinaudnet"].written - datetime.now(UTC)) < timedelta(minutes=10)
    assert read_status(run.uri).quarantined == {"MASK_SHAPE": 1}


def test_what_is_left_follows_from_the_volumes(run):
    expected = {name: step.expected for name, step in by_name(run).items()}
    assert expected["predict_tumors"] == expected["refine_pixel_labels"] == expected["predict_segmentation"] == 1
    run.remove("reports", "ingest.json")
    assert by_name(run)["predict_segmentation"].expected is None


def test_steps_that_the_run_passed_over_are_left_out(run):
    """A segmenter that learns reference masks needs no pseudo labels, and so no CouinaudNet."""
    assert list(by_name(run)) == [
        *("ingest", "refine_image_labels", "train_couinaudnet", "predict_tumors", "refine_pixel_labels"),
        *("train_segmenter", "predict_segmentation", "evaluate"),
    ]
    write_history(run, SEGMENTER, [{"epoch": 0}])
    assert list(by_name(run)) == [
        *("ingest", "refine_image_labels", "train_couinaudnet"),
        *("train_segmenter", "predict_segmentation", "evaluate"),
    ]
    for table in ("image_labels", "couinaudnet"):
        run.remove(table)
    run.remove("reports", "refine_image_labels.json")
    assert list(by_name(run)) == ["ingest", "train_segmenter", "predict_segmentation", "evaluate"]


def test_run_that_has_made_nothing_has_all_steps_before_it(tmp_path):
    RunFolder(str(tmp_path)).write_json({}, "settings", "source.json")
    assert {step.state for step in read_status(str(tmp_path)).steps} == {"to do"}
    assert len(read_status(str(tmp_path)).steps) == 8


def test_table_says_when_a_step_last_wrote():
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    step = StepStatus("train_segmenter", "begun", 3, None, "epochs", None, now - timedelta(minutes=7))
    lines = format_status(RunStatus((step,), ()), now).splitlines()
    assert lines[1].split() == ["train_segmenter", "begun", "3/?", "epochs", "-", "7", "min", "ago"]


def test_first_cases_that_were_set_aside_are_listed():
    rejections = [Rejection(f"v{k}", "LIVER_HU" if k else "HU_RANGE", f"reason {k}", "read") for k in range(22)]
    lines = format_status(RunStatus((), rejections), datetime.now(UTC)).splitlines()
    assert [line.split() for line in lines[3:5]] == [["HU_RANGE", "1"], ["LIVER_HU", "21"]]
    assert lines[6:8] == ["v0   HU_RANGE: reason 0", "v1   LIVER_HU: reason 1"]
    assert lines[25:] == ["v19  LIVER_HU: reason 19", "and 2 more; the page that jobs.report writes has them all"]


def test_job_prints_and_writes_nothing(run, capsys):
    before = sorted(run.local().rglob("*"))
    assert job.main(PipelineConfig(run=run.uri)) == 0
    assert ["train_couinaudnet", "begun", "2/8"] in [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert sorted(run.local().rglob("*")) == before


def test_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="no run has begun in this folder"):
        read_status(str(tmp_path / "nothing"))
