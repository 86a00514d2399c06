"""Trials of the synthesis: branches of a run folder that train on from length to length, through Ray Tune and Train."""

import io
import json
import math
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs import tune
from pipeline.branch_folder import BranchFolder
from pipeline.command_line import load_config
from pipeline.config import PipelineConfig, PixelLabelConfig
from pipeline.errors import RefusedInputError
from pipeline.masks import read_volume_slices
from pipeline.metrics import MaskCounts
from pipeline.refinement.volume_refinement import refine_volume
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, references_schema
from pipeline.slabs import read_volume_rows, slab_name
from pipeline.stages import tune_synthesis
from pipeline.stages.tune_synthesis import measure_length, read_settings, training_lengths
from pipeline.sweep.config_file import replace_settings
from pipeline.sweep.mask_scores import MaskScore, score_cohort
from pipeline.sweep.points import Choice, LogUniform, Uniform, grid_points
from tests.couinaudnet_cases import HEIGHT, SLAB, WIDTH, draw_couinaud_map, tiny_config, write_case
from tests.test_sweeps import plain_stability
from tune_spaces import synthesis


@pytest.mark.parametrize(("epochs", "lengths"), [(16, (4, 8, 16)), (3, (1, 3)), (2, (1, 2)), (1, (1,))])
def test_lengths_are_a_quarter_half_and_all(epochs, lengths):
    assert training_lengths(epochs) == lengths


def test_shipped_space_fits_the_settings():
    config = PipelineConfig(run="r")
    for point in grid_points(synthesis.SPACE):
        assert read_settings(replace_settings(config, point), synthesis.SPACE).items() >= point.items()
    low = {name: values.low for name, values in synthesis.SPACE.items() if not isinstance(values, Choice)}
    high = {name: values.high for name, values in synthesis.SPACE.items() if not isinstance(values, Choice)}
    assert replace_settings(config, low)
    assert replace_settings(config, high)


def test_length_that_was_measured_is_not_trained_again(tmp_path):
    branch = BranchFolder(str(tmp_path / "branch"), str(tmp_path))
    branch.write_json({"dice_per_case": None, "stability": 0.25}, "measured", "00002.json")
    figures = measure_length(branch, tiny_config(tmp_path), ["v"], 2)
    assert math.isnan(figures["dice_per_case"])
    assert figures["stability"] == 0.25


def test_volume_that_is_set_aside_scores_nothing_and_stays_in_the_cohort():
    half = MaskScore(True, counts=MaskCounts(2, 4, 4), stability=0.6)
    gone = MaskScore(True, set_aside=True, counts=MaskCounts(reference=8))
    unknown = MaskScore(False, counts=MaskCounts(prediction=100), stability=0.3)
    assert score_cohort([half]) == {"dice_per_case": 0.5, "dice_global": 0.5, "stability": 0.6}
    assert score_cohort([half, gone]) == {"dice_per_case": 0.25, "dice_global": 4 / 16, "stability": 0.3}
    assert score_cohort([half, unknown]) == {"dice_per_case": 0.5, "dice_global": 0.5, "stability": pytest.approx(0.45)}
    assert score_cohort([unknown])["dice_per_case"] is score_cohort([unknown])["dice_global"] is None
    empty = MaskScore(True, set_aside=True)  # a label that names a segment, and a reference without a pixel
    assert score_cohort([empty, half])["dice_per_case"] == 0.25


LESIONS = PixelLabelConfig(method="lesions")


