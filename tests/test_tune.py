"""Sweeps through Ray Tune on a small run folder: the best point is brute force's, and a stopped sweep is taken up."""

import dataclasses
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs import sweep_statistics, tune
from pipeline.command_line import load_config, parse
from pipeline.config import GridConfig, PipelineConfig, PixelLabelConfig, TuneConfig
from pipeline.errors import RefusedInputError
from pipeline.image_labels import encode_segments
from pipeline.metrics import count_masks, dice_per_case
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, references_schema
from pipeline.slabs import write_volume_row
from pipeline.stages.tuning import check_search, make_search, name_sweep, run_sweep, to_param_space
from pipeline.sweep.files import check_window, choose_points, select_volumes, settle_split
from pipeline.sweep.points import PAPER, SCALE, THRESHOLD, Choice, Evaluated, LogUniform, Surface, Uniform
from pipeline.sweep.statistics import VolumeStatistics
from tests.label_cases import by_slab, write_predictions, write_volume
from tests.test_refinement_statistics import refine_masks
from tune_spaces import label_refinement

ROOT = Path(__file__).parent.parent
SHAPE, SLAB = (16, 16), 4
SIX_POINTS = {
    THRESHOLD: Uniform(0.1, 0.9, grid=(0.3, 0.5, 0.7)),
    SCALE: LogUniform(1, 10, grid=(2.0, 5.0)),
}


def tiny_config(folder, **tuned):
    return PipelineConfig(
        run=str(folder),
        grid=GridConfig(height=SHAPE[0], width=SHAPE[1], slab_length=SLAB),
        tune=TuneConfig(**{"split": "train", **tuned}),
    )


def write_case(run, rng, volume_id, count, split="train", has_reference=True):
    """A volume whose tumor drifts through its slices, seen with noise; its case as the oracle takes it."""
    index = np.arange(count, dtype=np.int32)
    refined = np.tile(encode_segments([3]), (count, 1)) & (rng.random(count) < 0.9)[:, None]
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    distance = np.stack([np.hypot(y - 8, x - 6 - 0.5 * k) for k in index])
    probability = np.clip(255 - 30 * distance + rng.integers(-60, 60, distance.shape), 0, 255).astype(np.uint8)
    row = write_volume(run, volume_id, index, [3], SLAB, split)
    write_volume_row(run, dataclasses.replace(row, has_reference=has_reference))
    write_predictions(run, row, index, refined, probability, SLAB)
    reference = distance < 4
    for name, at in by_slab(index, SLAB) if has_reference else ():
        columns = {"volume_id": [volume_id] * len(at), "slice_index": index[at], "reference_mask": reference[at]}
        run.write_table(encode(columns, references_schema(*SHAPE)), "references", "grid", volume_id, name)
    return index, refined.any(axis=1), probability, reference


@pytest.fixture(scope="module")
def swept(ray_cluster, tmp_path_factory):
    """A run folder with statistics, and its cases."""
    folder = tmp_path_factory.mktemp("swept")
    run, rng = RunFolder(str(folder)), np.random.default_rng(3)
    cases = [write_case(run, rng, f"v{number}", count) for number, count in enumerate([9, 6, 13])]
    write_case(run, rng, "unknown", 5, "validation", has_reference=False)
    run.write_json({"quarantined": {}}, "reports", "predict_tumors.json")
    made = {"enabled": True, "method": "lesions", "threshold": 0.5, "scale": 2.0}
    run.write_json(made, "settings", "pixel_labels.json")
    assert sweep_statistics.main(tiny_config(folder)) == 0
    return folder, cases


def brute_force(cases, threshold, scale):
    masks = [refine_masks(case, threshold, scale)[1] for case in cases]
    return dice_per_case([count_masks(mask, case[3]) for mask, case in zip(masks, cases, strict=True)])


def refuse(*arguments, **named):
    raise AssertionError("the driver holds statistics")


def test_grid_finds_the_best_of_brute_force_and_writes_it_down(swept, monkeypatch, capsys):
    """All statistics are read in tasks, whatever made the masks of the run folder."""
    folder, cases = swept
    monkeypatch.setattr(VolumeStatistics, "__init__", refuse)
    monkeypatch.setattr(label_refinement, "SPACE", SIX_POINTS)
    assert tune.main(tiny_config(folder)) == 0
    run = RunFolder(str(folder))
    expected = {(tau, c): brute_force(cases, tau, c) for tau in (0.3, 0.5, 0.7) for c in (2.0, 5.0)}
    found = run.read_json("tune", "label_refinement", "best.json")
    threshold, scale = max(expected, key=expected.get)
    assert (found["best"][THRESHOLD], found["best"][SCALE]) == (threshold, scale)
    assert found["best"]["dice_per_case"] == expected[threshold, scale]
    assert found["paper"]["dice_per_case"] == expected[0.5, 5.0]
    assert (found["points"], found["volumes"], found["with_reference"]) == (6, 3, 3)
    surface = pq.read_table(run.path("tune", "label_refinement", "surface.parquet")).to_pylist()
    assert {(row["threshold"], row["scale"]): row["dice_per_case"] for row in surface} == expected
    assert run.read_bytes("tune", "label_refinement", "surface.png").startswith(b"\x89PNG")
    config = load_config(run.path("tune", "label_refinement", "best.toml"))
    assert config.pixel_labels == PixelLabelConfig(threshold=threshold, scale=scale)
    assert config.grid == tiny_config(folder).grid
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["search", "surface", "paper"]
    assert f"{expected[0.5, 5.0]:.4f}" in lines[4]
    assert lines[5].startswith("Settings for --config, the best of the search: ")


