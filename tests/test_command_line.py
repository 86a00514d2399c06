"""Every job's command line: fast help, one clear line for a refusal, exit codes."""

import dataclasses
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.command_line import load_config, parse, run_job, shipped
from pipeline.config import METHOD_SECTIONS, PipelineConfig
from pipeline.errors import RefusedInputError

ROOT = Path(__file__).parent.parent
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py") if path.stem != "__init__")
SECTIONS = {field.name for field in dataclasses.fields(PipelineConfig)} - {"run", "seed"}
USES = re.compile(r"uses ?= ?\(.*?\)[,)\n]")


def run_command(job, *arguments, **environment):
    command, environment = [sys.executable, "-m", f"jobs.{job}", *arguments], os.environ | environment
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("job", JOBS)
def test_help_explains_and_imports_nothing_heavy(job):
    code = f"import sys, runpy; sys.argv=['{job}', '--help']\ntry: runpy.run_module('jobs.{job}', run_name='__main__')"
    check = "\nfinally: print([m for m in ('ray', 'torch', 'nnunetv2', 'SimpleITK') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code + check], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "--run" in result.stdout
    assert result.stdout.strip().endswith("[]")
    shown = {title.replace("-", "_") for title in re.findall(r"─ (\S+) options ─", result.stdout)}
    source = (ROOT / "jobs" / f"{job}.py").read_text(encoding="utf-8")
    code, _, declared = source.partition("sections=")
    assert shown == {*re.findall(r'"(\w+)"', declared), *(METHOD_SECTIONS if "METHOD_SECTIONS" in declared else ())}
    assert shown >= SECTIONS & {
        *re.findall(r"config\.(\w+)", code),
        *re.findall(r'"(\w+)"', "".join(USES.findall(code))),
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--run", "x", "--grid.heigth", "9"], "--grid.heigth"),
        (["--run", "x", "--pixel-labels.threshold", "2"], "pixel_labels.threshold"),
        (["--run", "x", "--pixel-labels.scale", "inf"], "pixel_labels.scale: expected a finite number, got inf"),
        (["--run", "x", "--source.layout", "tiff"], "tiff"),
        (["--run", "x", "--source.layout", "phantom", "--source.path", "y"], "needs nothing on disk"),
        (["--run", "x", "--config", "absent"], "absent"),
        ([], "--run"),
    ],
)
def test_refusal_is_exit_two_with_one_line(arguments, words):
    result = run_command("evaluate", *arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


@pytest.mark.parametrize("name", shipped())
def test_shipped_configuration_is_valid(name):
    assert load_config(name).segmenter.normalization == "liver_median"


def test_command_line_wins_over_the_configuration():
    config = parse(["--config", "demo", "--run", "x", "--grid.height", "64"])
    assert (config.grid.height, config.source.layout) == (64, "phantom")


def test_toml_file_is_a_configuration(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('run = "here"\n[pixel_labels]\nthreshold = 0.4\n')
    config = parse(["--config", str(path)])
    assert (config.run, config.pixel_labels.threshold) == ("here", 0.4)


def test_unknown_setting_in_a_file_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[pixel_labels]\ntau = 0.4\n")
    with pytest.raises(RefusedInputError, match=r"pixel_labels\.tau"):
        load_config(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('pixel_labels.method = "lesion"', "pixel_labels.method: expected continuity or lesions, got 'lesion'"),
        ('source.layout = "phatnom"', "source.layout: expected msd, ircad, dicom or phantom, got 'phatnom'"),
        ('pixel_labels.enabled = "no"', "pixel_labels.enabled: expected true or false, got 'no'"),
        ("segmenter.use_gpu = 1", "segmenter.use_gpu: expected true or false, got 1"),
        ("segmenter.epochs = 2.5", "segmenter.epochs: expected a whole number, got 2.5"),
        ("seed = true", "seed: expected a whole number, got True"),
        ('pixel_labels.scale = "three"', "pixel_labels.scale: expected a finite number, got 'three'"),
        ("pixel_labels.scale = inf", "pixel_labels.scale: expected a finite number, got inf"),
        ("pixel_labels.lesion_share = nan", "pixel_labels.lesion_share: expected a finite number, got nan"),
        ("source.path = 4", "source.path: expected a text, got 4"),
        ('source.repairs = ["tlit"]', "source.repairs: expected a list, each item tilt or spacing, got ['tlit']"),
        ('source.repairs = "tilt"', "source.repairs: expected a list, each item tilt or spacing, got 'tilt'"),
        ("schedule.nodes = [1, 2.0]", "schedule.nodes: expected a list, each item a whole number, got [1, 2.0]"),
        ("pixel_labels = 4", "pixel_labels: expected a table of settings, got 4"),
        ('run = "ü"', "'utf-8' codec can't decode byte 0xfc in position 7: invalid start byte"),
        ("pixel_labels.scale = -1", "pixel_labels.scale: must be positive, got -1"),
    ],
)
def test_value_that_a_setting_cannot_take_is_refused_with_both_sides(text, message, tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SystemExit) as left:
        run_job(lambda config: 0, ["--run", str(tmp_path / "run"), "--config", str(path)])
    assert left.value.code == 2
    assert capsys.readouterr().err == f"error: --config {path}: {message}\n"


def test_whole_number_will_do_for_any_number(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("pixel_labels.scale = 3\nschedule.nodes = [1, 2]\n")
    config = load_config(str(path))
    assert (config.pixel_labels.scale, config.schedule.nodes) == (3.0, (1, 2))


def test_ray_that_does_not_start_in_time_is_told_in_one_line(tmp_path):
    result = run_command("check_cluster", "--run", str(tmp_path), RAY_gcs_server_port_wait_time_s="0")
    assert result.returncode == 2
    assert result.stderr.startswith("error: Ray did not start on this machine in time")
    assert result.stderr.count("\n") == 1


def test_full_disk_is_told_in_one_line(tmp_path, capsys):
    def main(config):
        raise RuntimeError("in a worker") from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(SystemExit) as left:
        run_job(main, ["--run", str(tmp_path)])
    error = capsys.readouterr().err
    assert left.value.code == 1
    assert error.startswith("error: a disk is full, here or on another node; free here: ")
    assert f" GB of {tmp_path}, " in error
    assert error.count("\n") == 1
