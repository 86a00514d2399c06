"""What a sweep of tau and c reads and leaves in the run folder: statistics in, surface, best point and settings out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.config import PipelineConfig, PixelLabelConfig, TuneConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow, read_volume_rows
from pipeline.sweep.config_file import replace_settings, to_toml
from pipeline.sweep.picture import draw_surface
from pipeline.sweep.points import PAPER, Evaluated, Surface, pick_best

FOLDER = "tune"


@dataclass(frozen=True)
class Chosen:
    """The points that a sweep of tau and c is about.

    Args:
        best_of: Which of the next two is the better one.
        search: Best point of the search.
        surface: Best point of the surface.
        paper: The paper's point.
    """

    best_of: Literal["search", "surface"]
    search: Evaluated
    surface: Evaluated
    paper: Evaluated

    @property
    def best(self) -> Evaluated:
        """The best point of all."""
        return self.by_name[self.best_of]

    @property
    def by_name(self) -> dict[str, Evaluated]:
        """The points by what they are."""
        return {"search": self.search, "surface": self.surface, "paper": self.paper}


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


def require_continuity(config: PixelLabelConfig) -> None:
    """Refuse to sweep tau and c for masks that are not made by the continuity index.

    Raises:
        RefusedInputError: Saying what to set.
    """
    right = {
        "--pixel-labels.enabled": config.enabled,
        "--pixel-labels.method continuity": config.method == "continuity",
    }
    if not all(right.values()):
        raise RefusedInputError(
            "tau and c are swept for the paper's continuity index, by which these settings do not refine: add"
            f" {' '.join(flag for flag in right if not right[flag])}; the same run folder will do, as predictions do"
            " not depend on it"
        )


def check_window(run: RunFolder, config: PixelLabelConfig) -> None:
    """Refuse a window that the statistics of a run folder do not reach.

    Raises:
        RefusedInputError: Quoting both.
    """
    reach = run.read_json("reports", "sweep_statistics.json")["radius"]
    if config.radius > reach:
        raise RefusedInputError(
            f"pixel_labels.radius is {config.radius}, but the statistics reach {reach}: run sweep_statistics with"
            f" --pixel-labels.radius {config.radius} first"
        )


def choose_points(points: Sequence[Evaluated], surface: Surface, paper: Evaluated, objective: str) -> Chosen:
    """Return the points that a sweep is about.

    Args:
        points: What the search evaluated.
        surface: The exact surface.
        paper: The paper's point.
        objective: Name of the figure to maximize.
    """
    searched, gridded = (pick_best(list(known), objective, PAPER) for known in (points, surface.points()))
    best = pick_best([searched, gridded], objective, PAPER)
    return Chosen("search" if best is searched else "surface", searched, gridded, paper)


def write_refinement_sweep(
    run: RunFolder, config: PipelineConfig, surface: Surface, chosen: Chosen, about: Mapping[str, Any]
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
    marked = {"best": chosen.best, "paper": chosen.paper}
    run.write_bytes(draw_surface(surface, marked), *folder, "surface.png")
    write_best(run, folder, config, chosen.best)
    points = {"best": chosen.best, **chosen.by_name}
    described = {name: point.to_json() for name, point in points.items()}
    run.write_json({**about, "best_of": chosen.best_of, **described}, *folder, "best.json")


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