def test_split_is_validation_if_there_are_such_volumes_else_train(swept, tmp_path):
    run = RunFolder(str(tmp_path))
    write_case(run, np.random.default_rng(0), "v", 3)
    assert settle_split(run, tiny_config(tmp_path, split="auto")).tune.split == "train"
    assert settle_split(RunFolder(str(swept[0])), tiny_config(swept[0], split="auto")).tune.split == "validation"
    assert settle_split(run, tiny_config(tmp_path, split="validation")).tune.split == "validation"


def test_finished_sweep_evaluates_nothing_again(swept, monkeypatch):
    folder, _ = swept
    monkeypatch.setattr(label_refinement, "SPACE", SIX_POINTS)
    sweeps = Path(folder, "tune", "label_refinement")
    assert tune.main(tiny_config(folder)) == 0
    reported = {path: path.read_bytes() for path in sweeps.rglob("result.json")}  # with the time of the report
    assert len(reported) == 6
    assert tune.main(tiny_config(folder)) == 0
    assert {path: path.read_bytes() for path in sweeps.rglob("result.json")} == reported


SAMPLES = 40


def start_sweep(folder):
    """A sweep in a process of its own, with its own cluster, that notes down often how far it is."""
    command = [sys.executable, "-m", "jobs.tune", "--run", str(folder)]
    command += ["--tune.split", "train", "--tune.search", "random", "--tune.samples", str(SAMPLES)]
    command += [f"--grid.{name}={value}" for name, value in vars(tiny_config(folder).grid).items()]
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ended_trials(folder):
    """Trials that the sweep's own notes know to be at their end."""
    notes = sorted(Path(folder, "tune").rglob("experiment_state-*.json"))
    return notes[-1].read_text(errors="replace").count("TERMINATED") if notes else 0


@pytest.mark.faults
def test_killed_sweep_goes_on_with_the_trials_that_are_left(swept, tmp_path):
    folder, cases = swept
    copy = Path(shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("tune")))
    first = start_sweep(copy)
    deadline = time.monotonic() + 240
    while ended_trials(copy) < 5:
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.kill()
    first.wait()
    ended = ended_trials(copy)
    reported = {path: path.read_bytes() for path in Path(copy, "tune").rglob("result.json")}
    assert not Path(copy, "tune", "label_refinement", "best.json").exists()
    assert start_sweep(copy).wait(timeout=240) == 0
    kept = [path for path, content in reported.items() if path.read_bytes() == content]
    assert len(kept) >= ended
    found = RunFolder(str(copy)).read_json("tune", "label_refinement", "best.json")
    assert found["points"] == SAMPLES
    assert found["search"]["dice_per_case"] == brute_force(cases, found["search"][THRESHOLD], found["search"][SCALE])


def fail_once(settings, folder):
    """A trial that leaves a mark; one point fails the first time."""
    from ray import tune as ray_tune

    Path(folder, uuid.uuid4().hex).touch()
    broken = Path(folder, "broken")
    if settings == {THRESHOLD: 0.5, SCALE: 5.0} and broken.exists():
        broken.unlink()
        raise ValueError("no luck")
    ray_tune.report({"stability": settings[SCALE]})


@pytest.mark.faults
def test_failed_trial_is_an_error_and_is_repeated_alone(ray_cluster, tmp_path):
    from ray import tune as ray_tune

    marks = tmp_path / "marks"
    marks.mkdir()
    (marks / "broken").touch()
    config = tiny_config(tmp_path, objective="stability")
    arguments = (RunFolder(config.run), "sweep", config, SIX_POINTS)
    trial = ray_tune.with_parameters(fail_once, folder=str(marks))
    with pytest.raises(RuntimeError, match="1 of 6 trials failed; the same command repeats only those"):
        run_sweep(*arguments, trial, resources={"cpu": 1})
    assert len(run_sweep(*arguments, trial, resources={"cpu": 1})) == 6
    assert len(os.listdir(marks)) == 7


