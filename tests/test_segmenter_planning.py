"""Fingerprint and plans: nnU-Net's own where nothing is said, consistent networks where something is."""

import os
import sys

import numpy as np
import pytest
import torch

from pipeline.config import SegmenterConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.segmenter.cases import TrainingCase
from pipeline.segmenter.dataset import describe_dataset, export_case
from pipeline.segmenter.folders import SegmenterFolders, nnunet_session
from pipeline.segmenter.planning import (
    CONFIGURATION,
    extract_fingerprint,
    merge_fingerprints,
    override,
    plan,
    preprocess_case,
    read_json,
    write_json,
)
from pipeline.segmenter.weights import SegmenterDescription, build_network
from tests.segmenter_cases import tiny_config, write_case

RAW, RESULTS = "nnUNet_raw", "nnUNet_results"
CASES = ("healthy", "sick")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two exported cases."""
    run = RunFolder(str(tmp_path_factory.mktemp("run")))
    for name in CASES:
        volume, _, _ = write_case(run, name, healthy=name == "healthy")
        export_case(run, TrainingCase(volume), tiny_config(run.root))
    folders = SegmenterFolders.of(run)
    write_json(describe_dataset(CASES), folders.raw / "dataset.json")
    return folders


@pytest.fixture(scope="module")
def fingerprints(folders):
    return [extract_fingerprint(folders, name) for name in CASES]


def make_plans(folders, fingerprints, **settings):
    with nnunet_session(folders):
        return plan(folders, fingerprints, SegmenterConfig(**settings))


def planned(dimensions):
    """A configuration as nnU-Net plans it."""
    spacing, patch = ([2.0, 2.0], (128, 160)) if dimensions == 2 else ([5.0, 2.0, 2.0], (24, 128, 160))
    norm = f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d"
    kwargs = {
        "features_per_stage": (32, 64, 128, 256, 320, 320),
        "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
        "conv_bias": True,
        "norm_op": norm,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": kwargs,
        "_kw_requires_import": ("conv_op", "norm_op", "dropout_op", "nonlin"),
    }
    return {"spacing": spacing, "patch_size": patch, "batch_size": 12, "architecture": architecture}


@pytest.mark.parametrize(
    ("dimensions", "settings"),
    [
        (2, {}),
        (2, {"base_features": 4, "stages": 3}),
        (2, {"base_features": 4, "patch_size": 72}),
        (3, {"configuration": "3d_fullres", "base_features": 2, "stages": 4, "patch_size": 40}),
    ],
)
def test_network_of_the_overrides_runs(dimensions, settings):
    configuration = override(planned(dimensions), SegmenterConfig(**settings))
    plans = {"configurations": {"2d": {}, "3d_fullres": {}, CONFIGURATION: configuration}}
    dataset = {"channel_names": {"0": "noNorm"}, "labels": {"background": 0, "tumor": 1}}
    network = build_network(SegmenterDescription(plans, dataset, CONFIGURATION, [], "window", {}, 1, 0))
    patch = configuration["patch_size"]
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, *patch)).shape == (1, 2, *patch)


def test_overrides_reach_the_configuration():
    settings = SegmenterConfig(batch_size=3, patch_size=64, base_features=8, stages=4)
    configuration = override(planned(2), settings)
    assert (configuration["batch_size"], configuration["patch_size"]) == (3, [64, 64])
    assert configuration["architecture"]["arch_kwargs"]["features_per_stage"] == [8, 16, 32, 64]


def test_patch_grows_to_what_the_strides_divide():
    assert override(planned(2), SegmenterConfig(patch_size=70, stages=4))["patch_size"] == [72, 72]


def test_features_grow_at_most_sixteenfold():
    kwargs = override(planned(2), SegmenterConfig(base_features=2))["architecture"]["arch_kwargs"]
    assert kwargs["features_per_stage"] == [2, 4, 8, 16, 32, 32]


def test_more_stages_than_the_patch_allows_are_refused():
    with pytest.raises(RefusedInputError, match=r"32x32 pixels allows 3\.\.4 stages, got 6"):
        override(planned(2), SegmenterConfig(patch_size=32, stages=6))


@pytest.mark.parametrize(("batch_size", "workers"), [(2, 4), (5, 2)])
def test_workers_that_cannot_share_a_batch_equally_are_refused(batch_size, workers):
    with pytest.raises(RefusedInputError, match=f"{workers} cannot share a batch of {batch_size} equally"):
        override(planned(2), SegmenterConfig(batch_size=batch_size, num_workers=workers))


def test_fingerprint_is_nnunets(folders, fingerprints):
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

    with nnunet_session(folders):
        extractor = DatasetFingerprintExtractor(folders.raw.name, num_processes=1)
        extractor.show_progress_bar = False
        extractor.num_foreground_voxels_for_intensitystats = 1000 * len(CASES)
        extractor.run(overwrite_existing=True)
    expected = read_json(folders.preprocessed / "dataset_fingerprint.json")
    merged = merge_fingerprints(fingerprints)
    statistics = merged.pop("foreground_intensity_properties_per_channel")["0"]
    assert statistics == pytest.approx(expected.pop("foreground_intensity_properties_per_channel")["0"], rel=1e-6)
    assert merged == expected


def test_nothing_to_learn_is_refused():
    case = {"shape": [6, 27, 27], "spacing": [5.0, 1.0, 1.0], "relative_size": 0.5, "intensities": [[]]}
    with pytest.raises(RefusedInputError, match="none of 2 training cases"):
        merge_fingerprints([case, case])


def test_settings_of_zero_keep_nnunets_plan(folders, fingerprints):
    plans = make_plans(folders, fingerprints)
    ours, theirs = plans["configurations"][CONFIGURATION], plans["configurations"]["2d"]
    assert ours["inherits_from"] == "2d"
    assert ours["batch_size"] == theirs["batch_size"]
    assert tuple(ours["patch_size"]) == tuple(theirs["patch_size"])
    for key, value in theirs["architecture"]["arch_kwargs"].items():
        np.testing.assert_array_equal(ours["architecture"]["arch_kwargs"][key], value, err_msg=key)


def test_slices_stay_axial_when_they_are_thinner_than_the_grids_pixels(folders, fingerprints):
    thin = [{**case, "spacing": [0.5, 1.0, 1.0]} for case in fingerprints]
    plans = make_plans(folders, thin)
    assert plans["transpose_forward"] == [0, 1, 2]
    assert plans["configurations"]["2d"]["spacing"] == [1.0, 1.0]


def test_session_leaves_the_environment_as_it_was(folders, monkeypatch, capsys):
    monkeypatch.setenv(RAW, "before")
    monkeypatch.delenv(RESULTS, raising=False)
    with nnunet_session(folders):
        sys.stdout.write("chatter")
        assert os.environ[RAW] == str(folders.raw.parent)
    assert os.environ[RAW] == "before"
    assert RESULTS not in os.environ
    assert capsys.readouterr().out == ""
    assert "chatter" in (folders.root / "nnunet.log").read_text()


def test_preprocessing_twice_leaves_three_files_per_case(folders, fingerprints):
    make_plans(folders, fingerprints, base_features=4)
    with nnunet_session(folders):
        for name in (*CASES, *CASES):
            preprocess_case(folders, name)
    names = sorted(path.name for path in (folders.preprocessed / "nnUNetPlans_2d").iterdir())
    assert names == [f"{case}{end}" for case in CASES for end in (".b2nd", ".pkl", "_seg.b2nd")]
    assert not list(folders.root.glob("pending-*"))
