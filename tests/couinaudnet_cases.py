"""Small run folders as ingest and ILR leave them: noisy discs as livers, quarters as segments, no tumor drawn."""

from __future__ import annotations

import numpy as np

from pipeline.config import CouinaudNetConfig, GridConfig, PipelineConfig, SynthesisConfig
from pipeline.image_labels import encode_segments
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, image_labels_schema, slices_schema
from pipeline.slabs import VolumeRow, slab_name, write_volume_row

HEIGHT, WIDTH, SLAB = 40, 48, 4
SPACING_MM = 4.0


def tiny_config(folder, style="textured", **net):
    """Settings of the smallest training that says something."""
    values = {
        "inpainting_widths": (4, 8),
        "spotting_widths": (4, 8),
        "epochs": 2,
        "batch_size": 4,
        "learning_rate": 1e-2,
    }
    return PipelineConfig(
        run=str(folder),
        grid=GridConfig(height=HEIGHT, width=WIDTH, spacing_mm=SPACING_MM, slab_length=SLAB),
        synthesis=SynthesisConfig(style=style, minimum_radius_mm=8.0),
        couinaudnet=CouinaudNetConfig(**{**values, "precision": "float32", **net}),
    )


def draw_couinaud_map(radius=16):
    """A disc in the middle; segments 5 and 4 above, 6 and 3 below, as far as it reaches."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    quarters = np.where(y < HEIGHT // 2, np.where(x < WIDTH // 2, 5, 4), np.where(x < WIDTH // 2, 6, 3))
    inside = (y - HEIGHT / 2 + 0.5) ** 2 + (x - WIDTH / 2 + 0.5) ** 2 <= radius**2
    return np.where(inside, quarters, 0).astype(np.uint8)


def write_case(run: RunFolder, volume_id, segments=(), split="train", slices=6, relabeled=()):
    """Write a volume whose label names `segments`; ILR made the slices `relabeled` healthy. Return its row."""
    index = np.arange(slices, dtype=np.int32)
    row = VolumeRow(
        volume_id=volume_id,
        split=split,
        image_label=tuple(encode_segments(segments).tolist()),
        native_shape=(slices, HEIGHT, WIDTH),
        spacing_mm=(5.0, SPACING_MM, SPACING_MM),
        origin_mm=(0.0, 0.0, 0.0),
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        native_orientation="LPS",
        crop_start=(0, 0, 0),
        liver_median_hu=100.0,
        liver_ml=1000.0,
        slice_count=slices,
        has_reference=bool(segments),
        content_sha256="0" * 64,
        slabs=tuple(range(-(-slices // SLAB))),
    )
    write_volume_row(run, row)
    for slab in row.slabs:
        _write_slab(run, row, slab, index[index // SLAB == slab], relabeled)
    return row


def _write_slab(run, row, slab, index, relabeled):
    """Write `slices/` and `image_labels/` of one slab."""
    count = len(index)
    couinaud_map = np.stack([draw_couinaud_map()] * count)
    noise = np.random.default_rng([slab, *map(ord, row.volume_id)]).integers(-6, 7, couinaud_map.shape)
    present = np.stack([(couinaud_map == segment).any(axis=(1, 2)) for segment in range(1, 9)], axis=1)
    label = np.tile(row.label_array(), (count, 1))
    keys = {
        "volume_id": [row.volume_id] * count,
        "slice_index": index,
        "image_label": label,
        "split": [row.split] * count,
    }
    slices = {
        **keys,
        "image": np.where(couinaud_map > 0, 170 + noise, 0).astype(np.uint8),
        "couinaud_map": couinaud_map,
        "segment_area_mm2": present * np.float32(800),
        "liver_median_hu": np.full(count, row.liver_median_hu, np.float32),
        "spacing_mm": np.tile(np.float32(row.spacing_mm), (count, 1)),
        "crop_start": np.tile(np.int32(row.crop_start), (count, 1)),
        "native_shape": np.tile(np.int32(row.native_shape), (count, 1)),
    }
    refined = label & ~np.isin(index, relabeled)[:, None]
    labels = {**keys, "refined_label": refined, "segments_present": present}
    run.write_table(encode(slices, slices_schema(HEIGHT, WIDTH)), "slices", row.volume_id, slab_name(slab))
    run.write_table(encode(labels, image_labels_schema()), "image_labels", row.volume_id, slab_name(slab))
