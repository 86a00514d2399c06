"""One frozen tree of settings. Defaults are the paper's values; where it is silent, those of its authors' code.

Nothing here imports more than the command line's parser, so that `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

RESOURCE_SETTINGS = frozenset(
    {
        "num_workers",
        "cpus_per_worker",
        "use_gpu",
        "maximum_failures",
        "prediction_actors",
        "prediction_batch_size",
    }
)
"""Settings that say where a step runs, not what it does: they may change when a run is taken up again."""

Layout = Literal["msd", "ircad", "phantom"]


def _require(condition: bool, message: str) -> None:
    """Raise `ValueError` with a message that names the field, unless the condition holds."""
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """Where the cases come from."""

    path: Annotated[str, tyro.conf.arg(aliases=["--source"])] = ""
    """Folder of the archive. Empty for the phantom layout, which needs nothing on disk."""
    layout: Annotated[Layout, tyro.conf.arg(aliases=["--layout"])] = "msd"
    """How the folder is laid out: `msd`, `ircad` (3D-IRCADb-01 as distributed) or `phantom`."""
    labels: Annotated[str, tyro.conf.arg(aliases=["--labels"])] = ""
    """Table `volume_id, segments[, split]`. Empty means `volume_labels.csv` in the source folder."""
    couinaud_maps: Annotated[str, tyro.conf.arg(aliases=["--couinaud-maps"])] = ""
    """Folder of `VOLUME.nii.gz` label maps 1..8. Empty means `couinaudTr` in the source folder."""


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """The common grid of all slices of a run."""

    height: int = 320
    """Rows of a slice."""
    width: int = 320
    """Columns of a slice."""
    spacing_mm: float = 1.0
    """In-plane pixel spacing. The axial spacing stays as acquired."""
    window_low_hu: float = -200.0
    """HU that becomes gray value 0."""
    window_high_hu: float = 250.0
    """HU that becomes gray value 255."""
    slab_length: int = 64
    """Slices per file: the unit of work and of memory."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(
            self.height >= 16 and self.width >= 16,
            f"grid.height, grid.width: at least 16, got {self.height}, {self.width}",
        )
        _require(self.spacing_mm > 0, f"grid.spacing_mm: must be positive, got {self.spacing_mm}")
        _require(
            self.window_low_hu < self.window_high_hu,
            f"grid.window_low_hu must be below grid.window_high_hu, got {self.window_low_hu} and {self.window_high_hu}",
        )
        _require(self.slab_length >= 1, f"grid.slab_length: at least 1, got {self.slab_length}")


@dataclass(frozen=True, kw_only=True)
class PhantomConfig:
    """The synthetic cohort of the phantom layout."""

    train_pathological: int = 8
    """Training volumes with tumors."""
    train_healthy: int = 4
    """Training volumes without tumors."""
    validation: int = 0
    """Validation volumes with tumors."""
    test: int = 4
    """Test volumes with tumors."""
    slices: int = 40
    """Axial slices per volume."""
    height: int = 128
    """Native rows."""
    width: int = 160
    """Native columns."""
    slice_spacing_mm: float = 5.0
    """Distance between slices."""
    pixel_spacing_mm: float = 2.0
    """In-plane spacing."""
    noise_hu: float = 10.0
    """Standard deviation of the image noise."""

    def __post_init__(self) -> None:
        """Check ranges."""
        counts = (self.train_pathological, self.train_healthy, self.validation, self.test)
        _require(min(counts) >= 0, f"phantom: counts must not be negative, got {counts}")
        _require(self.slices >= 8, f"phantom.slices: at least 8, got {self.slices}")
        size = (self.height, self.width)
        _require(min(size) >= 32, f"phantom.height, phantom.width: at least 32, got {size}")
        spacing = (self.slice_spacing_mm, self.pixel_spacing_mm)
        _require(
            min(spacing) > 0, f"phantom.slice_spacing_mm, phantom.pixel_spacing_mm: must be positive, got {spacing}"
        )
        _require(self.noise_hu >= 0, f"phantom.noise_hu: not negative, got {self.noise_hu}")


