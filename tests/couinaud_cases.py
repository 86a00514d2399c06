"""Volumes for the Couinaud flow: small phantoms as an archive, and a tiny segmentation network trained on them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from pipeline.config import GridConfig, PhantomConfig, PipelineConfig, SourceConfig
from pipeline.phantom import make_phantom
from pipeline.volume import Volume, to_native_image

PHANTOM = PhantomConfig(
    train_pathological=2,
    train_healthy=1,
    test=1,
    slices=16,
    height=64,
    width=80,
    slice_spacing_mm=12.0,
    pixel_spacing_mm=4.0,
)
GRID = GridConfig(height=64, width=80, spacing_mm=4.0, slab_length=6)
IDS = ("phantom_000", "phantom_001", "phantom_002", "phantom_003")


@cache
def phantom(volume_id: str = "phantom_000") -> Volume:
    """A phantom with its vessels; do not write into its arrays."""
    return make_phantom(PHANTOM, 0, volume_id, vessels=True)


def configure(run: Path, source: Path | None = None, **sections) -> PipelineConfig:
    """Settings for the phantom layout, or for an archive of layout `msd`."""
    described = SourceConfig(path=str(source)) if source else SourceConfig(layout="phantom")
    return PipelineConfig(run=str(run), source=described, phantom=PHANTOM, grid=GRID, **sections)


def write_nifti(path: Path, array: np.ndarray, volume: Volume) -> None:
    """Write an array on the grid of a volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_native_image(array, volume.geometry), str(path))


def vessel_mask(volume: Volume, divided: bool = True) -> np.ndarray:
    """Return the vessels of a phantom as one mask: 1 hepatic and 2 portal, or all 1."""
    hepatic, portal = volume.vessels.hepatic, volume.vessels.portal
    return np.where(portal, 2 if divided else 1, hepatic).astype(np.uint8)


def write_archive(root: Path, ids=IDS, maps=False, vessels=False, labels=False) -> Path:
    """Write phantoms in the layout `msd`; return the folder."""
    for name in ids:
        volume = phantom(name)
        masks = volume.liver_mask.astype(np.uint8) + (volume.reference_mask & volume.liver_mask)
        write_nifti(root / "imagesTr" / f"{name}.nii.gz", volume.hu, volume)
        write_nifti(root / "labelsTr" / f"{name}.nii.gz", masks, volume)
        if maps:
            write_nifti(root / "couinaudTr" / f"{name}.nii.gz", volume.couinaud_map, volume)
        if vessels:
            write_nifti(root / "vesselsTr" / f"{name}.nii.gz", vessel_mask(volume), volume)
    if labels:
        rows = [f"{n},train,{';'.join(str(s + 1) for s in np.flatnonzero(phantom(n).image_label))}" for n in ids]
        (root / "volume_labels.csv").write_text("\n".join(["volume_id,split,segments", *rows]) + "\n")
    return root


def train_tiny_network(folder: Path, epochs: int = 2, iterations: int = 2) -> Path:
    """Train nnU-Net on two phantoms in RAS order, as its own trainer does; return the model folder."""
    import torch

    from pipeline.config import SegmenterConfig
    from pipeline.segmenter.folders import SegmenterFolders, nnunet_session
    from pipeline.segmenter.planning import CONFIGURATION, extract_fingerprint, plan, preprocess_case, write_json
    from pipeline.segmenter.trainer import SegmenterTrainer

    folders = SegmenterFolders(folder)
    names = IDS[:2]
    for name in names:
        volume = phantom(name)
        for path, array in ((folders.image(name), volume.hu), (folders.label(name), volume.couinaud_map)):
            path.parent.mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(sitk.DICOMOrient(to_native_image(array, volume.geometry), "RAS"), str(path))
    labels = {"background": 0, **{f"liver_segment_{segment}": segment for segment in range(1, 9)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": len(names), "file_ending": ".nii.gz"}
    write_json(dataset, folders.raw / "dataset.json")
    write_json(dataset, folders.preprocessed / "dataset.json")
    settings = SegmenterConfig(
        configuration="3d_fullres", epochs=epochs, iterations_per_epoch=iterations, batch_size=2, base_features=4,
        stages=3, patch_size=32, checkpoint_every=1,
    )  # fmt: skip
    with nnunet_session(folders, augmentation_processes=1):
        plans = plan(folders, [extract_fingerprint(folders, name) for name in names], settings)
        for name in names:
            preprocess_case(folders, name)
        torch.manual_seed(0)
        trainer = SegmenterTrainer(plans, CONFIGURATION, "all", dataset, torch.device("cpu"))
        trainer.configure(settings, 0, lambda rows: None)
        trainer.run_training()
    return Path(trainer.output_folder_base)
