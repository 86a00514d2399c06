"""What a sweep of tau and c reads and leaves in the run folder: statistics in, surface, best point and settings out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pipeline.config import PipelineConfig, TuneConfig
from pipeline.errors import RefusedInputError
from pipeline.pixel_labels import window_radius
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow, read_volume_rows
from pipeline.sweep.config_file import replace_settings, to_toml
from pipeline.sweep.picture import draw_surface
from pipeline.sweep.points import PAPER, SCALE, THRESHOLD, Evaluated, Surface, measure_surface, pick_best
from pipeline.sweep.statistics import VolumeStatistics
from pipeline.sweep.statistics_table import read_statistics

FOLDER = "tune"


def settle_split(run: RunFolder, config: PipelineConfig) -> PipelineConfig:
    """Return a config whose `tune.split` names the volumes that a sweep measures on.

    `auto` becomes `validation` if a validation volume names a segment, else `train`.
    """
    if config.tune.split != "auto":
        return config
    pathological = any(not row.healthy for row in read_volume_rows(run, "validation"))
    split: Literal["validation", "train"] = "validation" if pathological else "train"
    return dataclasses.replace(config, tune=dataclasses.replace(config.tune, split=split))


def select_volumes(run: RunFolder, config: TuneConfig) -> list[VolumeRow]:
    """Return the volumes that a sweep measures on: those of its split whose label names a segment.

    Raises:
        RefusedInputError: If there is none, or none with a reference mask although the objective needs one.
    """
    rows = [row for row in read_volume_rows(run, config.split) if not row.healthy]
    if not rows:
        other = "train" if config.split == "validation" else "validation"
        raise RefusedInputError(
            f"tune.split {config.split}: no {config.split} volume names a segment; use --tune.split {other}"
        )
    if config.objective != "stability" and not any(row.has_reference for row in rows):
        raise RefusedInputError(
            f"tune.objective {config.objective} needs reference masks, but none of {len(rows)} {config.split} volumes"
            f" has one; use --tune.objective stability"
        )
    return rows


def read_sweep_volumes(run: RunFolder, config: PipelineConfig) -> tuple[list[VolumeStatistics], list[int]]:
    """Read the statistics that a sweep of tau and c measures on.

    Args:
        run: Run folder.
        config: Split, settled, and objective of the sweep, and the window.

    Returns:
        The volumes from `select_volumes`, and the radius of each one's window.

    Raises:
        RefusedInputError: As `select_volumes`, and if the statistics do not reach as far as the window.
    """
    window = config.pixel_labels
    rows = select_volumes(run, config.tune)
    volumes = [read_statistics(run, row) for row in rows]
    reach = min(volume.radius for volume in volumes)
    if window.radius > reach:
        raise RefusedInputError(
            f"pixel_labels.radius is {window.radius}, but the statistics reach {reach}: run sweep_statistics with"
            f" --pixel-labels.radius {window.radius} first"
        )
    return volumes, [window_radius(window, row.spacing_mm[0]) for row in rows]


def choose_points(
    points: Sequence[Evaluated],
    surface: Surface,
    objective: str,
    volumes: Sequence[VolumeStatistics],
    radii: Sequence[int],
) -> dict[str, Evaluated]:
    """Return the points that a sweep is about.

    Args:
        points: What the search evaluated.
        surface: The exact surface.
        objective: Name of the figure to maximize.
        volumes: Statistics of the volumes.
        radii: Radius of each volume's window.

    Returns:
        `best` of the search, `paper`, and `surface`, the best of the surface.
    """
    (paper,) = measure_surface(volumes, [PAPER[THRESHOLD]], [PAPER[SCALE]], radii).points()
    return {
        "best": pick_best(points, objective, PAPER),
        "paper": paper,
        "surface": pick_best(list(surface.points()), objective, PAPER),
    }


def write_refinement_sweep(
    run: RunFolder, config: PipelineConfig, surface: Surface, chosen: Mapping[str, Evaluated], about: Mapping[str, Any]
) -> None:
    """Write `surface.parquet`, `surface.png`, `best.toml` and `best.json` of a sweep of tau and c.

    Args:
        run: Run folder.
        config: Settings that the run folder was made with.
        surface: The surface.
        chosen: Points from `choose_points`.
        about: Further JSON values of `best.json`.
    """
    folder = (FOLDER, "label_refinement")
    run.write_table(surface.to_table(), *folder, "surface.parquet")
    run.write_bytes(draw_surface(surface, {name: chosen[name] for name in ("best", "paper")}), *folder, "surface.png")
    write_best(run, folder, config, chosen["best"])
    run.write_json({**about, **{name: point.to_json() for name, point in chosen.items()}}, *folder, "best.json")


def write_synthesis_sweep(
    run: RunFolder, config: PipelineConfig, points: Sequence[Evaluated], best: Evaluated, about: Mapping[str, Any]
) -> None:
    """Write `points.json`, `best.toml` and `best.json` of a sweep of the synthesis."""
    folder = (FOLDER, "synthesis")
    run.write_json([point.to_json() for point in points], *folder, "points.json")
    write_best(run, folder, config, best)
    run.write_json({**about, "best": best.to_json()}, *folder, "best.json")


def write_best(run: RunFolder, folder: tuple[str, ...], config: PipelineConfig, best: Evaluated) -> None:
    """Write `best.toml`: the run's settings with the chosen values, as `--config` takes them."""
    header = "# Chosen by a sweep: " + ", ".join(f"{name} = {value}" for name, value in best.settings.items())
    text = f"{header}\n{to_toml(replace_settings(config, best.settings))}"
    run.write_bytes(text.encode(), *folder, "best.toml")
