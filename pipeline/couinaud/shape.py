"""The constructor `shape`: eight segments from the liver mask alone.

The liver is brought into a frame of its own in patient axes, where small networks trained on public annotations score
the segments. Planes and levels are fitted to the scores and cut the liver at full resolution; the caudate lobe is where
the interpolated scores have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.arrays import BoolArray
from pipeline.config import CouinaudConfig
from pipeline.couinaud.result import CouinaudMap
from pipeline.geometry import is_cut
from pipeline.volume import Geometry, Volume

if TYPE_CHECKING:
    from pipeline.couinaud.shape_vote import Vote

MINIMUM_CONFIDENCE = 0.8
"""Mean probability of the named segments from which on a map is not doubtful. Of 78 livers held out none fell below;
most with a resected side did."""


def build_shape_map(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Divide a liver by its shape.

    Args:
        volume: Only `liver_mask`, with at least one voxel, and `geometry` are looked at.
        config: Has no setting of this constructor.

    Returns:
        The map, flagged LIVER_CUT if the image ends inside the liver and LOW_CONFIDENCE if the network is unsure.
    """
    from pipeline.couinaud.shape_division import name_segments

    liver, geometry = volume.liver_mask, volume.geometry
    made = vote(liver, geometry)
    labels = name_segments(made, liver, geometry)
    doubts = {"LIVER_CUT": is_cut(liver), "LOW_CONFIDENCE": made.confidence < MINIMUM_CONFIDENCE}
    return CouinaudMap(labels, "shape", tuple(sorted(flag for flag, doubtful in doubts.items() if doubtful)))


def vote(liver_mask: BoolArray, geometry: Geometry) -> Vote:
    """Return what the bundled networks say of a liver.

    Args:
        liver_mask: Shape `geometry.shape`, at least one voxel.
        geometry: Where the voxels lie.
    """
    from pipeline.couinaud.shape_weights import bundled_model

    return bundled_model().vote(liver_mask, geometry)
