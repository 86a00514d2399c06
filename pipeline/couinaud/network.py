"""The constructor `network`: a trained nnU-Net finds the segments, by nnU-Net's own predictor.

The CT is cut to the liver's box and a margin, as TotalSegmentator does before its `liver_segments`, and turned to the
orientation of the training images. Mirrored views are never averaged: left and right make the segments.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from functools import lru_cache
from io import StringIO
from pathlib import Path

import numpy as np

from pipeline.arrays import BoolArray, Int16Array, UInt8Array
from pipeline.config import CouinaudConfig
from pipeline.couinaud.completion import complete_map
from pipeline.couinaud.model_folder import SegmentModel, read_model_folder
from pipeline.couinaud.result import CouinaudMap
from pipeline.geometry import liver_box
from pipeline.volume import Volume

MARGIN_MM = 10.0
"""The network sees this much around the liver's box, as far as the image goes."""
_FLIPPED_AXES: dict[str, tuple[int, ...]] = {"LPS": (), "RAS": (1, 2)}
"""Array axes (0 z, 1 y, 2 x) that run the other way in an image of this orientation."""


class SegmentPredictor:
    """A network that is ready to predict.

    Args:
        model: The network, its plans and its classes.
        orientation: Directions of x, y and z of its training images, `RAS` or `LPS`.
        use_gpu: Predict on the GPU.
    """

    def __init__(self, model: SegmentModel, orientation: str, use_gpu: bool) -> None:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        self._axes = _FLIPPED_AXES[orientation]
        self._segments = np.zeros(max(model.segments) + 1, np.uint8)
        self._segments[list(model.segments)] = list(model.segments.values())
        device = torch.device("cuda", 0) if use_gpu else torch.device("cpu")
        plans = PlansManager(model.plans)
        with redirect_stdout(StringIO()):
            self._predictor = nnUNetPredictor(
                use_mirroring=False, perform_everything_on_device=use_gpu, device=device, allow_tqdm=False
            )
        self._predictor.manual_initialization(
            model.network.to(device),
            plans,
            plans.get_configuration(model.configuration),
            model.parameters,
            model.dataset_json,
            "",
            None,
        )

    def predict(self, hu: Int16Array, spacing_mm: tuple[float, float, float]) -> UInt8Array:
        """Return the segment 1..8 of each voxel of a part of a CT, 0 for none.

        Args:
            hu: Hounsfield units in LPS order, shape (z, y, x), not all zero.
            spacing_mm: Voxel spacing along z, y, x.
        """
        turned = np.flip(hu, self._axes).astype(np.float32)
        labels: UInt8Array = np.flip(self._segments[self._predict(turned, spacing_mm)], self._axes)
        return labels

    def _predict(self, image: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
        """Preprocess, predict and resample back, as nnU-Net does for one case; return its labels."""
        import torch
        from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape

        predictor = self._predictor
        plans, configuration = predictor.plans_manager, predictor.configuration_manager
        preprocessor = configuration.preprocessor_class(verbose=False)
        data, _, properties = preprocessor.run_case_npy(
            image[None], None, {"spacing": list(spacing_mm)}, plans, configuration, predictor.dataset_json
        )
        with redirect_stdout(StringIO()), torch.inference_mode():
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data))
        labels: np.ndarray = convert_predicted_logits_to_segmentation_with_correct_shape(
            logits,
            plans,
            configuration,
            predictor.label_manager,
            properties,
            num_threads_torch=torch.get_num_threads(),
        )
        return labels


def build_network_map(volume: Volume, config: CouinaudConfig) -> CouinaudMap:
    """Let the network find the segments; liver voxels that it gives none take the nearest.

    Args:
        volume: A volume with a liver.
        config: Names the model folder, and bounds the share of the liver that the network may leave without a segment.

    Raises:
        CaseError: COUINAUD_INCOMPLETE.
    """
    box = find_surroundings(volume.liver_mask, volume.geometry.spacing_mm)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[box] = load_predictor(config).predict(volume.hu[box], volume.geometry.spacing_mm)
    limit = config.maximum_unlabeled_fraction
    return CouinaudMap(complete_map(labels, volume.liver_mask, volume.geometry.spacing_mm, limit), "network")


def find_surroundings(liver_mask: BoolArray, spacing_mm: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """Return the liver's box, widened by `MARGIN_MM` on every side as far as the image goes."""
    z, y, x = (
        slice(max(0, side.start - margin), min(size, side.stop + margin))
        for side, size, margin in zip(
            liver_box(liver_mask),
            liver_mask.shape,
            (int(np.ceil(MARGIN_MM / spacing)) for spacing in spacing_mm),
            strict=True,
        )
    )
    return z, y, x


def load_predictor(config: CouinaudConfig) -> SegmentPredictor:
    """Return the configured network; a process loads it once."""
    import torch

    torch.set_num_threads(max(1, int(config.cpus_per_worker)))
    return _load(config.network, config.network_orientation, config.use_gpu)


@lru_cache(maxsize=1)
def _load(folder: str, orientation: str, use_gpu: bool) -> SegmentPredictor:
    """Read a model folder and make it ready."""
    return SegmentPredictor(read_model_folder(Path(folder)), orientation, use_gpu)
