"""The page's section of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config import GridConfig
from pipeline.evaluation_rows import read_rows
from pipeline.report.examples import (
    describe_example,
    draw_example,
    load_predicted_example,
    load_train_example,
    pick_spread,
)
from pipeline.report.overlays import PREDICTION_COLOR, REFERENCE_COLOR
from pipeline.report.tables import make_figure, make_note
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow

TRAIN_EXAMPLES = 3
PREDICTED_EXAMPLES = 4


def make_pictures_section(run: RunFolder, grid: GridConfig, volumes: Sequence[VolumeRow]) -> str:
    """Return pictures of predicted volumes and of train volumes with pseudo masks; empty if there are none."""
    rows = {volume.volume_id: volume for volume in volumes}
    pseudo = {row["volume_id"]: row for row in read_rows(run, "pseudo_masks")}
    cases = {row["volume_id"]: row for row in read_rows(run, "cases")}
    with_ilr = any(row["dice_ilr"] is not None for row in pseudo.values())
    before, after = ("dice_ilr", "dice_ilr_plr") if with_ilr else ("dice_none", "dice_plr")
    train = {name: pseudo.get(name, {}).get(after) for name in _name_refined(run) if name in rows}
    there = [name.removesuffix(".nii.gz") for name in run.names("predictions")]
    predicted = {name: cases.get(name, {}).get("dice") for name in there if name in rows}
    figures = []
    for name in pick_spread(predicted, PREDICTED_EXAMPLES):
        example = load_predicted_example(run, rows[name], grid)
        text = describe_example(example, _name_dice(cases.get(name, {}), {"dice": "Dice of the volume"}))
        figures.append(make_figure(draw_example(example, grid), _PREDICTED_DESCRIPTION, text))
    for name in pick_spread(train, TRAIN_EXAMPLES):
        example = load_train_example(run, rows[name])
        arms = {before: "Dice of the volume before refinement", after: "after"}
        text = describe_example(example, _name_dice(pseudo.get(name, {}), arms))
        figures.append(make_figure(draw_example(example, grid), _TRAIN_DESCRIPTION, text))
    return f"{make_note(_PICTURES_NOTE)}\n{_make_legend()}\n" + "\n".join(figures) if figures else ""


def _name_refined(run: RunFolder) -> list[str]:
    """Return the volumes with pseudo masks; none while these are being made."""
    return run.names("pseudo_labels") if run.exists("reports", "refine_pixel_labels.json") else []


_PICTURES_NOTE = (
    "Cases from the best to the worst Dice, each on the slice with most tumor in its reference. Seen from the feet: R"
    " is the patient's right, A is front. Only the liver is stored, so the rest is black. Gray spans 200 HU around the"
    " liver's median. White outlines: the segments that the volume's label names."
)

_PREDICTED_DESCRIPTION = "One liver slice three times: CT; Couinaud segments; outlines of prediction and reference"
_TRAIN_DESCRIPTION = (
    "One liver slice four times: CT; Couinaud segments; pseudo mask before and after refinement, with the reference's"
    " outline"
)

_SAMPLE = '<li><svg viewBox="0 0 36 14" aria-hidden="true">{drawing}</svg>{name}</li>'
_LINE = '<path d="M2 7H34" stroke="{color}" stroke-width="2.5" stroke-dasharray="{dashes}"/>'
_AREA = '<rect x="2" y="1" width="32" height="12" fill="{color}" fill-opacity=".35" stroke="{color}"/>'


def _make_legend() -> str:
    """Return what the outlines of the pictures mean."""
    samples = {
        "reference": _LINE.format(color=REFERENCE_COLOR, dashes="none"),
        "prediction of the segmenter": _LINE.format(color=PREDICTION_COLOR, dashes="7 4"),
        "pseudo mask": _AREA.format(color=PREDICTION_COLOR),
    }
    items = "\n".join(_SAMPLE.format(drawing=drawing, name=name) for name, drawing in samples.items())
    return f'<ul class="legend">\n{items}\n</ul>'


def _name_dice(row: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """Return the Dice values that a row has, with their names."""
    return [f"{title} {row[key]:.3f}" for key, title in names.items() if row.get(key) is not None]
