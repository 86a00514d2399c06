"""Prediction by the trained segmenter: one work item is one volume, one result is one mask on its own grid."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.arrays import BoolArray, Float32Array
from pipeline.config import GridConfig, PipelineConfig
from pipeline.geometry import to_native
from pipeline.masks import read_prediction, read_volume_slices
from pipeline.predicted_volumes import ROWS, measure_prediction, write_row
from pipeline.prediction import TumorSpotter, require_same_input
from pipeline.run_folder import RunFolder
from pipeline.segmenter.dataset import NetworkInput, normalize_slices, read_liver_slices
from pipeline.segmenter.ensemble import combine_probabilities, spot_whole_liver, subtract_fat
from pipeline.slabs import VolumeRow
from pipeline.stages.base import REASON, CaseStage, Row
from pipeline.stages.room import pool_size
from pipeline.stages.session import work_items
from pipeline.training_history import COUINAUDNET, SEGMENTER
from pipeline.volume import Geometry, to_native_image

if TYPE_CHECKING:
    from pipeline.segmenter.prediction import TumorPredictor

STEP = "predict_segmentation"
PREDICTED_SPLITS = ("validation", "test")
NOTHING_TO_PREDICT = (
    "no volume is of the split test or validation: none gets a tumor mask, and nothing is measured; splits come from"
    " the label table, and jobs.predict takes a trained segmenter to any CT"
)


def prediction_path(volume_id: str) -> tuple[str, str]:
    """Return where a volume's predicted mask lies in the run folder."""
    return "predictions", f"{volume_id}.nii.gz"


class PredictSegmentation(CaseStage):
    """Write `predictions/VOLUME.nii.gz`, the tumor mask on the grid of the volume's file.

    Args:
        run: Run folder with a trained segmenter.
        config: Settings.
        volumes: The volumes that work items may name.
    """

    reads = ("volume_id",)
    emits = ("volume_id", *REASON)
    step = STEP

    def __init__(self, run: RunFolder, config: PipelineConfig, volumes: Mapping[str, VolumeRow]) -> None:
        self.run = run
        self.config = config
        self.volumes = volumes
        self._predictor: TumorPredictor | None = None
        self._spotter: TumorSpotter | None = None

    def setup(self) -> None:
        """Load the segmenter, and CouinaudNet if it is asked too, once per actor."""
        if self._predictor is not None:
            return
        import torch

        from pipeline.segmenter.prediction import TumorPredictor

        settings = self.config.segmenter
        torch.set_num_threads(max(1, int(settings.cpus_per_worker)))
        device = torch.device("cuda", 0) if settings.use_gpu else torch.device("cpu")
        if settings.couinaudnet_share:
            self._spotter = TumorSpotter(self.run, self.config, device.type)
        self._predictor = TumorPredictor(self.run, settings.mirroring, device)

    def process(self, row: Row) -> Iterator[Row]:
        """Predict one volume."""
        volume = self.volumes[row["volume_id"]]
        slices, probability = self.predict(volume)
        mask = to_native(
            probability,
            slices.slice_index,
            volume.native_shape,
            volume.spacing_mm,
            volume.crop_start,
            self.config.grid,
            self.config.segmenter.threshold,
        )
        self.run.write_bytes(encode_mask(mask, native_geometry(volume)), *prediction_path(volume.volume_id))
        yield {"volume_id": volume.volume_id}

    def predict(self, volume: VolumeRow) -> tuple[NetworkInput, Float32Array]:
        """Return the liver slices of a volume and their tumor probability, shape (n, H, W)."""
        assert self._predictor is not None, "setup comes first"
        settings, rows = self.config.segmenter, read_liver_slices(self.run, volume, self.config)
        slices = normalize_slices(rows, volume, self.config)
        return slices, combine_probabilities(
            self._predictor.predict(slices),
            spot_whole_liver(self._spotter, rows) if self._spotter else None,
            subtract_fat(rows, self.config.grid, settings),
            slices,
            settings,
        )


class MeasurePrediction(CaseStage):
    """Write the row of `predicted_volumes/` that says what a volume's mask holds.

    Args:
        run: Run folder with the mask.
        grid: The run's grid.
        volumes: The volumes that work items may name.
    """

    reads = ("volume_id",)
    emits = ("volume_id", *REASON)
    step = STEP

    def __init__(self, run: RunFolder, grid: GridConfig, volumes: Mapping[str, VolumeRow]) -> None:
        self.run = run
        self.grid = grid
        self.volumes = volumes

    def process(self, row: Row) -> Iterator[Row]:
        """Measure one mask."""
        volume = self.volumes[row["volume_id"]]
        slices = read_volume_slices(self.run, "slices", volume, ["couinaud_map"])
        write_row(self.run, measure_prediction(read_prediction(self.run, volume), slices, volume, self.grid))
        yield {"volume_id": volume.volume_id}


def native_geometry(volume: VolumeRow) -> Geometry:
    """Return where the voxels of a volume lie, and how its file was oriented."""
    return Geometry(
        volume.native_shape,
        volume.spacing_mm,
        (volume.origin_mm[0], volume.origin_mm[1], volume.origin_mm[2]),
        volume.direction,
        volume.native_orientation,
    )


def encode_mask(mask: BoolArray, geometry: Geometry) -> bytes:
    """Return a mask as a `.nii.gz` on the grid of the volume's file. The same mask gives the same bytes."""
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.nii.gz"
        sitk.WriteImage(to_native_image(mask, geometry), str(path), useCompression=True)
        return path.read_bytes()


def require_networks(run: RunFolder, config: PipelineConfig) -> None:
    """Refuse to predict if one of the networks that are asked was trained on other input; see `require_same_input`."""
    for network in (SEGMENTER, COUINAUDNET) if config.segmenter.couinaudnet_share else (SEGMENTER,):
        require_same_input(run, config, network)


def predict_volumes(
    run: RunFolder, config: PipelineConfig, volumes: Mapping[str, VolumeRow], volume_ids: Sequence[str]
) -> Iterator[Row]:
    """Predict volumes in a pool of actors, each of which loads the segmenter once; give the rows of the stage.

    Args:
        run: Run folder with a trained segmenter.
        config: Settings.
        volumes: Volumes by id.
        volume_ids: Those to predict; nothing happens without any.

    Raises:
        RefusedInputError: If the cluster has no room for the actors, or a network was trained on other input.
    """
    if not volume_ids:
        return
    import ray.data

    settings = config.segmenter
    actors = pool_size("segmenter", settings)
    require_networks(run, config)
    for volume_id in volume_ids:
        run.remove(ROWS, f"{volume_id}.parquet")  # what it says is of a mask that is gone
    predicted = work_items(STEP, [{"volume_id": volume_id} for volume_id in volume_ids]).map_batches(
        PredictSegmentation,
        fn_constructor_kwargs={"run": run, "config": config, "volumes": volumes},
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(volume_ids))),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=settings.cpus_per_worker,
        num_gpus=int(settings.use_gpu),
    )
    yield from predicted.iter_rows()


def measure_predictions(
    run: RunFolder, grid: GridConfig, volumes: Mapping[str, VolumeRow], volume_ids: Sequence[str]
) -> Iterator[Row]:
    """Measure masks and give the rows of the stage; arguments as in `predict_volumes`."""
    if volume_ids:
        work = work_items(STEP, [{"volume_id": volume_id} for volume_id in volume_ids])
        stage = MeasurePrediction(run, grid, volumes)
        yield from work.map_batches(stage, batch_size=1, batch_format="pyarrow").iter_rows()
