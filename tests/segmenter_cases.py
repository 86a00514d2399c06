"""A small run folder as the steps before the segmenter leave it: bright discs as livers, dark ones as tumors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.config import GridConfig, PipelineConfig, SegmenterConfig, SynthesisConfig
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, pseudo_labels_schema, references_schema, slices_schema
from pipeline.segmenter.dataset import normalize_slices, read_liver_slices
from pipeline.slabs import VolumeRow, slab_name, write_volume_row

HEIGHT, WIDTH, SLAB = 32, 48, 4
SPACING_MM = (5.0, 1.0, 1.0)
NATIVE_SHAPE = (12, 40, 56)
CROP_START = (2, 4, 4)


def tiny_config(folder, **settings):
    """Settings of the smallest training that nnU-Net can do."""
    values = {"epochs": 2, "iterations_per_epoch": 2, "batch_size": 2, "base_features": 4, "checkpoint_every": 1}
    return PipelineConfig(
        run=str(folder),
        grid=GridConfig(height=HEIGHT, width=WIDTH, spacing_mm=1.0, slab_length=SLAB),
        segmenter=SegmenterConfig(**{**values, "mirroring": False, **settings}),
        synthesis=SynthesisConfig(style="textured", maximum_radius_mm=8.0),
    )


def disc(center_y, center_x, radius):
    """A filled circle on the grid."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (y - center_y) ** 2 + (x - center_x) ** 2 <= radius**2


def write_case(
    run, volume_id, split="train", healthy=False, slice_index=(2, 3, 4, 5, 6, 7), orientation="LPS", reference=False
):
    """Write a volume's row, its slices and, for a pathological training volume, its pseudo labels.

    A reference is everything but the tumor, so that a mix-up with the pseudo labels shows.
    """
    index = np.array(slice_index, np.int32)
    liver = np.stack([disc(16, 24, 13)] * len(index))
    tumor = np.stack([disc(14, 18 + k % 3, 4) & (not healthy) for k in index])
    noise = np.random.default_rng([7, len(index), sum(map(ord, volume_id))]).integers(-8, 9, liver.shape)
    image = np.where(liver, 160 - 70 * tumor + noise, 0).astype(np.uint8)
    row = replace(volume_row(volume_id, split, healthy, index, orientation), has_reference=reference)
    write_volume_row(run, row)
    for slab in row.slabs:
        at = np.flatnonzero(index // SLAB == slab)
        write_slab(run, row, slab, index[at], image[at], liver[at])
        if split == "train" and not healthy:
            write_pseudo_labels(run, row, slab, index[at], tumor[at])
        if reference:
            write_reference(run, row, slab, index[at], ~tumor[at])
    return row, image, tumor


def volume_row(volume_id, split, healthy, index, orientation):
    """The row of a volume."""
    return VolumeRow(
        volume_id=volume_id,
        split=split,
        image_label=(not healthy,) + (False,) * 7,
        native_shape=NATIVE_SHAPE,
        spacing_mm=SPACING_MM,
        origin_mm=(10.0, -20.0, 30.0),
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        native_orientation=orientation,
        crop_start=CROP_START,
        liver_median_hu=82.0,
        liver_ml=1000.0,
        slice_count=len(index),
        has_reference=False,
        content_sha256="0" * 64,
        slabs=tuple(sorted({int(k) // SLAB for k in index})),
    )


def write_slab(run, row, slab, index, image, liver):
    """Write one file of `slices/`."""
    count = len(index)
    columns = {
        "volume_id": [row.volume_id] * count,
        "slice_index": index,
        "image": image,
        "couinaud_map": liver.astype(np.uint8),
        "image_label": np.tile(row.label_array(), (count, 1)),
        "segment_area_mm2": np.zeros((count, 8), np.float32),
        "liver_median_hu": np.full(count, row.liver_median_hu, np.float32),
        "spacing_mm": np.tile(np.float32(SPACING_MM), (count, 1)),
        "crop_start": np.tile(np.int32(CROP_START), (count, 1)),
        "native_shape": np.tile(np.int32(NATIVE_SHAPE), (count, 1)),
        "split": [row.split] * count,
    }
    run.write_table(encode(columns, slices_schema(HEIGHT, WIDTH)), "slices", row.volume_id, slab_name(slab))


def write_pseudo_labels(run, row, slab, index, tumor):
    """Write one file of `pseudo_labels/`; the mask before refinement is empty, so that a mix-up shows."""
    columns = {
        "volume_id": [row.volume_id] * len(index),
        "slice_index": index,
        "pseudo_mask": np.zeros_like(tumor),
        "refined_mask": tumor,
        "continuity_index": np.ones(len(index), np.float32),
    }
    schema = pseudo_labels_schema(HEIGHT, WIDTH)
    run.write_table(encode(columns, schema), "pseudo_labels", row.volume_id, slab_name(slab))


def write_reference(run, row, slab, index, mask):
    """Write one file of `references/grid/`."""
    columns = {"volume_id": [row.volume_id] * len(index), "slice_index": index, "reference_mask": mask}
    table = encode(columns, references_schema(HEIGHT, WIDTH))
    run.write_table(table, "references", "grid", row.volume_id, slab_name(slab))


def read_input(run, volume, config):
    """All liver slices of a volume, as the segmenter sees them."""
    return normalize_slices(read_liver_slices(run, volume, config), volume, config)


def write_cohort(folder):
    """Write three training volumes (one healthy, one with a gap) and a test volume of another orientation."""
    run = RunFolder(str(folder))
    write_case(run, "sick")
    write_case(run, "gap", slice_index=(2, 3, 6, 7, 8, 9))
    write_case(run, "healthy", healthy=True)
    write_case(run, "test", split="test", orientation="RAI")
    run.write_json({}, "reports", "refine_pixel_labels.json")
    run.write_bytes(b"not a folder", "references")
    return run
