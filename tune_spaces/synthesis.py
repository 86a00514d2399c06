"""ILR's minimum area, and the synthesis that CouinaudNet is trained with. A point is a training: take few, short ones.

Settings without grid values stay as they are in a grid search.
"""

from __future__ import annotations

from pipeline.sweep.points import Choice, LogUniform, Space, Uniform

SPACE: Space = {
    "image_labels.minimum_area_mm2": LogUniform(5.0, 500.0, grid=(5.0, 50.0, 300.0)),
    "synthesis.style": Choice(("superpixel", "textured")),
    "synthesis.healthy_fraction": Uniform(0.0, 0.6),
    "synthesis.minimum_radius_mm": LogUniform(2.0, 8.0),
    "synthesis.maximum_radius_mm": LogUniform(15.0, 60.0),
    "couinaudnet.positive_weight": LogUniform(0.5, 8.0),
}
"""Which slices count as healthy, and what tumors look like."""
