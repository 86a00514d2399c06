"""What is done with the segmenter's probability before the threshold: CouinaudNet's opinion, dark tissue, smoothing.

The two networks fail in different ways. CouinaudNet has seen synthetic tumors of all kinds but no real one: it misses
little and finds too much. The segmenter has seen the real tumors that the pseudo masks hold, and misses other kinds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.arrays import BoolArray, Float32Array
from pipeline.config import PipelineConfig, SegmenterConfig
from pipeline.intensity import gray_to_hu
from pipeline.labeled_slices import stack_neighbors
from pipeline.masks import read_volume_slices
from pipeline.prediction import predict_probability
from pipeline.run_folder import RunFolder
from pipeline.segmenter.dataset import NetworkInput
from pipeline.segmenter.prediction import smooth_across_slices
from pipeline.slabs import VolumeRow

if TYPE_CHECKING:
    import torch


class WholeLiverSpotter:
    """The trained CouinaudNet of a run, loaded once, looking for tumors in the whole liver.

    Args:
        run: Run folder with a trained CouinaudNet.
        config: Settings; names the grid and the slices per forward pass.
        device: Where to predict.
    """

    def __init__(self, run: RunFolder, config: PipelineConfig, device: torch.device) -> None:
        from pipeline.models.checkpoint import load_couinaudnet

        model, self._network = load_couinaudnet(run)
        self._model = model.to(device)
        self._run = run
        self._config = config
        self._device = device

    def predict(self, volume: VolumeRow) -> Float32Array:
        """Return the tumor probability of each liver slice of a volume, shape (n, H, W); zero outside the liver."""
        from pipeline.models.couinaudnet import prepare_input

        rows = read_volume_slices(self._run, "slices", volume, ["image", "couinaud_map"])
        index, context = rows["slice_index"], self._network["context_slices"]
        image, couinaud_map = (stack_neighbors(rows[name], index, index, context) for name in ("image", "couinaud_map"))
        images = prepare_input(
            image,
            couinaud_map > 0,
            np.full(len(index), volume.liver_median_hu, np.float32),
            self._config.grid,
            self._network["normalization"],
            self._network["smoothing_sigma_px"],
        )
        batch_size = self._config.couinaudnet.prediction_batch_size
        levels = predict_probability(self._model, images, rows["couinaud_map"] > 0, batch_size, self._device.type)
        return (levels / 255).astype(np.float32)


def find_dark(run: RunFolder, volume: VolumeRow, config: PipelineConfig) -> BoolArray:
    """Return what is darker than the liver's median by more than the settings allow for a tumor, shape (n, H, W)."""
    rows = read_volume_slices(run, "slices", volume, ["image"])
    hu = gray_to_hu(rows["image"], config.grid.window_low_hu, config.grid.window_high_hu)
    dark: BoolArray = hu - np.float32(volume.liver_median_hu) < config.segmenter.minimum_relative_hu
    return dark


def weigh_opinions(
    segmented: Float32Array,
    spotted: Float32Array | None,
    dark: BoolArray,
    slices: NetworkInput,
    config: SegmenterConfig,
) -> Float32Array:
    """Return the tumor probability that is thresholded.

    Args:
        segmented: The segmenter's, shape (n, H, W).
        spotted: CouinaudNet's, same shape; None without one.
        dark: Where there is no tumor, same shape.
        slices: The volume.
        config: `couinaudnet_share` of the mean, and `smoothing_mm`.

    Returns:
        float32, shape (n, H, W).
    """
    share = np.float32(config.couinaudnet_share)
    mean = segmented if spotted is None else (1 - share) * segmented + share * spotted
    return smooth_across_slices(np.where(dark, np.float32(0), mean), slices, config.smoothing_mm)
