"""Trials of the synthesis: branches of a run folder that train on from length to length, through Ray Tune and Train."""

import json
import math

import numpy as np
import pytest

from jobs import tune
from pipeline.branch_folder import BranchFolder
from pipeline.command_line import load_config
from pipeline.config import PipelineConfig
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, references_schema
from pipeline.slabs import read_volume_rows, slab_name
from pipeline.stages.tune_synthesis import measure_length, read_settings, training_lengths
from pipeline.sweep.config_file import replace_settings
from pipeline.sweep.points import Choice, Uniform, grid_points
from tests.couinaudnet_cases import HEIGHT, SLAB, WIDTH, draw_couinaud_map, tiny_config, write_case
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


def test_trial_trains_on_from_length_to_length(ray_cluster, tmp_path, monkeypatch, capsys):
    config = replace_settings(tiny_config(tmp_path), {"tune.space": "synthesis"})
    run = RunFolder(config.run)
    write_case(run, "healthy")
    write_case(run, "sick", segments=(5,), split="validation")
    write_case(run, "absent", segments=(1,))
    write_references(run)
    run.write_json({"quarantined": {}}, "reports", "ingest.json")
    space = {"image_labels.minimum_area_mm2": Choice((40.0,)), "synthesis.healthy_fraction": Uniform(0, 1)}
    monkeypatch.setattr(synthesis, "SPACE", space)
    assert tune.main(config) == 0
    (point,) = run.read_json("tune", "synthesis", "points.json")
    assert (point["epochs"], point["set_aside"]) == (2, 1)
    assert 0 <= point["dice_per_case"] <= 1
    (branch,) = run.names("tune", "synthesis", "branches")
    place = ("tune", "synthesis", "branches", branch)
    assert run.names(*place, "measured") == ["00001.json", "00002.json"]
    history = [json.loads(line) for line in run.read_bytes(*place, "couinaudnet", "history.jsonl").splitlines()]
    assert [(record["epoch"], bool(record["resumed"])) for record in history] == [(0, False), (1, True)]
    assert load_config(run.path("tune", "synthesis", "best.toml")).image_labels.minimum_area_mm2 == 40.0
    assert not run.exists("couinaudnet")
