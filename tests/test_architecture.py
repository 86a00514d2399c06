"""The structure holds: imports go inward, stages fit each other, every job is one."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import pipeline.stages
from pipeline.stages.base import CaseStage, Stage, check_flow

ROOT = Path(__file__).parent.parent
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py") if path.stem != "__init__")
MAXIMUM_JOB_LINES = 80
MAXIMUM_FILE_LINES = 350


def source_files(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def stage_classes():
    for module in pkgutil.iter_modules(pipeline.stages.__path__, "pipeline.stages."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and issubclass(value, Stage) and value.__module__ == module.name:
                yield value


@pytest.mark.parametrize("path", source_files("pipeline"), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_inward(path):
    in_stages = path.is_relative_to(ROOT / "pipeline" / "stages")
    forbidden = {"jobs", "tune_spaces"} if in_stages else {"jobs", "tune_spaces", "ray"}
    modules = set(imported_modules(path))
    assert not {module for module in modules if module.split(".")[0] in forbidden}
    assert in_stages or not {module for module in modules if module.startswith("pipeline.stages")}


@pytest.mark.parametrize("path", source_files("pipeline", "jobs"), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_readable(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= (MAXIMUM_JOB_LINES if path.parent.name == "jobs" else MAXIMUM_FILE_LINES)


@pytest.mark.parametrize("job", JOBS)
def test_job_is_a_documented_main(job):
    module = importlib.import_module(f"jobs.{job}")
    assert module.__doc__
    assert module.main.__annotations__ == {"config": "PipelineConfig", "return": "int"}


def test_every_stage_declares_its_columns():
    classes = [stage for stage in stage_classes() if stage not in (Stage, CaseStage)]
    assert classes
    for stage in classes:
        assert stage.reads, stage
        assert stage.emits, stage


def test_ingest_flow_fits():
    from pipeline.archive.catalog import CaseSource
    from pipeline.stages.ingest import DecodeVolume, WriteSlab

    source = CaseSource("case", "msd", "train", (1,)).to_row()
    check_flow(list(source), [DecodeVolume, WriteSlab])


def test_flow_that_does_not_fit_is_an_error():
    from pipeline.stages.refine_image_labels import RefineImageLabels

    with pytest.raises(ValueError, match="slabs"):
        check_flow(["volume_id"], [RefineImageLabels])
