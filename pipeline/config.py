"""One frozen tree of settings. Defaults are the paper's values; where it is silent, those of its authors' code.

Nothing here imports more than the command line's parser, so that `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from pipeline.config_archive import SynthesizeArchiveConfig
from pipeline.config_cluster import RayConfig, ScheduleConfig
from pipeline.config_export import ExportConfig
from pipeline.config_networks import (
    CouinaudNetConfig,
    CouinaudShapeConfig,
    PredictConfig,
    SegmenterConfig,
    SynthesisConfig,
    require,
)
from pipeline.config_reproduce import ReproduceConfig
from pipeline.config_source import Layout, SourceConfig

__all__ = [
    "METHOD_SECTIONS",
    "PATH_SETTINGS",
    "RESOURCE_SETTINGS",
    "CouinaudConfig",
    "CouinaudEvaluationConfig",
    "CouinaudMethod",
    "CouinaudNetConfig",
    "CouinaudShapeConfig",
    "ExportConfig",
    "GridConfig",
    "ImageLabelConfig",
    "Layout",
    "PhantomConfig",
    "PipelineConfig",
    "PixelLabelConfig",
    "PredictConfig",
    "RayConfig",
    "ReproduceConfig",
    "ScheduleConfig",
    "SegmenterConfig",
    "SourceConfig",
    "SynthesisConfig",
    "SynthesizeArchiveConfig",
    "TuneConfig",
]

RESOURCE_SETTINGS = frozenset(
    {
        "num_workers",
        "cpus_per_worker",
        "use_gpu",
        "maximum_failures",
        "prediction_actors",
        "prediction_batch_size",
        "memory_per_case_mb",
        "decoder_memory_mb",
        "decoder_seconds",
        "reidentification",
    }
)
"""Settings that say where a step runs, not what it does: they may change when a run is taken up again."""

PATH_SETTINGS = frozenset(
    {
        "source.path",
        "source.labels",
        "source.reports",
        "source.couinaud_maps",
        "source.vessels",
        "source.masks",
        "source.liver_network",
        "source.id_key",
        "source.reidentification",
        "couinaud.network",
        "couinaud_shape.shapes",
        "synthesize_archive.folder",
    }
)
"""Settings of a run folder that are files or folders: one may be written in several ways, and its name tell of a
patient."""

METHOD_SECTIONS = (
    *("source", "phantom", "grid", "couinaud", "image_labels", "synthesis", "couinaudnet", "pixel_labels", "segmenter"),
    "ray",
)
"""Sections that the steps of the method read."""

CouinaudMethod = Literal["auto", "precomputed", "network", "planes", "territories", "shape"]


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
        require(
            self.height >= 16 and self.width >= 16,
            f"grid.height, grid.width: at least 16, got {self.height}, {self.width}",
        )
        require(self.spacing_mm > 0, f"grid.spacing_mm: must be positive, got {self.spacing_mm}")
        require(
            self.window_low_hu < self.window_high_hu,
            f"grid.window_low_hu must be below grid.window_high_hu, got {self.window_low_hu} and {self.window_high_hu}",
        )
        require(self.slab_length >= 1, f"grid.slab_length: at least 1, got {self.slab_length}")


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
        require(min(counts) >= 0, f"phantom: counts must not be negative, got {counts}")
        require(self.slices >= 8, f"phantom.slices: at least 8, got {self.slices}")
        size = (self.height, self.width)
        require(min(size) >= 32, f"phantom.height, phantom.width: at least 32, got {size}")
        spacing = (self.slice_spacing_mm, self.pixel_spacing_mm)
        require(
            min(spacing) > 0, f"phantom.slice_spacing_mm, phantom.pixel_spacing_mm: must be positive, got {spacing}"
        )
        require(self.noise_hu >= 0, f"phantom.noise_hu: not negative, got {self.noise_hu}")


@dataclass(frozen=True, kw_only=True)
class CouinaudConfig:
    """How the Couinaud map of a volume is made."""

    method: Annotated[CouinaudMethod, tyro.conf.arg(aliases=["--method"])] = "auto"
    """`precomputed` takes the label map beside the CT (the phantom brings its own), `network` runs a trained nnU-Net,
    `planes` and `territories` need vessel masks, `shape` the liver mask alone. `auto` takes the first of precomputed,
    network, planes and shape that a volume has the input for, and shape where vessels cannot divide the liver."""
    network: str = ""
    """nnU-Net v2 model folder whose labels 1..8 are the segments, for `network`: `plans.json`, `dataset.json` and
    `fold_X/checkpoint_final.pth`."""
    network_orientation: Literal["RAS", "LPS"] = "RAS"
    """Directions in which the x, y and z indices of the network's training images ran: `RAS` for images in NIfTI's
    canonical order, as TotalSegmentator's, `LPS` for those in DICOM's."""
    prediction_actors: int = 0
    """Actors that run the network; each loads it once. 0: as many as the cluster has room for beside one CPU."""
    cpus_per_worker: float = 1.0
    """CPUs that each of them reserves."""
    use_gpu: bool = False
    """One GPU for each of them."""
    write_maps: bool = False
    """Also keep each map as `couinaud/VOLUME.nii.gz` on the grid of the CT."""
    maximum_unlabeled_fraction: float = 0.2
    """Liver voxels without a segment take the nearest segment; a map that leaves more than this is rejected."""

    def __post_init__(self) -> None:
        """Check ranges."""
        fraction = self.maximum_unlabeled_fraction
        require(0 <= fraction < 1, f"couinaud.maximum_unlabeled_fraction: in [0, 1), got {fraction}")
        require(self.prediction_actors >= 0, f"couinaud.prediction_actors: not negative, got {self.prediction_actors}")
        require(self.cpus_per_worker > 0, f"couinaud.cpus_per_worker: must be positive, got {self.cpus_per_worker}")


@dataclass(frozen=True, kw_only=True)
class CouinaudEvaluationConfig:
    """The comparison of constructors with annotated Couinaud maps."""

    methods: tuple[Literal["network", "planes", "territories", "shape"], ...] = ()
    """Constructors to compare. Empty means all that a volume has the input for."""


@dataclass(frozen=True, kw_only=True)
class ImageLabelConfig:
    """Image-level label refinement (ILR), eq. 2."""

    enabled: bool = True
    """Off leaves every slice with its volume's label: the paper's ablation without ILR."""
    source: Literal["volume", "reference"] = "volume"
    """`volume`: refined from the volume's label. `reference`: the label of each slice of the training volumes names the
    segments that hold tumor of the reference mask, the paper's comparison with image-level labels."""
    minimum_area_mm2: float = 50.0
    """A segment is present on a slice from this area on."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(
            self.enabled or self.source == "volume",
            f"image_labels.source: {self.source!r} needs image_labels.enabled, which is off",
        )
        require(self.minimum_area_mm2 >= 0, f"image_labels.minimum_area_mm2: not negative, got {self.minimum_area_mm2}")


@dataclass(frozen=True, kw_only=True)
class PixelLabelConfig:
    """Pixel-level label refinement (PLR), eq. 3-6."""

    enabled: bool = True
    """Off keeps the thresholded masks: the paper's ablation without PLR."""
    method: Literal["continuity", "lesions"] = "continuity"
    """`continuity`: the paper's index, slice by slice. `lesions`: continuity in mm along z, then each lesion judged in
    3-D by what the label says: every named segment holds a tumor, the others none."""
    threshold: float = 0.5
    """Threshold tau on the tumor probability, in [0, 1]."""
    scale: float = 5.0
    """Scale c of the continuity index."""
    radius: int = 1
    """Neighbors on each side that may continue a mask: the best Dice within so many slices. The paper's is 1."""
    radius_mm: float = 0.0
    """Reach of the window in mm instead: as many slices as fit, at least 1 and at most `radius`. 0 leaves it off."""
    smoothing_mm: float = 3.0
    """`lesions`: standard deviation of the Gaussian along z under which probabilities are thresholded."""
    lesion_share: float = 0.6
    """`lesions`: a lesion stays if it reaches this share of the highest peak in a named segment."""
    minimum_relative_hu: float = -90.0
    """`lesions`: what is darker than the liver's median by more than this is fat or gas."""
    fill_holes: bool = False
    """`lesions`: what a lesion encloses on a slice belongs to it, such as a necrotic core."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(0 < self.threshold <= 1, f"pixel_labels.threshold: in (0, 1], got {self.threshold}")
        require(self.scale > 0, f"pixel_labels.scale: must be positive, got {self.scale}")
        require(self.radius >= 1, f"pixel_labels.radius: at least 1, got {self.radius}")
        require(self.radius_mm >= 0, f"pixel_labels.radius_mm: not negative, got {self.radius_mm}")
        require(self.smoothing_mm >= 0, f"pixel_labels.smoothing_mm: not negative, got {self.smoothing_mm}")
        require(0 < self.lesion_share <= 1, f"pixel_labels.lesion_share: in (0, 1], got {self.lesion_share}")


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """A sweep with Ray Tune."""

    space: Annotated[Literal["label_refinement", "synthesis"], tyro.conf.arg(aliases=["--space"])] = "label_refinement"
    """Search space of `tune_spaces/`: tau and c of PLR, or ILR's minimum area and the synthesis."""
    search: Literal["grid", "random", "optuna"] = "grid"
    """How points are chosen."""
    samples: int = 64
    """Points of a random or Optuna search."""
    objective: Literal["dice_per_case", "dice_global", "stability"] = "dice_per_case"
    """What is maximized: pseudo-mask Dice against reference masks, or, for archives without any, the stability of the
    refined masks along z."""
    split: Literal["auto", "validation", "train"] = "auto"
    """Volumes that the objective is computed on; `auto` takes the validation volumes, else those of the training."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.samples >= 1, f"tune.samples: at least 1, got {self.samples}")


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
    couinaud_shape: CouinaudShapeConfig = field(default_factory=CouinaudShapeConfig)
    image_labels: ImageLabelConfig = field(default_factory=ImageLabelConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    couinaudnet: CouinaudNetConfig = field(default_factory=CouinaudNetConfig)
    pixel_labels: PixelLabelConfig = field(default_factory=PixelLabelConfig)
    segmenter: SegmenterConfig = field(default_factory=SegmenterConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
    couinaud_evaluation: CouinaudEvaluationConfig = field(default_factory=CouinaudEvaluationConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    reproduce: ReproduceConfig = field(default_factory=ReproduceConfig)
    synthesize_archive: SynthesizeArchiveConfig = field(default_factory=SynthesizeArchiveConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    ray: RayConfig = field(default_factory=RayConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.seed >= 0, f"seed: not negative, got {self.seed}")
        needing_depth = {
            "couinaudnet.context_slices": self.couinaudnet.context_slices,
            "segmenter.synthetic_copies": self.segmenter.synthetic_copies,
        }
        for name, value in needing_depth.items():
            require(
                value == 0 or self.synthesis.style == "textured",
                f"{name}: {value} needs tumors that go on along z (synthesis.style textured),"
                f" got {self.synthesis.style}",
            )
        context = self.couinaudnet.context_slices
        require(
            context <= self.grid.slab_length,
            f"couinaudnet.context_slices: at most grid.slab_length, got {context} and {self.grid.slab_length}",
        )
