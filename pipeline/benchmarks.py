"""What the benchmark job compares, and how it takes the time: best of several interleaved rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.arrays import BoolArray, Int32Array, UInt8Array


def draw_probability(seed: int, slices: int, height: int, width: int) -> tuple[UInt8Array, Int32Array]:
    """Draw probabilities of one deep volume: a disc that drifts from slice to slice, about 7 % of the pixels.

    Returns:
        Stored levels, shape (slices, height, width), and slice indices, shape (slices,).
    """
    rng = np.random.default_rng(seed)
    center = np.cumsum(rng.normal(0, 1, (slices, 2)), axis=0) + np.array([height, width]) / 2
    y, x = np.ogrid[:height, :width]
    radius = 0.15 * np.sqrt(height * width)
    levels = np.empty((slices, height, width), dtype=np.uint8)
    for index, (row, column) in enumerate(center):
        distance = np.hypot(y - row % height, x - column % width)
        levels[index] = np.clip(255 * (1.5 - distance / radius), 0, 255)
    return levels, np.arange(slices, dtype=np.int32)


def refine_plainly(probability: UInt8Array, threshold: float, scale: float) -> BoolArray:
    """PLR as its definition reads, on floating point and slice by slice: what the fast form is measured against."""
    o = probability / 255.0
    m = o >= threshold
    refined = np.empty_like(m)
    for k in range(len(o)):
        neighbors = [m[n] for n in (k - 1, k + 1) if 0 <= n < len(o)]
        refined[k] = o[k] * scale * max((_dice(m[k], other) for other in neighbors), default=0.0) >= threshold
    return refined


def measure(operations: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the best seconds of each operation over interleaved rounds, so that noise hits all alike."""
    best = dict.fromkeys(operations, float("inf"))
    for _ in range(rounds):
        for name, operation in operations.items():
            started = time.perf_counter()
            operation()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def _dice(a: BoolArray, b: BoolArray) -> float:
    """Return the Dice of two masks, 0 if both are empty."""
    total = int(a.sum() + b.sum())
    return 2.0 * int((a & b).sum()) / total if total else 0.0
