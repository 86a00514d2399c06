"""A step commits by its report, is skipped afterwards, and never mixes two settings."""

from importlib import import_module

import pytest

from pipeline.command_line import parse
from pipeline.config import PipelineConfig, PixelLabelConfig, SegmenterConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.steps import Step, default_settings, made_with
from pipeline.sweep.config_file import replace_settings

ON_THE_GRID = (
    *("ingest", "train_couinaudnet", "predict_tumors", "sweep_statistics", "refine_pixel_labels"),
    *("train_segmenter", "predict_segmentation", "report"),
)
"""Jobs that read `config.grid`."""


def test_report_commits_the_step(tmp_path):
    config = PipelineConfig(run=str(tmp_path))
    with Step.begin(config, "ingest") as step:
        assert not step.committed
        assert step.commit(taken=3, given=3) == 0
    with Step.begin(config, "ingest") as again:
        assert again.committed
        assert again.exit_code == 0


def test_quarantined_cases_give_exit_code_three(tmp_path):
    with Step.begin(PipelineConfig(run=str(tmp_path)), "ingest") as step:
        assert step.commit(taken=3, given=2, quarantined={"NIFTI_TRUNCATED": 1}) == 3


@pytest.mark.parametrize(("unread", "code"), [(0, 0), (1, 3)])
def test_folders_that_could_not_be_read_give_exit_code_three(tmp_path, unread, code):
    with Step.begin(PipelineConfig(run=str(tmp_path)), "ingest") as step:
        assert step.commit(taken=3, given=3, unread_folders=unread) == code


def test_needed_step_must_be_committed(tmp_path):
    with pytest.raises(RefusedInputError, match="evaluate needs ingest"):
        Step.begin(PipelineConfig(run=str(tmp_path)), "evaluate", needs=("ingest",))


def test_83_changed_setting_is_refused_with_both_values(tmp_path):
    Step.begin(PipelineConfig(run=str(tmp_path)), "refine_pixel_labels", uses=("pixel_labels",))
    changed = PipelineConfig(run=str(tmp_path), pixel_labels=PixelLabelConfig(scale=2.0))
    with pytest.raises(RefusedInputError, match=r"pixel_labels.scale = 5.0, now it is 2.0") as refused:
        Step.begin(changed, "refine_pixel_labels", uses=("grid", "pixel_labels"))
    assert "(--config ...; settings/pixel_labels.json has them) or another --run" in str(refused.value)
    assert sorted(path.name for path in (tmp_path / "settings").iterdir()) == ["pixel_labels.json", "seed.json"]


def begin_on(run, **source):
    """Begin a step on an archive; return the settings of the source that the run folder holds."""
    config = PipelineConfig(run=str(run), source=SourceConfig(**source))
    return Step.begin(config, "ingest", uses=("source",)).run.read_json("settings", "source.json")


