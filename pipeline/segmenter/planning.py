"""nnU-Net's fingerprint, plans and preprocessing, case by case, so that Ray can spread the cases over a cluster.

The arithmetic is nnU-Net's own. Only its process pools are left out: they would hide from the scheduler, and each of
their processes imports torch anew. Differences from nnU-Net's defaults are few and stand in `plan`.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.arrays import Float64Array
from pipeline.config import SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.segmenter.folders import DATASET_NAME, SegmenterFolders

CONFIGURATION = "configured"
"""Our configuration in nnU-Net's plans: it inherits from the planned `2d` or `3d_fullres` and overrides parts of it."""
PLANS_FILE = "nnUNetPlans.json"
_INTENSITIES_PER_CASE = 1000
_MINIMUM_STAGES = 3
_MINIMUM_FEATURE_MAP = 4
_MAXIMUM_FEATURES = {2: 512, 3: 320}
"""nnU-Net's bound on the features of a stage, by dimension."""
_PERCENTILES = (0.5, 50.0, 99.5)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def write_json(value: Any, path: Path) -> None:
    """Write a JSON file by rename, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp-{uuid.uuid4().hex}")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(temporary, path)


def extract_fingerprint(folders: SegmenterFolders, case_id: str, context_slices: int = 0) -> dict[str, Any]:
    """Return one case's share of nnU-Net's data set fingerprint, as plain JSON values.

    Args:
        folders: Holds the case's files.
        case_id: The case.
        context_slices: Neighbors on each side among the channels.

    Returns:
        `shape` (voxels of the nonzero box), `spacing` (mm), `relative_size` (box by volume) and `intensities` (of each
        channel a sample of the tumor voxels, empty for a healthy volume).
    """
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    images = [str(folders.image(case_id, channel)) for channel in range(2 * context_slices + 1)]
    shape, spacing, intensities, _, relative_size = DatasetFingerprintExtractor.analyze_case(
        images, str(folders.label(case_id)), SimpleITKIO, _INTENSITIES_PER_CASE
    )
    return {
        "shape": [int(size) for size in shape],
        "spacing": [float(step) for step in spacing],
        "relative_size": float(relative_size),
        "intensities": [[float(value) for value in values] for values in intensities],
    }


def merge_fingerprints(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return nnU-Net's data set fingerprint, as `DatasetFingerprintExtractor.run` would.

    Args:
        cases: What `extract_fingerprint` gave for each case.

    Raises:
        RefusedInputError: If no case has a tumor voxel: there is nothing to learn.
    """
    channels = [np.concatenate(samples) for samples in zip(*(case["intensities"] for case in cases), strict=True)]
    if not len(channels[0]):
        raise RefusedInputError(f"segmenter: none of {len(cases)} training cases has a pixel in its label")
    return {
        "spacings": [case["spacing"] for case in cases],
        "shapes_after_crop": [case["shape"] for case in cases],
        "foreground_intensity_properties_per_channel": {
            str(channel): _describe(intensities) for channel, intensities in enumerate(channels)
        },
        "median_relative_size_after_cropping": float(np.median([case["relative_size"] for case in cases])),
    }


def _describe(values: Float64Array) -> dict[str, float]:
    """Return the statistics that nnU-Net keeps of the foreground's intensities."""
    low, median, high = np.percentile(values, _PERCENTILES)
    statistics = {
        "mean": values.mean(),
        "median": median,
        "std": values.std(),
        "min": values.min(),
        "max": values.max(),
        "percentile_99_5": high,
        "percentile_00_5": low,
    }
    return {name: float(value) for name, value in statistics.items()}


def plan(folders: SegmenterFolders, cases: Sequence[dict[str, Any]], config: SegmenterConfig) -> dict[str, Any]:
    """Let nnU-Net plan the experiment, add our configuration, and write the plans.

    Two differences from the defaults: axes are not transposed (nnU-Net puts the widest spacing first, and with slices
    thinner than the grid's pixels its 2d network would see sagittal images), and `2d` runs plan no low resolution.

    Args:
        folders: Holds the raw data set with its `dataset.json`; run inside `nnunet_session`.
        cases: What `extract_fingerprint` gave for each case.
        config: Overrides of the plan.

    Returns:
        The plans, with our configuration as `CONFIGURATION`.

    Raises:
        RefusedInputError: If the overrides do not fit together, or there is no tumor.
    """
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner

    write_json(merge_fingerprints(cases), folders.preprocessed / "dataset_fingerprint.json")
    planner = ExperimentPlanner(DATASET_NAME, config.gpu_memory_target_gb, suppress_transpose=True)
    if config.configuration == "2d":
        planner.lowres_creation_threshold = 0.0
    plans: dict[str, Any] = planner.plan_experiment()
    if config.configuration not in plans["configurations"]:
        raise RefusedInputError(
            f"segmenter.configuration: {config.configuration} does not fit volumes of one slice;"
            f" nnU-Net planned {sorted(plans['configurations'])}"
        )
    plans["configurations"][CONFIGURATION] = override(plans["configurations"][config.configuration], config)
    write_json(plans, folders.preprocessed / PLANS_FILE)
    return plans


