"""Refinement on a cluster that grows from one raylet of one CPU to three, in a process of its own.

Prints as JSON the hashes of what was written at each size.
"""

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import ray
from ray.cluster_utils import Cluster

from jobs import ingest, refine_image_labels, refine_pixel_labels
from pipeline.config import GridConfig, PhantomConfig, PipelineConfig, RayConfig, SourceConfig
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, probabilities_schema
from pipeline.slabs import read_slab, read_volume_rows, slab_name
from pipeline.stages.session import ray_session

SIZE = {"slices": 24, "height": 64, "width": 80, "slice_spacing_mm": 9.0, "pixel_spacing_mm": 4.0}
PHANTOM = PhantomConfig(train_pathological=6, train_healthy=1, test=0, **SIZE)
GRID = GridConfig(height=56, width=64, spacing_mm=4.0, slab_length=4)
NODE = {"num_cpus": 1, "object_store_memory": 100_000_000}


def refine_at_each_size(folder):
    cluster = Cluster(initialize_head=True, head_node_args=NODE)
    first = PipelineConfig(
        run=str(folder / "phantoms"),
        source=SourceConfig(layout="phantom"),
        phantom=PHANTOM,
        grid=GRID,
        ray=RayConfig(address=cluster.address),
    )
    try:
        assert ingest.main(first) == 0
        write_probabilities(RunFolder(first.run))
        for nodes in (1, 2, 3):
            config = replace(first, run=str(folder / f"nodes_{nodes}"))
            shutil.copytree(first.run, config.run)
            while len(cluster.list_all_nodes()) < nodes:
                cluster.add_node(**NODE)
            with ray_session(config.ray, RunFolder(config.run)):
                assert refine_image_labels.main(config) == 0
                RunFolder(config.run).write_json({}, "reports", "predict_tumors.json")
                assert refine_pixel_labels.main(config) == 0
                assert ray.cluster_resources()["CPU"] == nodes
            yield nodes, hash_tables(Path(config.run))
    finally:
        cluster.shutdown()


def write_probabilities(run):
    """Write noise for every slice, as `predict_tumors` would."""
    for row in read_volume_rows(run, "train"):
        for slab in row.slabs:
            columns = read_slab(run, "slices", row.volume_id, slab, ["volume_id", "slice_index"])
            count = len(columns["slice_index"])
            rng = np.random.default_rng([slab, *map(ord, row.volume_id)])
            columns["tumor_probability"] = rng.integers(0, 256, (count, GRID.height, GRID.width), np.uint8)
            columns["named"] = [True] * count
            table = encode(columns, probabilities_schema(GRID.height, GRID.width))
            run.write_table(table, "probabilities", row.volume_id, slab_name(slab))


def hash_tables(folder):
    """SHA-256 of all that both refinements wrote."""
    paths = [
        path for table in ("image_labels", "pseudo_labels") for path in sorted((folder / table).rglob("*.parquet"))
    ]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dict(refine_at_each_size(Path(sys.argv[1])))))
