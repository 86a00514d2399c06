"""The settings of the networks: synthetic tumors, CouinaudNet and the segmenter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


def require(condition: bool, message: str) -> None:
    """Raise `ValueError` with a message that names the field, unless the condition holds."""
    if not condition:
        raise ValueError(message)


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
    dark_edges: float = 0.0
    """Share of CouinaudNet's training slices whose liver is darkened along parts of its border, which is no tumor."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(0 <= self.healthy_fraction <= 1, f"synthesis.healthy_fraction: in [0, 1], got {self.healthy_fraction}")
        require(0 <= self.dark_edges <= 1, f"synthesis.dark_edges: in [0, 1], got {self.dark_edges}")
        require(self.maximum_tumors >= 1, f"synthesis.maximum_tumors: at least 1, got {self.maximum_tumors}")
        require(
            0 < self.minimum_radius_mm <= self.maximum_radius_mm,
            f"synthesis.minimum_radius_mm must be in (0, maximum_radius_mm], got {self.minimum_radius_mm}"
            f" and {self.maximum_radius_mm}",
        )


@dataclass(frozen=True, kw_only=True)
class CouinaudNetConfig:
    """CouinaudNet: an inpainting network and a difference spotting network, trained on healthy tissue only."""

    healthy_tissue: Literal["slices", "regions"] = "slices"
    """`slices`: slices whose refined label is empty, as in the paper. `regions`: also the segments that the label does
    not name on all other slices; the named ones are seen, but nothing is judged there."""
    region_margin_mm: float = 5.0
    """Nothing is judged this close to a named segment either: tumors do not end at its border."""
    segment_input: Literal["hint", "blank"] = "hint"
    """What the inpainting network sees of the segment: the image with the mask as a hint, or the image with the
    segment blanked."""
    context_slices: int = 0
    """Neighbor slices on each side that both networks see beside the slice; synthetic tumors go on along z there. At
    most `grid.slab_length`."""
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
    steps: int = 0
    """Steps of the whole training instead, in as many passes as they need; 0 counts passes."""
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
    prediction_actors: int = 0
    """Actors that predict; each loads the model once. 0: as many as the cluster has room for beside one CPU."""
    predict_relabeled: bool = True
    """Predict also slices that ILR made healthy, in the whole liver, so that the evaluation can show what
    refinement removed. Training never uses them."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("epochs", "batch_size", "num_workers", "prediction_batch_size"):
            require(getattr(self, name) >= 1, f"couinaudnet.{name}: at least 1, got {getattr(self, name)}")
        actors = self.prediction_actors
        require(actors >= 0, f"couinaudnet.prediction_actors: not negative, got {actors}")
        require(self.learning_rate > 0, f"couinaudnet.learning_rate: must be positive, got {self.learning_rate}")
        for name in ("inpainting_widths", "spotting_widths"):
            require(
                len(getattr(self, name)) >= 2, f"couinaudnet.{name}: at least two levels, got {getattr(self, name)}"
            )
        require(self.patch_size >= 0, f"couinaudnet.patch_size: not negative, got {self.patch_size}")
        require(self.steps >= 0, f"couinaudnet.steps: not negative, got {self.steps}")
        require(self.context_slices >= 0, f"couinaudnet.context_slices: not negative, got {self.context_slices}")
        margin = self.region_margin_mm
        require(margin >= 0, f"couinaudnet.region_margin_mm: not negative, got {margin}")


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig:
    """The segmentation network: nnU-Net v2 trained on refined pseudo labels."""

    configuration: Literal["2d", "3d_fullres"] = "2d"
    """nnU-Net configuration."""
    labels: Literal["pseudo", "reference", "none"] = "pseudo"
    """`pseudo`: refined pseudo labels, the method; `reference`: reference masks, its upper bound; `none`: no label at
    all, only volumes without a tumor and their copies with synthetic ones."""
    synthetic_copies: int = 0
    """Copies of each training volume without a tumor, each with other synthetic tumors and their masks."""
    synthetic_tissue: Literal["volumes", "regions"] = "volumes"
    """`volumes`: as above. `regions`: the other volumes are copied, too, with synthetic tumors that begin in segments
    which their label does not name, beside what their own masks show."""
    context_slices: int = 0
    """Neighbor slices on each side that the `2d` network sees beside a slice, as further channels."""
    epochs: int = 1000
    """Training epochs."""
    iterations_per_epoch: int = 250
    """Steps per epoch."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """`sgd`: nnU-Net's own, with its polynomial schedule; `adamw`: a short rise to the peak, then half a cosine to 0
    over all steps, which reaches the same loss in fewer steps."""
    initial_learning_rate: float = 1e-2
    """Start of nnU-Net's polynomial schedule, or the peak of `adamw`, for which about 2e-3 is usual."""
    average_decay: float = 0.0
    """Decay per step of a moving average of the weights, which then is what is kept; 0 keeps the last weights."""
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
    smoothing_mm: float = 0.0
    """Standard deviation of the Gaussian that smooths the predicted probability across slices; 0 does not."""
    couinaudnet_share: float = 0.0
    """Share of CouinaudNet's probability, seen in the whole liver, in the mean with the segmenter's."""
    lesion_peak: float = 0.0
    """Probability that a lesion reaches somewhere; connected findings that do not are no tumor."""
    lesion_agreement: float = 0.0
    """Probability that each network asked, the segmenter and CouinaudNet by its share, reaches at one and the same
    place of a lesion; connected findings without such a place are no tumor."""
    lesion_relative_hu: float = -1000.0
    """A lesion whose mean is darker than the liver's median by more than this may be fat."""
    lesion_hu: float = 1000.0
    """It is fat, and no tumor, if its mean is also below this: fluid is not, and in a bright liver a tumor is not."""
    fill_holes: bool = False
    """What a tumor encloses on a slice belongs to it, such as a necrotic core."""
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
    prediction_actors: int = 0
    """Actors that predict; each loads the model once. 0: as many as the cluster has room for beside one CPU."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("epochs", "iterations_per_epoch", "num_workers", "checkpoint_every"):
            require(getattr(self, name) >= 1, f"segmenter.{name}: at least 1, got {getattr(self, name)}")
        actors = self.prediction_actors
        require(actors >= 0, f"segmenter.prediction_actors: not negative, got {actors}")
        require(0 < self.threshold < 1, f"segmenter.threshold: in (0, 1), got {self.threshold}")
        for name in ("lesion_peak", "lesion_agreement"):
            require(0 <= getattr(self, name) <= 1, f"segmenter.{name}: in [0, 1], got {getattr(self, name)}")
        for name in ("synthetic_copies", "context_slices", "smoothing_mm"):
            require(getattr(self, name) >= 0, f"segmenter.{name}: not negative, got {getattr(self, name)}")
        require(
            self.context_slices == 0 or self.configuration == "2d",
            f"segmenter.context_slices: only for the configuration 2d, got {self.context_slices}"
            f" with {self.configuration}",
        )
        require(
            self.labels != "none" or self.synthetic_copies > 0,
            f"segmenter.labels: none needs synthetic tumors (segmenter.synthetic_copies), got {self.synthetic_copies}",
        )
        share = self.couinaudnet_share
        require(0 <= share <= 1, f"segmenter.couinaudnet_share: in [0, 1], got {share}")
        require(
            share == 0 or self.labels == "pseudo",
            f"segmenter.couinaudnet_share: {share} needs a CouinaudNet (segmenter.labels pseudo), got {self.labels}",
        )
        rate = self.initial_learning_rate
        require(rate > 0, f"segmenter.initial_learning_rate: must be positive, got {rate}")
        require(0 <= self.average_decay < 1, f"segmenter.average_decay: in [0, 1), got {self.average_decay}")


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Prediction of new CTs by a segmenter that is trained."""

    model: Annotated[str, tyro.conf.arg(aliases=["--model"])] = ""
    """Run folder with the trained segmenter. The settings that go with it are taken from there."""


