"""The volume and the figures of the Couinaud benchmark: what a constructor costs on one core."""

from __future__ import annotations

import io
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.benchmarks.refinement import Figures
from pipeline.config import PhantomConfig
from pipeline.phantom import make_phantom
from pipeline.run_folder import RunFolder
from pipeline.volume import Geometry, Vessels, Volume

SIZE = PhantomConfig(
    train_pathological=1,
    train_healthy=0,
    test=0,
    slices=200,
    height=512,
    width=512,
    slice_spacing_mm=1.0,
    pixel_spacing_mm=0.75,
)
"""The phantom that is divided: 512 x 512 x 200 voxels."""
METHODS = ("shape", "planes")
WORKERS = (1, 2)
VOLUMES = 4
"""Volumes per method and number of workers."""
_FOLDER, _MARK = "benchmark_couinaud", "volume.json"
_MASKS = ("liver_mask", "hepatic", "portal")

TARGETS = {
    "shape, seconds per volume": ("shape.seconds_per_volume", "<=", 2.0),
    "shape, MB beside the volume": ("shape.beside_volume_mb", "<=", 1024.0),
    "planes, seconds per volume": ("planes.seconds_per_volume", "<=", 20.0),
}
"""What to reach: figure, relation and bound."""


def write_benchmark_volume(run: RunFolder, seed: int) -> None:
    """Render the volume into the run folder, unless it is there."""
    size: dict[str, Any] = {"seed": seed, "phantom": asdict(SIZE)}
    if run.exists(_FOLDER, _MARK) and run.read_json(_FOLDER, _MARK) == size:
        return
    volume = make_phantom(SIZE, seed, "phantom_000", vessels=True)
    assert volume.vessels is not None, "phantoms have vessels"
    buffer = io.BytesIO()
    masks = {"liver_mask": volume.liver_mask, **vars(volume.vessels)}
    packed: dict[str, Any] = {name: np.packbits(masks[name]) for name in _MASKS}
    np.savez(buffer, hu=volume.hu, spacing_mm=volume.geometry.spacing_mm, **packed)
    run.write_bytes(buffer.getvalue(), _FOLDER, "volume.npz")
    run.write_json(size, _FOLDER, _MARK)


def read_benchmark_volume(run: RunFolder) -> Volume:
    """Return the volume that `write_benchmark_volume` wrote, without its Couinaud map."""
    with np.load(io.BytesIO(run.read_bytes(_FOLDER, "volume.npz")), allow_pickle=False) as values:
        hu, (z, y, x) = values["hu"], values["spacing_mm"].tolist()
        liver, hepatic, portal = (
            np.unpackbits(values[name], count=hu.size).astype(bool).reshape(hu.shape) for name in _MASKS
        )
    geometry = Geometry(hu.shape, (z, y, x))
    return Volume("phantom_000", hu, liver, geometry, np.zeros(8, bool), vessels=Vessels(hepatic, portal))


def summarize(rows: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]], seconds: Mapping[Any, float]) -> Any:
    """Return the figures of each method.

    Args:
        rows: Method and number of workers to what the workers measured of each volume.
        seconds: The same to the seconds of the whole flow.
    """
    return {method: _summarize(method, rows, seconds) for method in METHODS}


def _summarize(
    method: str, rows: Mapping[tuple[str, int], Sequence[Mapping[str, Any]]], seconds: Mapping[Any, float]
) -> Figures:
    """Return the figures of one method: medians over the volumes of one worker, and throughputs of the flows."""
    alone = rows[method, 1]
    pace = {workers: 60 * len(rows[method, workers]) / seconds[method, workers] for workers in WORKERS}
    return {
        "seconds_per_volume": statistics.median(row["seconds"] for row in alone),
        "beside_volume_mb": statistics.median(row["peak_mb"] - row["start_mb"] for row in alone),
        "worker_peak_mb": max(row["peak_mb"] for row in alone),
        **{f"volumes_per_minute_{workers}_workers": value for workers, value in pace.items()},
        "speedup_of_2_workers": pace[2] / pace[1],
    }
