"""CouinaudNet over pathological volumes: a slab in, its tumor probabilities out; an actor loads the model once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.config import PipelineConfig
from pipeline.labeled_slices import read_labeled_slab, read_neighbors
from pipeline.prediction import TumorSpotter, find_regions, require_same_input
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, probabilities_schema
from pipeline.slabs import slab_name
from pipeline.stages.base import REASON, CaseStage, Row
from pipeline.training_history import COUINAUDNET

if TYPE_CHECKING:
    import ray.data


class PredictTumors(CaseStage):
    """Write `probabilities/VOLUME/SLAB.parquet` unless it is there.

    Args:
        run: Run folder with `slices/`, `image_labels/` and a trained CouinaudNet.
        config: Grid, and how to predict.
    """

    reads = ("volume_id", "slab")
    emits = ("volume_id", "slab", *REASON)
    step = "predict_tumors"

    def __init__(self, run: RunFolder, config: PipelineConfig) -> None:
        self.run = run
        self.config = config
        self.spotter: TumorSpotter | None = None

    def setup(self) -> None:
        """Load the networks, once."""
        if self.spotter is None:
            device = "cuda" if self.config.couinaudnet.use_gpu else "cpu"
            self.spotter = TumorSpotter(self.run, self.config, device)

    def process(self, row: Row) -> Iterator[Row]:
        """Predict the slices of one slab; give the work item on."""
        volume_id, slab = row["volume_id"], row["slab"]
        if not self.run.exists("probabilities", volume_id, slab_name(slab)):
            columns = read_labeled_slab(self.run, volume_id, slab, ["volume_id", "couinaud_map", "liver_median_hu"])
            schema = probabilities_schema(*columns["couinaud_map"].shape[1:])
            table = encode(self._predict(volume_id, slab, columns), schema)
            self.run.write_table(table, "probabilities", volume_id, slab_name(slab))
        yield {"volume_id": volume_id, "slab": slab}

    def _predict(self, volume_id: str, slab: int, columns: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        """Return the columns of `probabilities/` for the columns of a slab."""
        assert self.spotter is not None, "setup runs before process"
        predict_relabeled = self.config.couinaudnet.predict_relabeled
        regions = find_regions(columns["couinaud_map"], columns["refined_label"], predict_relabeled)
        chosen = {name: values[regions.rows] for name, values in columns.items()}
        seen, context = ("image", "couinaud_map"), self.spotter.context_slices
        pixels = read_neighbors(self.run, volume_id, slab, chosen["slice_index"], seen, context)
        levels = self.spotter.predict(
            pixels["image"], pixels["couinaud_map"] > 0, chosen["liver_median_hu"], regions.masks
        )
        return {
            "volume_id": chosen["volume_id"],
            "slice_index": chosen["slice_index"],
            "tumor_probability": levels,
            "named": regions.named,
        }


def predict_tumors(run: RunFolder, config: PipelineConfig, work: ray.data.Dataset) -> ray.data.Dataset:
    """Return the flow that predicts slabs in a pool of actors.

    Args:
        run: Run folder.
        config: Settings.
        work: Work items with `volume_id` and `slab`.

    Raises:
        RefusedInputError: If the cluster has no room for the actors, or CouinaudNet was trained on other input.
    """
    import ray.data

    from pipeline.stages.room import pool_size

    require_same_input(run, config, COUINAUDNET)
    net = config.couinaudnet
    return work.map_batches(
        PredictTumors,
        fn_constructor_kwargs={"run": run, "config": config},
        compute=ray.data.ActorPoolStrategy(size=pool_size("couinaudnet", net)),
        num_cpus=net.cpus_per_worker,
        num_gpus=int(net.use_gpu),
        batch_size=1,
        batch_format="pyarrow",
    )