@dataclass(frozen=True, kw_only=True)
class CouinaudShapeConfig:
    """The network behind the Couinaud constructor `shape`, trained on label maps alone."""

    shapes: Annotated[str, tyro.conf.arg(aliases=["--shapes"])] = ""
    """Folder of `VOLUME.nii.gz` label maps 0..8."""
    side: int = 48
    """Samples per axis of the liver's normalized grid; the network works on half as many."""
    widths: tuple[int, ...] = (16, 32, 64)
    """Channels per level of the network, multiples of 8."""
    folds: int = 5
    """Networks that vote together. Each leaves out its share of the shapes, on which it is measured."""
    epochs: int = 24
    """Passes over the shapes, each time varied anew."""
    batch_size: int = 4
    """Shapes per step."""
    learning_rate: float = 3e-3
    """Peak rate of AdamW; it falls as half a cosine."""
    weight_decay: float = 1e-2
    """Decoupled weight decay."""
    average_decay: float = 0.99
    """Decay per step of the moving average of the weights, which is what is kept."""
    checkpoint_every: int = 5
    """Epochs between checkpoints."""
    maximum_shapes: int = 0
    """Train each network on at most so many shapes, for learning curves; 0 takes all."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("epochs", "batch_size", "checkpoint_every"):
            require(getattr(self, name) >= 1, f"couinaud_shape.{name}: at least 1, got {getattr(self, name)}")
        allowed = len(self.widths) >= 1 and all(width >= 8 and width % 8 == 0 for width in self.widths)
        require(allowed, f"couinaud_shape.widths: multiples of 8, got {self.widths}")
        stride = 2 ** len(self.widths)
        require(
            self.side >= stride and self.side % stride == 0,
            f"couinaud_shape.side: a multiple of {stride}, got {self.side}",
        )
        require(self.learning_rate > 0, f"couinaud_shape.learning_rate: must be positive, got {self.learning_rate}")
        require(0 <= self.average_decay < 1, f"couinaud_shape.average_decay: in [0, 1), got {self.average_decay}")
        require(self.folds >= 2, f"couinaud_shape.folds: at least 2, got {self.folds}")