@pytest.mark.parametrize("search", ["random", "optuna"])
def test_drawn_points_begin_with_the_paper_and_the_best_may_be_one_of_the_surface(swept, monkeypatch, search):
    folder, cases = swept
    monkeypatch.setattr(VolumeStatistics, "__init__", refuse)
    monkeypatch.setattr(label_refinement, "SPACE", SIX_POINTS)
    assert tune.main(tiny_config(folder, search=search, samples=4)) == 0
    run = RunFolder(str(folder))
    found = run.read_json("tune", "label_refinement", "best.json")
    assert found["points"] == 4
    for name in ("search", "surface"):
        point = found[name]
        assert point["dice_per_case"] == brute_force(cases, point[THRESHOLD], point[SCALE])
        assert found["best"]["dice_per_case"] >= point["dice_per_case"] >= found["paper"]["dice_per_case"]
    assert found["best"] == found[found["best_of"]]
    labels = load_config(run.path("tune", "label_refinement", "best.toml")).pixel_labels
    assert (labels.threshold, labels.scale) == (found["best"][THRESHOLD], found["best"][SCALE])


@pytest.mark.parametrize(("searched", "best_of"), [(0.3, "surface"), (0.6, "search"), (0.5, "search")])
def test_better_of_search_and_surface_is_chosen(searched, best_of):
    paper = Evaluated(PAPER, {"stability": 0.1})
    points = [paper, Evaluated({THRESHOLD: 0.4, SCALE: 5.0}, {"stability": searched})]
    surface = Surface((0.4,), (3.0, 4.0), {"stability": np.array([[0.5, 0.2]])})
    chosen = choose_points(points, surface, paper, "stability")
    assert chosen.best_of == best_of
    assert chosen.best is chosen.by_name[best_of]
    assert chosen.best.figures["stability"] == max(searched, 0.5)
    assert chosen.by_name["paper"] is paper


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ({"method": "lesions"}, "--pixel-labels.method continuity"),
        ({"enabled": False}, "--pixel-labels.enabled"),
        ({"enabled": False, "method": "lesions"}, "--pixel-labels.enabled --pixel-labels.method continuity"),
    ],
)
def test_sweep_of_tau_and_c_for_other_masks_is_refused(tmp_path, settings, flags):
    config = dataclasses.replace(tiny_config(tmp_path), pixel_labels=PixelLabelConfig(**settings))
    for job in (sweep_statistics, tune):
        with pytest.raises(RefusedInputError, match=f"add {flags}; the same run folder will do"):
            job.main(config)
    parse(["--run", "r", *flags.split()])


def test_optuna_draws_what_follows_from_the_seed():
    draws = []
    for seed in (3, 3, 4):
        search = make_search("optuna", seed, {}, None).searcher
        search.set_search_properties("dice_per_case", "max", to_param_space(SIX_POINTS, "optuna"))
        draws.append([search.suggest(str(number)) for number in range(4)])
    assert draws[0] == draws[1] != draws[2]
    assert all(0.1 <= point[THRESHOLD] <= 0.9 and 1 <= point[SCALE] <= 10 for point in draws[0])


def test_objective_without_references_is_refused_and_names_the_other(swept):
    run = RunFolder(str(swept[0]))
    with pytest.raises(RefusedInputError, match=r"none of 1 validation volumes has one; .* stability"):
        select_volumes(run, TuneConfig(split="validation"))
    volumes = select_volumes(run, TuneConfig(split="validation", objective="stability"))
    assert [volume.volume_id for volume in volumes] == ["unknown"]


def test_split_without_volumes_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match=r"no train volume names a segment; use --tune.split validation"):
        select_volumes(RunFolder(str(tmp_path)), TuneConfig(split="train"))


def test_window_beyond_the_statistics_is_refused(swept):
    run = RunFolder(str(swept[0]))
    check_window(run, PixelLabelConfig(radius=1))
    with pytest.raises(RefusedInputError, match="radius is 2, but the statistics reach 1: run sweep_statistics"):
        check_window(run, PixelLabelConfig(radius=2))


def test_search_without_its_library_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RefusedInputError, match=r"pip install 'liver-label-refinement\[tune\]'"):
        check_search(TuneConfig(search="optuna"))


def test_sweep_is_known_by_what_shapes_it(tmp_path):
    config = tiny_config(tmp_path)
    name = name_sweep(config, SIX_POINTS, ["v0"])
    others = [
        name_sweep(tiny_config(tmp_path, objective="stability"), SIX_POINTS, ["v0"]),
        name_sweep(tiny_config(tmp_path, search="random"), SIX_POINTS, ["v0"]),
        name_sweep(config, {**SIX_POINTS, SCALE: Choice((1.0,))}, ["v0"]),
        name_sweep(config, SIX_POINTS, ["v0", "v1"]),
    ]
    assert name == name_sweep(config, SIX_POINTS, ["v0"])
    assert len({name, *others}) == 5