@dataclass(frozen=True, kw_only=True)
class CouinaudConfig:
    """How the Couinaud map of a volume is made."""

    constructor: Literal["precomputed"] = "precomputed"
    """`precomputed` takes the label map beside the CT (the phantom brings its own)."""
    maximum_unlabeled_fraction: float = 0.2
    """Liver voxels without a segment take the nearest segment; a map that leaves more than this is rejected."""

    def __post_init__(self) -> None:
        """Check ranges."""
        fraction = self.maximum_unlabeled_fraction
        _require(0 <= fraction < 1, f"couinaud.maximum_unlabeled_fraction: in [0, 1), got {fraction}")


@dataclass(frozen=True, kw_only=True)
class ImageLabelConfig:
    """Image-level label refinement (ILR), eq. 2."""

    enabled: bool = True
    """Off leaves every slice with its volume's label: the paper's ablation without ILR."""
    minimum_area_mm2: float = 50.0
    """A segment is present on a slice from this area on."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(
            self.minimum_area_mm2 >= 0, f"image_labels.minimum_area_mm2: not negative, got {self.minimum_area_mm2}"
        )


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """Synthetic tumors injected into healthy slices."""

    style: Literal["superpixel", "textured"] = "superpixel"
    """`superpixel`: the authors' deformed ellipse with Beta-distributed contrast; `textured`: soft textured lesions,
    mostly hypodense, after Hu et al. (CVPR 2023)."""
    healthy_fraction: float = 0.25
    """Share of training slices that stay without a tumor (target all zero)."""
    maximum_tumors: int = 3
    """At most this many tumors on one slice (`textured`; `superpixel` draws one)."""
    minimum_segment_area_mm2: float = 200.0
    """Segments smaller than this on the slice receive no tumor."""
    minimum_radius_mm: float = 4.0
    """Smallest tumor radius (`textured`)."""
    maximum_radius_mm: float = 35.0
    """Largest tumor radius (`textured`)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(0 <= self.healthy_fraction <= 1, f"synthesis.healthy_fraction: in [0, 1], got {self.healthy_fraction}")
        _require(self.maximum_tumors >= 1, f"synthesis.maximum_tumors: at least 1, got {self.maximum_tumors}")
        _require(
            0 < self.minimum_radius_mm <= self.maximum_radius_mm,
            f"synthesis.minimum_radius_mm must be in (0, maximum_radius_mm], got {self.minimum_radius_mm}"
            f" and {self.maximum_radius_mm}",
        )


