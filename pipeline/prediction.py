"""Tumor probabilities of slices, inside the segments that their labels name or in the whole liver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.arrays import BoolArray, Float32Array, Int64Array, UInt8Array
from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.image_labels import select_named_pixels
from pipeline.pixel_labels import quantize_probability
from pipeline.run_folder import RunFolder
from pipeline.training_history import SEGMENTER

if TYPE_CHECKING:
    from pipeline.models.couinaudnet import CouinaudNet

INPUT_SETTINGS = ("spacing_mm", "window_low_hu", "window_high_hu")
"""Settings of the grid that shape what a network sees."""


@dataclass(frozen=True)
class PredictionRegions:
    """Which slices of a pathological volume are predicted, and where.

    Args:
        rows: Rows of the input that are predicted, in order, shape (m,).
        masks: Where, shape (m, H, W).
        named: Whether the slice's label names a segment, shape (m,); False means the whole liver of a slice that ILR
            made healthy.
    """

    rows: Int64Array
    masks: BoolArray
    named: BoolArray


def find_regions(couinaud_map: UInt8Array, refined_label: BoolArray, predict_relabeled: bool) -> PredictionRegions:
    """Find where to look for tumors on the slices of a volume whose label names a segment.

    Args:
        couinaud_map: 0 outside the liver, segments 1..8, shape (n, H, W).
        refined_label: Labels of the slices, shape (n, 8).
        predict_relabeled: Whether slices without a named segment are predicted too, in the whole liver.

    Returns:
        The slices and regions. Where none of the named segments has a pixel on the slice, possible only without ILR,
        the region is the whole liver: every slice keeps the label, so there is a tumor to be found on each.
    """
    named: BoolArray = np.asarray(refined_label.any(axis=1))
    rows = np.flatnonzero(named | predict_relabeled)
    masks = select_named_pixels(couinaud_map[rows], refined_label[rows])
    nowhere = ~masks.any(axis=(1, 2), keepdims=True)
    return PredictionRegions(rows, np.where(nowhere, couinaud_map[rows] > 0, masks), named[rows])


class TumorSpotter:
    """The trained CouinaudNet of a run, loaded once.

    Args:
        run: Run folder with a trained CouinaudNet.
        config: Settings; names the grid and the slices per forward pass.
        device: Where to predict.
    """

    def __init__(self, run: RunFolder, config: PipelineConfig, device: str) -> None:
        from pipeline.models.checkpoint import load_couinaudnet

        model, self._network = load_couinaudnet(run)
        self._model = model.to(device)
        self._config = config
        self._device = device

    @property
    def context_slices(self) -> int:
        """Neighbors c on each side that the networks see."""
        return int(self._network["context_slices"])

    @property
    def chunk_slices(self) -> int:
        """Slices of a volume to hand over at once: about a slab, in whole forward passes."""
        batch_size = self._config.couinaudnet.prediction_batch_size
        return batch_size * max(1, self._config.grid.slab_length // batch_size)

    def predict(
        self, image: UInt8Array, liver_mask: BoolArray, liver_median_hu: Float32Array, regions: BoolArray
    ) -> UInt8Array:
        """Predict slices.

        Args:
            image: Gray values with neighbors, shape (n, 2 c + 1, H, W).
            liver_mask: Same shape.
            liver_median_hu: Median liver HU of each slice's volume, shape (n,).
            regions: Where to look for tumors, shape (n, H, W).

        Returns:
            Levels round(255 * o_k), 0 outside the region, shape (n, H, W).
        """
        from pipeline.models.couinaudnet import prepare_input

        normalization, sigma = self._network["normalization"], self._network["smoothing_sigma_px"]
        images = prepare_input(image, liver_mask, liver_median_hu, self._config.grid, normalization, sigma)
        batch_size = self._config.couinaudnet.prediction_batch_size
        return predict_probability(self._model, images, regions, batch_size, self._device)


def predict_probability(
    model: CouinaudNet, images: Float32Array, masks: BoolArray, batch_size: int, device: str = "cpu"
) -> UInt8Array:
    """Predict o_k, the tumor probability inside a region, as it is stored.

    Always in float32, so that the stored levels do not depend on a machine's kernels of half precision or TF32.

    Args:
        model: In evaluation mode, on the device.
        images: Network input with neighbors, shape (n, 2 c + 1, H, W).
        masks: Regions, shape (n, H, W).
        batch_size: Slices per forward pass.
        device: Where the model is.

    Returns:
        Levels round(255 * o_k), 0 outside the region, shape (n, H, W).
    """
    import torch

    levels = np.zeros(masks.shape, dtype=np.uint8)
    with torch.inference_mode(), _whole_float32():
        for start in range(0, len(images), batch_size):
            chunk = slice(start, start + batch_size)
            image, mask = (
                torch.from_numpy(np.ascontiguousarray(array[chunk], dtype=np.float32)).to(device)
                for array in (images, masks[:, None])
            )
            _, logits = model(image, mask)
            levels[chunk] = quantize_probability(torch.sigmoid(logits)[:, 0].cpu().numpy()) * masks[chunk]
    return levels


def require_same_input(run: RunFolder, config: PipelineConfig, network: str) -> None:
    """Refuse to predict with a network that was trained on other input than the settings make.

    Args:
        run: Run folder with the description of the trained network.
        config: Settings of the prediction.
        network: `couinaudnet` or `segmenter`. The normalization of the former is that of its description.

    Raises:
        RefusedInputError: If spacing, window or normalization differ; both values are quoted.
    """
    described = run.read_json(network, f"{network}.json")
    grid = described.get("grid", {})
    trained = {f"grid.{name}": grid[name] for name in INPUT_SETTINGS if name in grid}
    now = {f"grid.{name}": getattr(config.grid, name) for name in INPUT_SETTINGS}
    if network == SEGMENTER:
        trained["segmenter.normalization"] = described["normalization"]
        now["segmenter.normalization"] = config.segmenter.normalization
    for name, value in trained.items():
        if value != now[name]:
            raise RefusedInputError(f"{run.path(network)} was trained with {name} = {value!r}, now it is {now[name]!r}")


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Keep a GPU's convolutions from rounding to TF32, as they do unless told otherwise; nothing else is changed."""
    from torch.backends import cudnn

    before = cudnn.allow_tf32
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32 = before
