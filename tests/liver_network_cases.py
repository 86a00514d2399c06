"""A trained nnU-Net whose answer can be told by hand: voxels of certain HU are liver."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from pipeline.nnunet.model_folder import CHECKPOINT, build_network
from tests.dicom_archive_cases import SHAPE, SPACING_MM

LABELS = {"background": 0, "liver": 1}
_NAME = "3d_fullres"


def write_liver_network(folder: Path, low=80, high=120, labels=LABELS, shift=0) -> Path:
    """Write a model folder as nnU-Net's trainer leaves it.

    Args:
        folder: The folder.
        low: Least HU of the second class.
        high: Largest HU of the second class.
        labels: The classes; the network never finds a third.
        shift: The answer at a voxel is that of the one so many indices further along the network's own x, at most 1.
    """
    resampling = {
        name: "resample_data_or_seg_to_shape" if not name.endswith("kwargs") else {"is_seg": "seg" in name, "order": 1}
        for kind in ("data", "seg", "probabilities")
        for name in (f"resampling_fn_{kind}", f"resampling_fn_{kind}_kwargs")
    }
    arguments = {
        "n_stages": 2, "features_per_stage": [2, 2], "conv_op": "torch.nn.Conv3d", "kernel_sizes": [[1, 1, 3]] * 2,
        "strides": [[1, 1, 1], [1, 2, 2]], "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1],
        "conv_bias": True, "norm_op": None, "norm_op_kwargs": {}, "dropout_op": None, "dropout_op_kwargs": None,
        "nonlin": "torch.nn.ReLU", "nonlin_kwargs": {},
    }  # fmt: skip
    configuration = {
        "data_identifier": "x", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2, "patch_size": list(SHAPE),
        "spacing": list(SPACING_MM), "normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False],
        "batch_dice": False, **resampling,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": arguments, "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }  # fmt: skip
    intensities = {"mean": 0.0, "std": 1.0, "percentile_00_5": -2000.0, "percentile_99_5": 2000.0}
    plans = {
        "dataset_name": "Dataset001_Liver", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "label_manager": "LabelManager",
        "configurations": {_NAME: configuration}, "foreground_intensity_properties_per_channel": {"0": intensities},
    }  # fmt: skip
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    network = build_network(plans, _NAME, dataset)
    _set_weights(network, low, high, shift)
    checkpoint = {"network_weights": network.state_dict(), "init_args": {"configuration": _NAME}, "trainer_name": "x"}
    (folder / "fold_0").mkdir(parents=True)
    torch.save(checkpoint, folder / "fold_0" / CHECKPOINT)
    for name, values in (("plans.json", plans), ("dataset.json", dataset)):
        (folder / name).write_text(json.dumps(values))
    return folder


@torch.no_grad()
def _set_weights(network: torch.nn.Module, low: float, high: float, shift: int) -> None:
    """Make the second output 0.25, less by what a voxel is above `high` or below `low`; the others 0 or less."""
    for parameter in network.parameters():
        parameter.zero_()
    modules = dict(network.named_modules())
    first = modules["encoder.stages.0.0.convs.0.conv"]
    first.weight[:, 0, 0, 0, 1 + shift] = torch.tensor([1.0, -1.0])
    first.bias[:] = torch.tensor([-high, low], dtype=torch.float32)
    second = modules["decoder.stages.0.convs.0.conv"]
    for feature in range(2):
        second.weight[feature, 2 + feature, 0, 0, 1] = 1.0
    last = modules["decoder.seg_layers.0"]
    last.weight[1, :, 0, 0, 0] = -1.0
    last.bias[:] = -1.0
    last.bias[:2] = torch.tensor([0.0, 0.25])