def override(planned: dict[str, Any], config: SegmenterConfig) -> dict[str, Any]:
    """Return a configuration that inherits from the planned one, with the overrides of the settings.

    Strides and kernels of another patch size come from nnU-Net's own rule, so that patch, stages and features fit.

    Args:
        planned: nnU-Net's `2d` or `3d_fullres` configuration.
        config: Overrides; 0 keeps what nnU-Net planned.

    Raises:
        RefusedInputError: If the patch cannot be halved often enough for the number of stages, or there are more
            workers than slices or patches in a batch.
    """
    patch = [int(size) for size in planned["patch_size"]]
    if config.patch_size:
        patch[-2:] = [config.patch_size, config.patch_size]
    strides, kernels, patch = _topology(planned["spacing"], patch, config.stages)
    architecture = deepcopy(planned["architecture"])
    kwargs = architecture["arch_kwargs"]
    base = config.base_features or kwargs["features_per_stage"][0]
    most = 16 * config.base_features or _MAXIMUM_FEATURES[len(patch)]
    stages = len(strides)
    kwargs.update(
        n_stages=stages,
        strides=strides,
        kernel_sizes=kernels,
        features_per_stage=[min(most, base * 2**stage) for stage in range(stages)],
        n_conv_per_stage=[2] * stages,
        n_conv_per_stage_decoder=[2] * (stages - 1),
    )
    batch_size = config.batch_size or planned["batch_size"]
    if batch_size % config.num_workers:
        raise RefusedInputError(
            f"segmenter.num_workers: {config.num_workers} cannot share a batch of {batch_size} equally"
        )
    return {
        "inherits_from": config.configuration,
        "batch_size": batch_size,
        "patch_size": patch,
        "architecture": architecture,
    }


def _topology(
    spacing: Sequence[float], patch: Sequence[int], stages: int
) -> tuple[list[list[int]], list[list[int]], list[int]]:
    """Return strides and kernel sizes per stage, and the patch rounded up so that every stride divides it."""
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props, pad_shape

    _, strides, kernels, _, _ = get_pool_and_conv_props(spacing, patch, _MINIMUM_FEATURE_MAP, 999999)
    count = stages or len(strides)
    if not _MINIMUM_STAGES <= count <= len(strides):
        raise RefusedInputError(
            f"segmenter.stages: a patch of {'x'.join(map(str, patch))} pixels allows"
            f" {_MINIMUM_STAGES}..{len(strides)} stages, got {count}"
        )
    strides = [list(stride) for stride in strides[:count]]
    kernels = [list(kernel) for kernel in kernels[:count]]
    return strides, kernels, [int(size) for size in pad_shape(patch, np.prod(strides, axis=0))]


def preprocess_case(folders: SegmenterFolders, case_id: str) -> None:
    """Preprocess one case as nnU-Net does, and move its three files into place, the properties last.

    A case that is there already is left alone.
    """
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(read_json(folders.preprocessed / PLANS_FILE))
    configuration = plans.get_configuration(CONFIGURATION)
    target = folders.preprocessed / configuration.data_identifier
    if (target / f"{case_id}.pkl").exists():
        return
    dataset_json = read_json(folders.preprocessed / "dataset.json")
    pending = folders.root / f"pending-{uuid.uuid4().hex}"
    pending.mkdir(parents=True)
    target.mkdir(parents=True, exist_ok=True)
    configuration.preprocessor_class(verbose=False).run_case_save(
        str(pending / case_id),
        [str(folders.image(case_id, channel)) for channel in range(len(dataset_json["channel_names"]))],
        str(folders.label(case_id)),
        plans,
        configuration,
        dataset_json,
    )
    for name in (f"{case_id}.b2nd", f"{case_id}_seg.b2nd", f"{case_id}.pkl"):
        os.replace(pending / name, target / name)
    shutil.rmtree(pending)
