"""Running a trained nnU-Net on a volume, by nnU-Net's own predictor.

The CT is turned to the orientation of the training images. Mirrored views are never averaged: networks may tell left
from right.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

import numpy as np

from pipeline.arrays import Int16Array, UInt8Array
from pipeline.nnunet.model_folder import TrainedModel

_FLIPPED_AXES: dict[str, tuple[int, ...]] = {"LPS": (), "RAS": (1, 2)}
"""Array axes (0 z, 1 y, 2 x) that run the other way in an image of this orientation."""


class NetworkPredictor:
    """A network that is ready to predict.

    Args:
        model: The network, its plans and its classes.
        orientation: Directions of x, y and z of its training images, `RAS` or `LPS`.
        use_gpu: Predict on the GPU.
        cpus: CPUs that torch may use.
    """

    def __init__(self, model: TrainedModel, orientation: str, use_gpu: bool, cpus: float = 1.0) -> None:
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        torch.set_num_threads(max(1, int(cpus)))
        self._axes = _FLIPPED_AXES[orientation]
        self._classes = np.zeros(2**16, np.uint8)
        self._classes[list(model.classes)] = list(model.classes.values())
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
        """Return the class of each voxel of a CT or a part of it, as the model's `classes` have it; 0 for none.

        Args:
            hu: Hounsfield units in LPS order, shape (z, y, x), not all zero.
            spacing_mm: Voxel spacing along z, y, x.
        """
        turned = np.flip(hu, self._axes).astype(np.float32)
        labels: UInt8Array = np.flip(self._classes[self._predict(turned, spacing_mm)], self._axes)
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
