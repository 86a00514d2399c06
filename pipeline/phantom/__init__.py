"""The phantom cohort: seeded synthetic abdominal CTs with liver, Couinaud segments, vessels and tumors.

It needs nothing on disk, so it is the cohort of the demo, the oracle of the tests and the source of the scale
benchmark. A patient is first drawn, then rendered; both depend on the configuration, the seed and the case alone, never
on the process or on the order in which cases are made.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import pipeline
from pipeline.config import PhantomConfig
from pipeline.phantom.patient import draw_patient
from pipeline.phantom.rendering import render, render_vessels
from pipeline.phantom.tumors import name_segments
from pipeline.volume import Geometry, Volume


@dataclass(frozen=True)
class PhantomCase:
    """One case of the cohort.

    Args:
        volume_id: `phantom_000`, `phantom_001` and so on.
        split: `train`, `validation` or `test`.
        healthy: Without tumors.
    """

    volume_id: str
    split: str
    healthy: bool


def list_phantoms(config: PhantomConfig, seed: int) -> list[PhantomCase]:
    """Return the cohort: training cases with tumors, training cases without, validation, test.

    Args:
        config: How many cases there are of each kind.
        seed: Changes what the cases look like, not which there are.
    """
    kinds = [("train", False, config.train_pathological), ("train", True, config.train_healthy)]
    kinds += [("validation", False, config.validation), ("test", False, config.test)]
    flat = [(split, healthy) for split, healthy, count in kinds for _ in range(count)]
    return [PhantomCase(f"phantom_{index:03d}", split, healthy) for index, (split, healthy) in enumerate(flat)]


def make_phantom(config: PhantomConfig, seed: int, volume_id: str, *, vessels: bool = False) -> Volume:
    """Make one case.

    Args:
        config: Cohort, grid and noise.
        seed: Seed of the cohort, not negative.
        volume_id: One of the ids that `list_phantoms` gives.
        vessels: Whether to give the masks of its hepatic veins and portal vein too.

    Returns:
        A volume in LPS order with HU, liver mask, Couinaud map (1..8 in the whole liver, 0 outside), reference mask
        (all false if healthy), vessels if wanted and the volume-level label. The same arguments give the same voxels.

    Raises:
        ValueError: If the cohort has no such case.
    """
    cases = list_phantoms(config, seed)
    index = next((i for i, case in enumerate(cases) if case.volume_id == volume_id), None)
    if index is None:
        raise ValueError(f"{volume_id!r} is not one of the cohort's {len(cases)} cases phantom_000, phantom_001, ...")
    return render_phantom(config, seed, index, cases[index], vessels=vessels)


def render_phantom(config: PhantomConfig, seed: int, index: int, case: PhantomCase, *, vessels: bool = False) -> Volume:
    """Return a case of any cohort, as `make_phantom` does.

    Args:
        config: Grid and noise.
        seed: Seed of the cohort, not negative.
        index: Number of the case in its cohort, from 0.
        case: Its id, split and health.
        vessels: As `make_phantom`.
    """
    patient = draw_patient(config, (seed, index), case.healthy)
    hu, couinaud_map, tumor_mask = render(patient, config.noise_hu, (seed, index))
    return Volume(
        volume_id=case.volume_id,
        hu=hu,
        liver_mask=couinaud_map > 0,
        geometry=Geometry(patient.grid.shape, patient.grid.spacing_mm),
        image_label=name_segments(tumor_mask, couinaud_map),
        split=case.split,
        reference_mask=tumor_mask,
        couinaud_map=couinaud_map,
        vessels=render_vessels(patient) if vessels else None,
        content_sha256=_hash_case(config, seed, case),
    )


def _hash_case(config: PhantomConfig, seed: int, case: PhantomCase) -> str:
    """Return the SHA-256 of all that the voxels depend on."""
    content = {"phantom": asdict(config), "seed": seed, "case": asdict(case), "version": pipeline.__version__}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