def write_references(run):
    """A tumor in the same corner of every slice."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[10:16, 16:22] = draw_couinaud_map()[10:16, 16:22] > 0
    for row in read_volume_rows(run, "validation"):
        for slab in row.slabs:
            index = np.arange(slab * SLAB, min((slab + 1) * SLAB, row.slice_count), dtype=np.int32)
            columns = {
                "volume_id": [row.volume_id] * len(index),
                "slice_index": index,
                "reference_mask": np.stack([mask] * len(index)),
            }
            table = encode(columns, references_schema(HEIGHT, WIDTH))
            run.write_table(table, "references", "grid", row.volume_id, slab_name(slab))


def score_branch(branch, volume):
    """Dice and stability of the masks that a branch has made by lesions, from its files."""
    made = read_volume_slices(branch, "pseudo_labels", volume, ["refined_mask"])["refined_mask"]
    refine_volume(branch, tiny_config("r").grid, LESIONS, volume)
    masks = read_volume_slices(branch, "pseudo_labels", volume, ["refined_mask"])["refined_mask"]
    np.testing.assert_array_equal(made, masks)
    truth = read_volume_slices(branch, "references/grid", volume, ["reference_mask"])["reference_mask"]
    rows = read_volume_slices(branch, "probabilities", volume, ["tumor_probability"])
    assert len(rows["slice_index"]) == volume.slice_count
    dice = 2 * np.sum(masks & truth) / (masks.sum() + truth.sum())
    return dice, plain_stability(masks, rows["tumor_probability"])


def read_rate(branch, epoch):
    """Learning rate of the last step before a checkpoint that a length left."""
    data = io.BytesIO(branch.read_bytes("couinaudnet", "kept", f"epoch-{epoch:05d}", "optimizer.pt"))
    return torch.load(data, weights_only=True)["param_groups"][0]["lr"]


def test_trial_is_one_training_whose_masks_are_made_and_measured_as_the_run_does(ray_cluster, tmp_path, monkeypatch):
    """Two volumes are set aside, as the map lacks their segment; one of them is measured on, and counts 0."""
    settings = {"tune.space": "synthesis", "couinaudnet.schedule": "cosine", "pixel_labels.method": "lesions"}
    config = replace_settings(tiny_config(tmp_path), settings)
    run = RunFolder(config.run)
    write_case(run, "healthy")
    sick = write_case(run, "sick", segments=(5,), split="validation")
    write_case(run, "gone", segments=(1,), split="validation")
    write_case(run, "absent", segments=(1,))
    write_references(run)
    run.write_json({"quarantined": {}}, "reports", "ingest.json")
    branches = ("tune", "synthesis", "branches")
    run.touch(*branches, "stopped", "attempts", "predict_tumors", "sick@0.1")
    space = {"image_labels.minimum_area_mm2": Choice((40.0,)), "synthesis.healthy_fraction": Uniform(0, 1)}
    monkeypatch.setattr(synthesis, "SPACE", space)
    assert tune.main(config) == 0
    assert not run.exists(*branches, "stopped", "attempts")
    (point,) = run.read_json("tune", "synthesis", "points.json")
    assert (point["epochs"], point["set_aside"]) == (2, 2)
    (name,) = set(run.names(*branches)) - {"stopped"}
    branch = BranchFolder(run.member_uri(*branches, name), run.uri)
    assert branch.names("measured") == ["00001.json", "00002.json"]
    history = [json.loads(line) for line in branch.read_bytes("couinaudnet", "history.jsonl").splitlines()]
    assert [(record["epoch"], bool(record["resumed"])) for record in history] == [(0, False), (1, True)]
    assert load_config(run.path("tune", "synthesis", "best.toml")).image_labels.minimum_area_mm2 == 40.0
    assert not run.exists("couinaudnet")
    dice, stability = score_branch(branch, sick)
    assert dice > 0
    assert point["dice_per_case"] == dice / 2
    assert point["stability"] == pytest.approx(stability / 2)
    steps, peak = history[0]["steps"], config.couinaudnet.learning_rate
    progress = [((epochs - 1) + (steps - 1) / steps) / 2 for epochs in (1, 2)]  # of the whole length at both ends
    rates = [peak * (1 + math.cos(math.pi * share)) / 2 for share in progress]
    assert [read_rate(branch, epochs) for epochs in (1, 2)] == pytest.approx(rates)


def fail_first(settings, parent, config, volume_ids):
    """A trial without its training, which leaves a mark; the first one fails."""
    from ray import tune as ray_tune

    tuned, broken = replace_settings(config, settings), Path(parent, "broken")
    Path(parent, f"{uuid.uuid4().hex}.mark").touch()
    if broken.exists():
        broken.unlink()
        raise OSError("no luck")
    ray_tune.report({"stability": tuned.image_labels.minimum_area_mm2, "epochs": tuned.couinaudnet.epochs})


@pytest.mark.parametrize(
    "search", ["grid", *(pytest.param(search, marks=pytest.mark.faults) for search in ("random", "optuna"))]
)
def test_sweep_leaves_out_a_style_that_the_run_cannot_have_and_is_taken_up(
    ray_cluster, tmp_path, monkeypatch, capsys, search
):
    settings = {"tune.space": "synthesis", "tune.search": search, "tune.samples": 2, "tune.objective": "stability"}
    config = replace_settings(tiny_config(tmp_path, context_slices=1), settings)
    run = RunFolder(config.run)
    write_case(run, "sick", segments=(5,))
    run.write_json({"quarantined": {}}, "reports", "ingest.json")
    run.touch("broken")
    area, style = "image_labels.minimum_area_mm2", "synthesis.style"
    space = {area: LogUniform(5.0, 50.0, grid=(5.0, 50.0)), style: Choice(("superpixel", "textured"))}
    monkeypatch.setattr(synthesis, "SPACE", space)
    monkeypatch.setattr(tune_synthesis, "train_and_measure", fail_first)
    with pytest.raises(RuntimeError, match="1 of 2 trials failed"):
        tune.main(config)
    assert capsys.readouterr().out.startswith("synthesis.style superpixel: couinaudnet.context_slices: 1 needs ")
    assert tune.main(config) == 0
    assert len(list(tmp_path.glob("*.mark"))) == 3
    points = run.read_json("tune", "synthesis", "points.json")
    assert [point[style] for point in points] == ["textured"] * 2
    assert load_config(run.path("tune", "synthesis", "best.toml")).image_labels.minimum_area_mm2 == points[-1][area]


def test_sweep_with_nothing_to_compare_is_refused(tmp_path, monkeypatch):
    config = replace_settings(tiny_config(tmp_path, context_slices=1), {"tune.space": "synthesis"})
    write_case(RunFolder(config.run), "sick", segments=(5,))
    RunFolder(config.run).write_json({"quarantined": {}}, "reports", "ingest.json")
    monkeypatch.setattr(synthesis, "SPACE", {"synthesis.style": Choice(("superpixel", "textured"))})
    with pytest.raises(RefusedInputError, match=r"nothing is left to compare: synthesis.style superpixel: "):
        tune.main(config)
