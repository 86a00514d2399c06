"""Tumor probability of whole volumes by nnU-Net's predictor, from weights without pickles."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np

from pipeline.arrays import Float32Array
from pipeline.run_folder import RunFolder
from pipeline.segmenter.dataset import NetworkInput
from pipeline.segmenter.stack import stack_channels
from pipeline.segmenter.weights import read_segmenter
from pipeline.slabs import fill_gaps
from pipeline.smoothing import smooth_inside

if TYPE_CHECKING:
    import torch

_TUMOR = 1


def smooth_across_slices(probability: Float32Array, slices: NetworkInput, sigma_mm: float) -> Float32Array:
    """Average the tumor probability along z with Gaussian weights, at each pixel over the slices that are liver there.

    Neither the liver's ends nor gaps between slices thus darken what is beside them.

    Args:
        probability: Of each liver slice, shape (n, H, W).
        slices: The volume.
        sigma_mm: Standard deviation; 0 gives the probability as it is.

    Returns:
        float32, shape (n, H, W), in [0, 1]; zero outside the liver.
    """
    if not sigma_mm:
        return probability
    liver = fill_gaps(slices.liver_mask, slices.slice_index)
    stack = fill_gaps(probability, slices.slice_index) * liver
    smooth = smooth_inside(stack, liver, (sigma_mm / slices.spacing_mm[0], 0.0, 0.0))
    return np.clip(smooth[slices.slice_index - slices.slice_index[0]], 0, 1)


class TumorPredictor:
    """The trained segmenter of a run, loaded once.

    Args:
        run: Run folder with a trained segmenter.
        mirroring: Average over all mirrored views that training drew from.
        device: Where to predict.
    """

    def __init__(self, run: RunFolder, mirroring: bool, device: torch.device) -> None:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        network, description = read_segmenter(run)
        plans = PlansManager(description.plans)
        self._context_slices = description.context_slices
        with redirect_stdout(StringIO()):
            self._predictor = nnUNetPredictor(
                use_mirroring=mirroring,
                perform_everything_on_device=device.type == "cuda",
                device=device,
                allow_tqdm=False,
            )
        self._predictor.manual_initialization(
            network,
            plans,
            plans.get_configuration(description.configuration),
            None,
            description.dataset_json,
            "",
            tuple(description.mirroring_axes),
        )

    def predict(self, slices: NetworkInput) -> Float32Array:
        """Return the tumor probability of each liver slice on the run's grid.

        Args:
            slices: The volume, n >= 1 slices; gaps between them are seen as black slices.

        Returns:
            float32, shape (n, H, W), in [0, 1]; zero outside the liver.
        """
        channels = stack_channels(slices.image, slices.slice_index, self._context_slices)
        probability = np.zeros(channels.shape[1:], np.float32)
        if channels.any():  # nnU-Net crops to the nonzero box, which a black volume does not have
            probability = self._predict_stack(channels, slices.spacing_mm)
        rows = probability[slices.slice_index - slices.slice_index[0]]
        return np.where(slices.liver_mask, rows, np.float32(0)).astype(np.float32)

    def _predict_stack(self, channels: Float32Array, spacing_mm: tuple[float, float, float]) -> Float32Array:
        """Preprocess, predict and resample back a regular stack, as nnU-Net does for one case."""
        import torch
        from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape

        predictor = self._predictor
        plans, configuration = predictor.plans_manager, predictor.configuration_manager
        preprocessor = configuration.preprocessor_class(verbose=False)
        data, _, properties = preprocessor.run_case_npy(
            channels, None, {"spacing": list(spacing_mm)}, plans, configuration, predictor.dataset_json
        )
        with redirect_stdout(StringIO()):
            logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(data)).cpu()
        _, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
            logits,
            plans,
            configuration,
            predictor.label_manager,
            properties,
            return_probabilities=True,
            num_threads_torch=torch.get_num_threads(),
        )
        tumor: Float32Array = probabilities[_TUMOR].astype(np.float32, copy=False)
        return tumor
