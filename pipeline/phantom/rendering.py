"""Rendering a phantom patient: HU, Couinaud map and tumor mask, a few slices at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import BoolArray, Int16Array, UInt8Array
from pipeline.phantom.patient import Patient
from pipeline.phantom.shapes import FloatArray, Points, Tube, coverage, window
from pipeline.volume import Vessels

SLAB_SLICES = 8
"""Slices that are rendered at once: the only floating-point images in memory."""
NOISE = 3
"""Key of the noise stream of a case; those of `pipeline.phantom.patient` are smaller."""
NOISE_TAP = 0.3
"""Weight of the neighbor pixels in the noise, relative to the pixel itself: a soft reconstruction kernel."""
DISPLACEMENT = 0.85
"""Share of a vessel's enhancement that a tumor takes away."""


def render(patient: Patient, noise_hu: float, key: tuple[int, int]) -> tuple[Int16Array, UInt8Array, BoolArray]:
    """Render a patient on the patient's grid.

    Args:
        patient: What to render.
        noise_hu: Standard deviation of the scanner's noise.
        key: Seed and index of the case.

    Returns:
        HU, Couinaud map (0 outside of the liver) and tumor mask, each of the shape of the grid.
    """
    shape = patient.grid.shape
    hu, couinaud_map, tumor_mask = np.empty(shape, np.int16), np.zeros(shape, np.uint8), np.zeros(shape, np.bool_)
    for start in range(0, shape[0], SLAB_SLICES):
        slab = slice(start, min(start + SLAB_SLICES, shape[0]))
        points = patient.grid.axes(slab.start, slab.stop)
        image = patient.body.render(points, patient.grid.edge_mm)
        place, inner = window(points, patient.found.low, patient.found.high)
        if image[place].size:
            _render_liver(patient, inner, image[place], couinaud_map[slab][place], tumor_mask[slab][place])
        image += _draw_noise(np.random.default_rng([*key, NOISE, start]), image.shape, noise_hu)
        hu[slab] = np.clip(np.rint(image), -1024, 3071)
    return hu, couinaud_map, tumor_mask


def render_vessels(patient: Patient) -> Vessels:
    """Render the vessels in the liver's box as masks: voxels that a vessel fills at least by half.

    The hepatic veins come with the vena cava that they run to. Vessels are drawn whole, also where a tumor displaces
    them.

    Args:
        patient: Whose vessels.
    """
    trees = {"hepatic": (*patient.vessels.hepatic, patient.liver.vena_cava), "portal": patient.vessels.portal}
    masks = {name: np.zeros(patient.grid.shape, np.bool_) for name in trees}
    for start in range(0, patient.grid.shape[0], SLAB_SLICES):
        slab = slice(start, min(start + SLAB_SLICES, patient.grid.shape[0]))
        place, inner = window(patient.grid.axes(slab.start, slab.stop), patient.found.low, patient.found.high)
        for name, tubes in trees.items():
            part = masks[name][slab][place]
            part[...] = _cover_tubes(tubes, inner, part.shape, patient.grid.edge_mm) >= 0.5
    return Vessels(**masks)


def _render_liver(
    patient: Patient, points: Points, image: NDArray[np.float32], couinaud_map: UInt8Array, tumor_mask: BoolArray
) -> None:
    """Blend the liver into views of image, map and mask that cover its box."""
    liver, look, edge_mm = patient.liver, patient.appearance, patient.grid.edge_mm
    depth = liver.depth(points)
    liver_mask = depth > 0
    couinaud_map[...] = np.where(liver_mask, liver.scheme.segment(points), 0)
    portal = _cover_tubes(patient.vessels.portal, points, depth.shape, edge_mm)
    hepatic = _cover_tubes(patient.vessels.hepatic, points, depth.shape, edge_mm)
    enhancement = np.maximum(look.portal_hu * portal, look.hepatic_hu * hepatic)
    tissue = np.full(depth.shape, look.parenchyma_hu, np.float32)
    for texture in look.textures:
        tissue += texture.at(points)
    for tumor in patient.tumors:
        place, inner = window(points, *tumor.box(0.0))
        if not tissue[place].size:
            continue
        share, contrast = tumor.render(inner)
        enhancement[place] *= 1.0 - DISPLACEMENT * share
        tissue[place] += contrast
        tumor_mask[place] |= (share > 0.5) & liver_mask[place]
    image += coverage(depth, edge_mm) * (tissue + enhancement - image)


def _cover_tubes(tubes: Sequence[Tube], points: Points, shape: tuple[int, ...], edge_mm: float) -> FloatArray:
    """Return the share of each voxel that a union of tubes fills, float32."""
    share = np.zeros(shape, np.float32)
    for tube in tubes:
        place, inner = window(points, *tube.box(edge_mm))
        if share[place].size:
            np.maximum(share[place], coverage(tube.depth(inner), edge_mm), out=share[place])
    return share


def _draw_noise(rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> NDArray[np.float32]:
    """Draw noise of this standard deviation that is correlated between neighboring pixels of a slice."""
    wide = (shape[0], shape[1] + 2, shape[2] + 2)
    noise = rng.standard_normal(wide, np.float32)
    noise = noise[:, 1:-1] + NOISE_TAP * (noise[:, :-2] + noise[:, 2:])
    noise = noise[:, :, 1:-1] + NOISE_TAP * (noise[:, :, :-2] + noise[:, :, 2:])
    result: NDArray[np.float32] = noise * np.float32(deviation / (1 + 2 * NOISE_TAP**2))
    return result
