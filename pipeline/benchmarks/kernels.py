"""PLR in memory on one core, against a copy of the same bytes and against other ways to write it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.arrays import BoolArray, Int32Array, UInt8Array
from pipeline.benchmarks.cohort import draw_probability
from pipeline.benchmarks.timing import ROUNDS, cache_bytes, take_turns
from pipeline.config import PipelineConfig
from pipeline.pixel_labels import threshold_level
from pipeline.refinement.continuity import best_neighbor_dice, pack_masks
from pipeline.refinement.walk import RefinementWalk

_CACHES = 2
"""The probabilities are so many times larger than the last-level cache."""
_PLAIN_SLICES = 128
"""Slices of the ways that are slow."""


def measure_kernels(config: PipelineConfig) -> dict[str, float | None]:
    """Return microseconds per slice on one core, and ratios of speed.

    `copy` is one `np.copyto` of all probabilities into a buffer that is there, which the C library does past the cache;
    `copy_by_slab` copies slab by slab, as the kernels go through them. `index` thresholds, packs and counts up to
    CI_k; `refine` writes the packed masks before and after PLR as well; `packed` counts masks that are packed already.
    `plain` is the definition, slice by slice on floating point; `dask` is `refine` in `dask.array.map_overlap`, None
    where Dask is not installed.
    """
    probability, index = _fill_memory(config)
    target = np.empty_like(probability)
    words = np.concatenate(
        [pack_masks(part >= threshold_level(config.pixel_labels.threshold)) for part in np.array_split(probability, 64)]
    )
    few, few_index = probability[:_PLAIN_SLICES], index[:_PLAIN_SLICES]
    operations: dict[str, Callable[[], object]] = {
        "copy": lambda: np.copyto(target, probability),
        "copy_by_slab": lambda: _copy_by_slab(target, probability, config.grid.slab_length),
        "index": lambda: _walk(config, probability, index, enabled=False),
        "refine": lambda: _walk(config, probability, index, enabled=True),
        "packed": lambda: best_neighbor_dice(words, index),
        "plain": lambda: refine_plainly(few, config.pixel_labels.threshold, config.pixel_labels.scale),
        "refine_few": lambda: _walk(config, few, few_index, enabled=True),
    }
    dask = _dask_operation(config, few)
    timings = take_turns({**operations, **({"dask": dask} if dask else {})}, ROUNDS)
    figures: dict[str, float | None] = {"slices": len(index), "megabytes": probability.nbytes / 1e6}
    for name in ("copy", "copy_by_slab", "index", "refine", "packed"):
        figures[f"{name}_us_per_slice"] = 1e6 * timings.median(name) / len(index)
    for name in ("index", "refine", "packed"):
        figures[f"{name}_speed_over_copy"] = timings.ratio("copy", name)
        figures[f"{name}_speed_over_copy_by_slab"] = timings.ratio("copy_by_slab", name)
    figures["plain_over_refine"] = timings.ratio("plain", "refine_few")
    figures["dask_over_refine"] = timings.ratio("dask", "refine_few") if dask else None
    return figures


def refine_plainly(probability: UInt8Array, threshold: float, scale: float) -> BoolArray:
    """PLR as its definition reads, on floating point and slice by slice: what the fast form is measured against."""
    o = probability / 255.0
    m = o >= threshold
    refined = np.empty_like(m)
    for k in range(len(o)):
        neighbors = [m[n] for n in (k - 1, k + 1) if 0 <= n < len(o)]
        refined[k] = o[k] * scale * max((_dice(m[k], other) for other in neighbors), default=0.0) >= threshold
    return refined


def _fill_memory(config: PipelineConfig) -> tuple[UInt8Array, Int32Array]:
    """Return probabilities that do not fit into the cache, one volume repeated, and their slice indices."""
    grid = config.grid
    count = max(_PLAIN_SLICES, _CACHES * cache_bytes() // (grid.height * grid.width))
    drawn, _ = draw_probability((config.seed,), _PLAIN_SLICES, grid.height, grid.width)
    probability = np.empty((count, grid.height, grid.width), dtype=np.uint8)
    for start in range(0, count, len(drawn)):
        probability[start : start + len(drawn)] = drawn[: count - start]
    return probability, np.arange(count, dtype=np.int32)


def _copy_by_slab(target: UInt8Array, probability: UInt8Array, length: int) -> None:
    """Copy slab by slab."""
    for start in range(0, len(probability), length):
        np.copyto(target[start : start + length], probability[start : start + length])


def _walk(config: PipelineConfig, probability: UInt8Array, index: Int32Array, *, enabled: bool) -> None:
    """Refine slab by slab, as the flow does, and drop the masks."""
    labels, length = config.pixel_labels, config.grid.slab_length
    walk = RefinementWalk(probability[0].size, labels.threshold, labels.scale, labels.radius, enabled=enabled)
    for start in range(0, len(index), length):
        walk.push(probability[start : start + length], index[start : start + length])
    walk.finish()


def _dask_operation(config: PipelineConfig, probability: UInt8Array) -> Callable[[], object] | None:
    """Return PLR by `map_overlap` on one core, with the same kernel; None without Dask."""
    try:
        import dask.array
    except ModuleNotFoundError:
        return None
    labels, length = config.pixel_labels, config.grid.slab_length

    def refine(block: UInt8Array) -> UInt8Array:
        """Refine one chunk with its halo."""
        walk = RefinementWalk(block[0].size, labels.threshold, labels.scale, labels.radius)
        index = np.arange(len(block), dtype=np.int32)
        parts = [walk.push(np.ascontiguousarray(block), index), walk.finish()]
        masks = np.concatenate([part.refined_mask for part in parts])
        return np.unpackbits(masks, axis=1, count=block[0].size).reshape(block.shape)

    def run() -> object:
        """Refine the volume."""
        chunks = dask.array.from_array(probability, chunks=(length, *probability.shape[1:]))
        overlap = chunks.map_overlap(
            refine, depth={0: labels.radius}, boundary="none", dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)
        )
        return overlap.compute(scheduler="synchronous")

    return run


def _dice(a: BoolArray, b: BoolArray) -> float:
    """Return the Dice of two masks, 0 if both are empty."""
    total = int(a.sum() + b.sum())
    return 2.0 * int((a & b).sum()) / total if total else 0.0