@dataclass(frozen=True, kw_only=True)
class CouinaudNetConfig:
    """CouinaudNet: an inpainting network and a difference spotting network, trained on healthy slices only."""

    segment_input: Literal["hint", "blank"] = "hint"
    """What the inpainting network sees of the segment: the image with the mask as a hint, or the image with the
    segment blanked."""
    inpainting_widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels per level of the inpainting network."""
    spotting_widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels per level of the difference spotting network."""
    normalization: Literal["window", "liver_median"] = "window"
    """Gray values as gray / 255, or as (HU - median liver HU of the volume) / 40."""
    smoothing_sigma_px: float = 0.0
    """Gaussian smoothing of the network's input in pixels (the authors' sister code amounts to 2)."""
    patch_size: int = 0
    """Side of random training crops in pixels; 0 trains on whole slices."""
    epochs: int = 8
    """Passes over the healthy slices."""
    batch_size: int = 4
    """Slices per step and worker."""
    learning_rate: float = 1e-4
    """Peak rate of Adam."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Learning rate over the epochs."""
    positive_weight: float = 5.0
    """Weight of tumor pixels in the cross entropy of the difference spotting network."""
    dice_weight: float = 0.0
    """Weight of a soft Dice term beside the cross entropy."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Autocast precision of the forward pass."""
    num_workers: int = 1
    """Ray Train workers."""
    cpus_per_worker: float = 1.0
    """CPUs that each worker reserves."""
    use_gpu: bool = False
    """One GPU per worker."""
    maximum_failures: int = 3
    """Worker failures that training survives."""
    prediction_batch_size: int = 16
    """Slices per forward pass at prediction."""
    prediction_actors: int = 1
    """Actors that predict; each loads the model once."""
    predict_relabeled: bool = True
    """Predict also slices that ILR made healthy, in the whole liver, so that the evaluation can show what
    refinement removed. Training never uses them."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("epochs", "batch_size", "num_workers", "prediction_batch_size", "prediction_actors"):
            _require(getattr(self, name) >= 1, f"couinaudnet.{name}: at least 1, got {getattr(self, name)}")
        _require(self.learning_rate > 0, f"couinaudnet.learning_rate: must be positive, got {self.learning_rate}")
        for name in ("inpainting_widths", "spotting_widths"):
            _require(
                len(getattr(self, name)) >= 2, f"couinaudnet.{name}: at least two levels, got {getattr(self, name)}"
            )
        _require(self.patch_size >= 0, f"couinaudnet.patch_size: not negative, got {self.patch_size}")


@dataclass(frozen=True, kw_only=True)
class PixelLabelConfig:
    """Pixel-level label refinement (PLR), eq. 3-6."""

    enabled: bool = True
    """Off keeps the thresholded masks: the paper's ablation without PLR."""
    threshold: float = 0.5
    """Threshold tau on the tumor probability, in [0, 1]."""
    scale: float = 5.0
    """Scale c of the continuity index."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(0 < self.threshold <= 1, f"pixel_labels.threshold: in (0, 1], got {self.threshold}")
        _require(self.scale > 0, f"pixel_labels.scale: must be positive, got {self.scale}")


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """The segmentation network: nnU-Net v2 trained on refined pseudo labels."""

    configuration: Literal["2d", "3d_fullres"] = "2d"
    """nnU-Net configuration."""
    epochs: int = 1000
    """Training epochs."""
    iterations_per_epoch: int = 250
    """Steps per epoch."""
    initial_learning_rate: float = 1e-2
    """Start of nnU-Net's polynomial schedule."""
    batch_size: int = 0
    """0 keeps the planned batch size."""
    patch_size: int = 0
    """In-plane side of the training patch; 0 keeps the planned one."""
    base_features: int = 0
    """Features of the first stage (doubled per stage, at most 16 times); 0 keeps the planned ones."""
    stages: int = 0
    """Number of resolution stages; 0 keeps the planned ones."""
    gpu_memory_target_gb: float = 8.0
    """Memory that nnU-Net's planner plans for."""
    normalization: Literal["window", "liver_median"] = "window"
    """Intensities that nnU-Net sees, as in `couinaudnet.normalization`."""
    checkpoint_every: int = 10
    """Epochs between checkpoints."""
    mirroring: bool = True
    """Mirror at prediction (test-time augmentation)."""
    threshold: float = 0.5
    """Threshold on the predicted tumor probability on the native grid."""
    num_workers: int = 1
    """Ray Train workers."""
    cpus_per_worker: float = 1.0
    """CPUs that each worker reserves."""
    use_gpu: bool = False
    """One GPU per worker."""
    maximum_failures: int = 3
    """Worker failures that training survives."""
    prediction_actors: int = 1
    """Actors that predict; each loads the model once."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("epochs", "iterations_per_epoch", "num_workers", "checkpoint_every", "prediction_actors"):
            _require(getattr(self, name) >= 1, f"segmenter.{name}: at least 1, got {getattr(self, name)}")
        _require(0 < self.threshold < 1, f"segmenter.threshold: in (0, 1), got {self.threshold}")


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    """The Ray cluster."""

    address: str = ""
    """Cluster to join, such as `auto`. Empty joins the cluster of a submitted job, else starts one on this machine."""
    cpus: int = 0
    """CPUs of a cluster started here; 0 means all, and at least 2."""
    object_store_mb: int = 0
    """Object store of a cluster started here; 0 leaves it to Ray."""


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """Settings of every job. A job reads only its own part."""

    run: str
    """Run folder: a local folder or a URI that pyarrow.fs opens."""
    seed: int = 0
    """Seed of everything random."""
    source: SourceConfig = field(default_factory=SourceConfig)
    phantom: PhantomConfig = field(default_factory=PhantomConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    couinaud: CouinaudConfig = field(default_factory=CouinaudConfig)
    image_labels: ImageLabelConfig = field(default_factory=ImageLabelConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    couinaudnet: CouinaudNetConfig = field(default_factory=CouinaudNetConfig)
    pixel_labels: PixelLabelConfig = field(default_factory=PixelLabelConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.seed >= 0, f"seed: not negative, got {self.seed}")
