"""tau and c of pixel-level label refinement (PLR). The window's radius is that of the run's statistics."""

from __future__ import annotations

from pipeline.sweep.points import LogUniform, Space, Uniform

SPACE: Space = {
    "pixel_labels.threshold": Uniform(0.05, 0.95, grid=tuple(step / 20 for step in range(1, 20))),
    "pixel_labels.scale": LogUniform(0.5, 20.0, grid=(1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)),
}
"""Threshold and scale. The grid holds the paper's point (0.5, 5)."""
