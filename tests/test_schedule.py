"""The schedule on clusters that there are not, where it can be told by hand."""

import pytest

from jobs import size_cluster as job
from pipeline.cluster import schedule
from pipeline.cluster.schedule import (
    DriverCost,
    StepCost,
    extrapolate,
    format_schedule,
    measure_rows,
    measure_steps,
    simulate,
)
from pipeline.config import PipelineConfig, ScheduleConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder

from .couinaudnet_cases import write_case

FREE = DriverCost(0.0, 0.0, 0.0)
SMALL = ScheduleConfig(cases=64, slices=100, nodes=(1,), cpus_per_node=4, storage_mb_per_second=1000.0)


@pytest.fixture
def alike(monkeypatch):
    """Cases of the same length."""
    monkeypatch.setattr(schedule, "_SPREAD", 0.0)


def test_cpus_alone_take_the_work_divided_by_their_number(alike):
    found = simulate(StepCost("ingest", 0.01, 0.0), FREE, SMALL, nodes=2)
    assert found.seconds == pytest.approx(64 * 100 * 0.01 / 8)
    assert (found.bottleneck, found.shares["CPUs"]) == ("CPUs", pytest.approx(1.0))


def test_storage_passes_all_bytes_however_many_nodes(alike):
    found = simulate(StepCost("ingest", 1e-6, 10.0), FREE, SMALL, nodes=100)
    assert found.seconds == pytest.approx(64 * 100 * 10.0 / 1000, rel=1e-3)
    assert found.bottleneck == "storage"


def test_driver_takes_cases_one_after_the_other(alike):
    found = simulate(StepCost("ingest", 1e-6, 0.0), DriverCost(9.0, 0.5, 0.25), SMALL, nodes=100)
    assert found.seconds == pytest.approx(64 * 0.75, rel=1e-3)
    assert found.bottleneck == "driver"
    later = simulate(StepCost("evaluate", 1e-6, 0.0), DriverCost(9.0, 0.5, 0.25), SMALL, nodes=100)
    assert later.seconds == pytest.approx(64 * (9.0 + 0.25), rel=1e-3)


def test_few_long_cases_leave_a_large_cluster_waiting():
    found = simulate(StepCost("ingest", 0.01, 0.0), FREE, SMALL, nodes=100)
    assert found.bottleneck == "uneven cases"
    assert found.seconds > 100 * 0.01


def test_table_names_hours_and_bottleneck(alike):
    costs = [StepCost("ingest", 0.9, 0.25)]
    text = format_schedule(costs, extrapolate(costs, FREE, SMALL), {"train_segmenter": 7200.0})
    assert "ingest" in text
    assert "0.40 h, CPUs 100%" in text
    assert "2.00 h, a setting" in text


def finish_step(run, step, seconds, **settings):
    run.write_json({"seconds": seconds, "machine": {"cpus": 2}, "settings": settings}, "reports", f"{step}.json")


def test_costs_are_the_runs_own(tmp_path):
    run = RunFolder(str(tmp_path))
    with pytest.raises(RefusedInputError, match="at least ingested"):
        measure_steps(run, SMALL)
    depth = write_case(run, "a", (4,), "train").native_shape[0]
    finish_step(run, "ingest", 5.0)
    (cost,) = measure_steps(run, SMALL)
    written = sum(
        path.stat().st_size for table in ("slices", "volumes") for path in (tmp_path / table).rglob("*.parquet")
    )
    references = sum(path.stat().st_size for path in (tmp_path / "references").rglob("*.parquet"))
    assert cost.cpu_seconds == pytest.approx(10.0 / depth)
    assert cost.megabytes == pytest.approx((written + references) / 1e6 / depth + 0.53)


@pytest.mark.parametrize(
    ("enabled", "method", "of_slices"), [(True, "lesions", 1), (True, "continuity", 0), (False, "lesions", 0)]
)
def test_bytes_are_those_of_all_tables_that_a_step_opens(tmp_path, enabled, method, of_slices):
    run = RunFolder(str(tmp_path))
    depth = write_case(run, "a").native_shape[0]
    settings = {"pixel_labels": {"enabled": enabled, "method": method}}
    for step in ("ingest", "refine_pixel_labels", "evaluate"):
        finish_step(run, step, 1.0, **settings)
    tables = ("slices", "image_labels", "probabilities", "pseudo_labels", "predictions", "references", "evaluation")
    for place, table in enumerate(tables):
        run.remove(table)
        run.write_bytes(b"0" * 10**place, table, "a", "file")
    costs = {cost.step: round(cost.megabytes * depth * 1e6) for cost in measure_steps(run, SMALL)}
    assert costs["refine_pixel_labels"] == 1110 + of_slices
    assert costs["evaluate"] == 1111110


@pytest.mark.parametrize("options", ["", "?x=1"])
def test_measuring_rows_leaves_the_run_as_it_was(tmp_path, monkeypatch, options):
    monkeypatch.setattr(schedule, "_ROWS", 2)
    run = RunFolder(f"file://{tmp_path}{options}")
    write_case(run, "a", (4,), "train")
    before = sorted(tmp_path.rglob("*"))
    assert min(measure_rows(run)) > 0
    assert sorted(tmp_path.rglob("*")) == before


def test_job_prints_a_table_and_leaves_nothing_else(ray_cluster, tmp_path, capsys):
    run = RunFolder(str(tmp_path))
    write_case(run, "a", (4,), "train")
    finish_step(run, "ingest", 5.0)
    before = set(run.names())
    assert job.main(PipelineConfig(run=run.uri, schedule=SMALL)) == 0
    assert "all but trainings" in capsys.readouterr().out
    assert set(run.names()) == before | {"size_cluster.json"}
    assert 0 < run.read_json("size_cluster.json")["driver"]["block"] < 10
