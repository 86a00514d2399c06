"""Which volumes and slices the report shows, and reading them: good, middling and bad cases, not the prettiest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.arrays import BoolArray
from pipeline.config import GridConfig
from pipeline.geometry import to_grid
from pipeline.masks import read_prediction, read_volume_slices
from pipeline.report.overlays import Panel, SlicePicture, draw_panels
from pipeline.run_folder import RunFolder
from pipeline.segment_names import ROMAN
from pipeline.slabs import VolumeRow


@dataclass(frozen=True)
class Example:
    """One slice of one volume with everything that is known about it.

    Args:
        volume: The volume.
        slice_index: The slice, counted from the feet.
        picture: Image and segments.
        masks: `reference`, `pseudo_mask`, `refined_mask`, `prediction`, as far as the run has them; shape (H, W).
        continuity_index: CI_k of the slice, None where it has no pseudo label.
    """

    volume: VolumeRow
    slice_index: int
    picture: SlicePicture
    masks: Mapping[str, BoolArray] = field(default_factory=dict)
    continuity_index: float | None = None


def pick_spread(scores: Mapping[str, float | None], count: int) -> list[str]:
    """Pick ids evenly from the best score to the worst.

    Args:
        scores: Id to score; ids without one are taken only if there are too few others.
        count: How many at most.

    Returns:
        Ids, the best first.

    Example:
        >>> pick_spread({"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.6, "e": None}, 3)
        ['b', 'd', 'a']
    """
    known = sorted(
        (name for name, score in scores.items() if score is not None), key=lambda name: (-(scores[name] or 0), name)
    )
    unknown = sorted(name for name, score in scores.items() if score is None)
    if len(known) <= count:
        return known + unknown[: count - len(known)]
    places = np.linspace(0, len(known) - 1, count).astype(int)
    return [known[place] for place in places]


def load_train_example(run: RunFolder, volume: VolumeRow) -> Example:
    """Read the slice with the most tumor, or the most pseudo tumor where no tumor is known, and its pseudo masks."""
    pseudo = read_volume_slices(run, "pseudo_labels", volume, ["pseudo_mask", "refined_mask", "continuity_index"])
    tables: dict[str, BoolArray] = {name: pseudo[name] for name in ("refined_mask", "pseudo_mask")}
    reference = _read_reference(run, volume)
    row = _find_fullest([*reference.values(), *tables.values()])
    masks = {name: table[row] for name, table in (reference | tables).items()}
    return _read_example(run, volume, row, masks, float(pseudo["continuity_index"][row]))


def load_predicted_example(run: RunFolder, volume: VolumeRow, grid: GridConfig) -> Example:
    """Read the slice with the most tumor, or the most predicted tumor where no tumor is known, and its prediction."""
    native = read_prediction(run, volume)
    index = read_volume_slices(run, "slices", volume, [])["slice_index"]
    reference = _read_reference(run, volume)
    row = _find_fullest([*reference.values(), native[index]])
    plane = native[index[row]][None]
    prediction = to_grid(plane, volume.spacing_mm, volume.crop_start, grid)[0] >= 0.5
    masks = {name: table[row] for name, table in reference.items()}
    return _read_example(run, volume, row, masks | {"prediction": prediction})


def draw_example(example: Example, grid: GridConfig) -> bytes:
    """Draw an example's panels as PNG."""
    reference, masks = example.masks.get("reference"), example.masks
    panels = [Panel("CT"), Panel("Couinaud segments", segments=True)]
    if "pseudo_mask" in masks:
        panels.append(Panel("pseudo mask before refinement", filled=masks["pseudo_mask"], solid=reference))
        panels.append(Panel("pseudo mask after refinement", filled=masks["refined_mask"], solid=reference))
    if "prediction" in masks:
        title = "prediction" if reference is None else "prediction and reference"
        panels.append(Panel(title, dashed=masks["prediction"], solid=reference))
    return draw_panels(example.picture, panels, grid)


def describe_example(example: Example, figures: Sequence[str]) -> str:
    """Return the caption: volume, slice, label, and what was measured."""
    volume = example.volume
    named = ", ".join(name for name, inside in zip(ROMAN, volume.image_label, strict=True) if inside)
    parts = [
        f"{volume.volume_id} ({volume.split}), slice {example.slice_index} of 0..{volume.native_shape[0] - 1},"
        f" {volume.spacing_mm[0]:.3g} mm apart; label: {named or ('healthy' if volume.healthy else 'none')}",
        *figures,
    ]
    if example.continuity_index is not None:
        parts.append(f"continuity index of this slice {example.continuity_index:.2f}")
    return "; ".join(parts)


def _read_reference(run: RunFolder, volume: VolumeRow) -> dict[str, BoolArray]:
    """Return the reference masks of all slices under their name, or nothing."""
    if not volume.has_reference:
        return {}
    return {"reference": read_volume_slices(run, "references/grid", volume, ["reference_mask"])["reference_mask"]}


def _find_fullest(stacks: Sequence[BoolArray]) -> int:
    """Return the row with the largest area in the first stack that has any; the middle row if all are empty."""
    for stack in stacks:
        area = np.count_nonzero(stack.reshape(len(stack), -1), axis=1)
        if area.any():
            return int(area.argmax())
    return len(stacks[0]) // 2


def _read_example(
    run: RunFolder, volume: VolumeRow, row: int, masks: Mapping[str, BoolArray], continuity_index: float | None = None
) -> Example:
    """Read image and segments of one row."""
    columns = read_volume_slices(run, "slices", volume, ["image", "couinaud_map"])
    picture = SlicePicture(
        columns["image"][row], columns["couinaud_map"][row], volume.label_array(), volume.liver_median_hu
    )
    return Example(volume, int(columns["slice_index"][row]), picture, masks, continuity_index)
