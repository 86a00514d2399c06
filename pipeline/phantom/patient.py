"""Drawing a phantom patient: the anatomy, its contrast, its tumors and its place in the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.config import PhantomConfig
from pipeline.phantom.anatomy import Liver, LiverSurvey, draw_liver
from pipeline.phantom.body import Body, draw_body
from pipeline.phantom.shapes import PatientGrid, RandomField, Vector, as_vector
from pipeline.phantom.tumors import Tumor, draw_tumors
from pipeline.phantom.vessels import VesselTrees, draw_vessels

MARGIN_VOXELS = 1.0
"""The liver keeps this far from the rim of the field of view."""
ANATOMY, APPEARANCE, TUMORS = range(3)
"""Last key of the random streams of a case; those of the noise follow."""


@dataclass(frozen=True)
class Appearance:
    """How a patient's liver looks.

    Args:
        parenchyma_hu: Mean of the parenchyma.
        portal_hu: Enhancement of portal vessels over the parenchyma.
        hepatic_hu: Enhancement of hepatic veins over the parenchyma.
        textures: Random fields added to the parenchyma, in HU.
    """

    parenchyma_hu: float
    portal_hu: float
    hepatic_hu: float
    textures: tuple[RandomField, ...]


@dataclass(frozen=True)
class Patient:
    """All that is drawn for one case.

    Args:
        grid: Where the voxels lie in the patient.
        liver: The liver and its segments.
        found: The liver's extent.
        vessels: Its vessels.
        body: What surrounds it.
        appearance: Its gray values.
        tumors: Its tumors; none if healthy.
    """

    grid: PatientGrid
    liver: Liver
    found: LiverSurvey
    vessels: VesselTrees
    body: Body
    appearance: Appearance
    tumors: tuple[Tumor, ...]


def draw_patient(config: PhantomConfig, key: tuple[int, int], healthy: bool) -> Patient:
    """Draw a patient and how they lie in the scanner.

    Args:
        config: The field of view.
        key: Seed and index of the case.
        healthy: Whether the patient is spared tumors.
    """
    rng = np.random.default_rng([*key, ANATOMY])
    liver, found = draw_liver(rng)
    vessels = draw_vessels(rng, liver)
    grid = _place_patient(rng, config, liver, found)
    view = _field_of_view(grid)
    rng = np.random.default_rng([*key, APPEARANCE])
    appearance = _draw_appearance(rng, view)
    portal_hu = appearance.parenchyma_hu + appearance.portal_hu
    hepatic_hu = appearance.parenchyma_hu + appearance.hepatic_hu
    blood = [(liver.vena_cava, hepatic_hu), *((tube, portal_hu) for tube in vessels.trunk)]
    body = draw_body(rng, liver, blood, view)
    rng = np.random.default_rng([*key, TUMORS])
    tumors = () if healthy else draw_tumors(rng, liver, found, vessels, grid)
    return Patient(grid, liver, found, vessels, body, appearance, tumors)


def _place_patient(rng: np.random.Generator, config: PhantomConfig, liver: Liver, found: LiverSurvey) -> PatientGrid:
    """Lay the body into the middle of the field of view, give or take, with the whole liver inside."""
    shape = (config.slices, config.height, config.width)
    spacing = np.array([config.slice_spacing_mm, config.pixel_spacing_mm, config.pixel_spacing_mm])
    extent, margin = spacing * shape, spacing * MARGIN_VOXELS
    low, high = np.array(found.low), np.array(found.high)
    squeeze = np.minimum(1.0, (extent - 2 * margin) / (high - low))
    middle = np.array([0.5 * liver.size_mm[0], *liver.cavity.center[1:]]) + rng.normal(0.0, 6.0, 3)
    offset = np.clip(0.5 * extent - middle * squeeze, margin - low * squeeze, extent - margin - high * squeeze)
    return PatientGrid(shape, as_vector(spacing), as_vector(offset), as_vector(squeeze))


def _field_of_view(grid: PatientGrid) -> tuple[Vector, Vector]:
    """Return the low and high corner of the scan in patient mm."""
    offset, squeeze = np.array(grid.offset_mm), np.array(grid.squeeze)
    extent = np.array(grid.spacing_mm) * grid.shape
    return as_vector(-offset / squeeze), as_vector((extent - offset) / squeeze)


def _draw_appearance(rng: np.random.Generator, view: tuple[Vector, Vector]) -> Appearance:
    """Draw parenchyma of 70 to 140 HU, or 35 to 60 HU in a fatty liver (one in seven), and its contrast."""
    fatty = rng.random() < 1 / 7
    parenchyma = float(rng.uniform(35.0, 60.0) if fatty else np.clip(rng.normal(105.0, 17.0), 70.0, 140.0))
    portal = float(rng.uniform(25.0, 70.0))
    hepatic = max(20.0, portal * float(rng.uniform(0.7, 1.0)))
    fine = RandomField.draw(rng, *view, float(rng.uniform(5.0, 8.0)), float(rng.uniform(3.0, 6.0)))
    coarse = RandomField.draw(rng, *view, 40.0, 4.0)
    return Appearance(parenchyma, portal, hepatic, (fine, coarse))