def test_one_folder_may_be_written_in_several_ways(tmp_path, monkeypatch):
    run, archive = tmp_path / "run", str(tmp_path / "arch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert begin_on(run, path="arch/", id_key="none")["path"] == archive
    for path in (archive, f"{archive}/", "./arch", "arch/../arch/", "~/arch"):
        assert begin_on(run, path=path, id_key="none")["path"] == archive
    monkeypatch.chdir("/")
    begin_on(run, path=archive, id_key="none")
    with pytest.raises(RefusedInputError, match=rf"source.path = '{archive}', now it is '/arch'"):
        begin_on(run, path="arch", id_key="none")


def test_folder_as_an_earlier_version_stored_it_is_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin_on(tmp_path / "run")
    for stored in ("arch", "arch/", f"{tmp_path}/arch/"):
        RunFolder(str(tmp_path / "run")).write_json({"path": stored, "labels": ""}, "settings", "source.json")
        begin_on(tmp_path / "run", path=str(tmp_path / "arch"))


def test_folder_behind_a_uri_loses_its_last_slash_only(tmp_path):
    assert begin_on(tmp_path, path="s3://bucket/arch/")["path"] == "s3://bucket/arch"
    begin_on(tmp_path, path="s3://bucket/arch")
    with pytest.raises(RefusedInputError, match=r"now it is 's3://bucket//arch'"):
        begin_on(tmp_path, path="s3://bucket//arch")


def test_relative_path_of_a_submitted_job_is_the_same_in_each_copy_of_its_working_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    for copy in ("_ray_pkg_1", "_ray_pkg_2"):
        (tmp_path / copy).mkdir()
        monkeypatch.chdir(tmp_path / copy)
        assert begin_on(tmp_path / "run", labels="./labels.csv")["labels"] == "labels.csv"


def test_setting_that_the_step_does_not_use_may_change(tmp_path):
    Step.begin(PipelineConfig(run=str(tmp_path)), "ingest", uses=("grid",))
    changed = PipelineConfig(run=str(tmp_path), pixel_labels=PixelLabelConfig(scale=2.0))
    Step.begin(changed, "ingest", uses=("grid",))


def test_setting_is_shared_by_all_steps_of_a_folder(tmp_path):
    Step.begin(PipelineConfig(run=str(tmp_path)), "refine_pixel_labels", uses=("pixel_labels",))
    changed = PipelineConfig(run=str(tmp_path), pixel_labels=PixelLabelConfig(scale=2.0))
    with pytest.raises(RefusedInputError, match=r"evaluate: .* pixel_labels.scale = 5.0, now it is 2.0"):
        Step.begin(changed, "evaluate", uses=("pixel_labels",))


@pytest.mark.parametrize(
    ("job", "setting", "value"),
    [
        *((job, "grid.spacing_mm", 2.0) for job in ON_THE_GRID),
        *(("predict_segmentation", f"grid.{name}", value) for name, value in (("slab_length", 2), ("height", 64))),
        ("predict_tumors", "couinaudnet.predict_relabeled", False),
        ("predict_segmentation", "segmenter.threshold", 0.3),
    ],
)
def test_job_refuses_what_would_give_its_folder_another_result(tmp_path, job, setting, value):
    run, section = RunFolder(str(tmp_path)), setting.partition(".")[0]
    run.write_json(default_settings()[section], "settings", f"{section}.json")
    for done in ("ingest", "refine_image_labels", *ON_THE_GRID, "train_couinaudnet", "evaluate"):
        run.write_json({"quarantined": {}, "radius": 9}, "reports", f"{done}.json")
    changed = replace_settings(PipelineConfig(run=str(tmp_path)), {setting: value})
    with pytest.raises(RefusedInputError, match=f"^{job}: .* was made with {setting} = .* now it is {value}"):
        import_module(f"jobs.{job}").main(changed)


def test_run_may_be_taken_up_with_more_workers(tmp_path):
    Step.begin(PipelineConfig(run=str(tmp_path)), "train_segmenter", uses=("segmenter",))
    larger = PipelineConfig(run=str(tmp_path), segmenter=SegmenterConfig(num_workers=4, use_gpu=True))
    Step.begin(larger, "train_segmenter", uses=("segmenter",))


def begin_and_refuse(config):
    with Step.begin(config, "ingest", uses=("pixel_labels",)):
        raise RefusedInputError("no such folder")


def test_refused_start_does_not_pin_its_settings(tmp_path):
    with pytest.raises(RefusedInputError, match="no such folder"):
        begin_and_refuse(PipelineConfig(run=str(tmp_path)))
    assert not (tmp_path / "settings").exists()
    changed = PipelineConfig(run=str(tmp_path), pixel_labels=PixelLabelConfig(scale=2.0))
    Step.begin(changed, "ingest", uses=("pixel_labels",))


def test_setting_that_the_folder_does_not_know_was_at_its_default(tmp_path):
    config = PipelineConfig(run=str(tmp_path))
    Step.begin(config, "refine_pixel_labels", uses=("pixel_labels",)).run.write_json(
        {"enabled": True, "threshold": 0.5, "scale": 5.0}, "settings", "pixel_labels.json"
    )
    Step.begin(config, "refine_pixel_labels", uses=("pixel_labels",))
    changed = PipelineConfig(run=str(tmp_path), pixel_labels=PixelLabelConfig(radius=2))
    with pytest.raises(RefusedInputError, match=r"made with pixel_labels.radius = 1, now it is 2"):
        Step.begin(changed, "refine_pixel_labels", uses=("pixel_labels",))


def test_a_job_that_only_looks_takes_the_settings_of_the_run_folder(tmp_path):
    config = PipelineConfig(run=str(tmp_path / "run"), seed=3, pixel_labels=PixelLabelConfig(scale=2.0))
    with Step.begin(config, "refine_pixel_labels", uses=("pixel_labels",)) as step:
        step.commit(taken=1, given=1)
    base = made_with("pixel_labels", "segmenter")
    found = parse(["--run", config.run], base=base)
    assert (found.seed, found.pixel_labels, found.segmenter) == (3, config.pixel_labels, SegmenterConfig())
    given = parse(["--run", config.run, "--seed", "4", "--pixel-labels.threshold", "0.3"], base=base)
    assert (given.seed, given.pixel_labels) == (4, PixelLabelConfig(scale=2.0, threshold=0.3))
    (tmp_path / "own.toml").write_text("seed = 5\n[pixel_labels]\nscale = 4.0\n")
    own = parse(["--run", config.run, "--config", str(tmp_path / "own.toml")], base=base)
    assert (own.seed, own.pixel_labels.scale) == (5, 4.0)
