"""Small run folders with chosen slice labels and probabilities, written as the steps before would."""

from __future__ import annotations

import numpy as np

from pipeline.image_labels import encode_segments
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, image_labels_schema, probabilities_schema, slices_schema
from pipeline.slabs import VolumeRow, slab_name, write_volume_row


def write_volume(run, volume_id, slice_index, segments, slab_length, split="train"):
    """Commit the row of a volume that has the given slices; return it."""
    row = VolumeRow(
        volume_id=volume_id,
        split=split,
        image_label=tuple(encode_segments(segments).tolist()),
        native_shape=(int(max(slice_index)) + 1, 8, 8),
        spacing_mm=(5.0, 2.0, 2.0),
        origin_mm=(0.0, 0.0, 0.0),
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        native_orientation="LPS",
        crop_start=(0, 0, 0),
        liver_median_hu=100.0,
        liver_ml=1000.0,
        slice_count=len(slice_index),
        has_reference=False,
        content_sha256="0" * 64,
        slabs=tuple(sorted({int(k) // slab_length for k in slice_index})),
    )
    write_volume_row(run, row)
    return row


def by_slab(slice_index, slab_length):
    """Give (file name, positions) of each slab."""
    for slab in sorted({int(k) // slab_length for k in slice_index}):
        yield slab_name(slab), np.flatnonzero(np.asarray(slice_index) // slab_length == slab)


def write_slices(run, row, slice_index, couinaud_map, slab_length, pixel_area_mm2=4.0):
    """Write `slices/` of one volume with the given Couinaud maps."""
    height, width = couinaud_map.shape[1:]
    area = np.stack([(couinaud_map == s).sum(axis=(1, 2)) for s in range(1, 9)], axis=1) * pixel_area_mm2
    for name, at in by_slab(slice_index, slab_length):
        count = len(at)
        columns = {
            "volume_id": [row.volume_id] * count,
            "slice_index": np.asarray(slice_index, np.int32)[at],
            "image": np.full((count, height, width), 100, np.uint8) * (couinaud_map[at] > 0),
            "couinaud_map": couinaud_map[at],
            "image_label": np.tile(row.label_array(), (count, 1)),
            "segment_area_mm2": area[at].astype(np.float32),
            "liver_median_hu": np.full(count, row.liver_median_hu, np.float32),
            "spacing_mm": np.tile(np.float32(row.spacing_mm), (count, 1)),
            "crop_start": np.tile(np.int32(row.crop_start), (count, 1)),
            "native_shape": np.tile(np.int32(row.native_shape), (count, 1)),
            "split": [row.split] * count,
        }
        run.write_table(encode(columns, slices_schema(height, width)), "slices", row.volume_id, name)


def write_predictions(run: RunFolder, row, slice_index, refined_label, probability, slab_length):
    """Write `image_labels/` and, for pathological slices, `probabilities/` of one volume."""
    slice_index = np.asarray(slice_index, np.int32)
    pathological = refined_label.any(axis=1)
    for name, at in by_slab(slice_index, slab_length):
        label = np.tile(row.label_array(), (len(at), 1))
        labels = {
            "volume_id": [row.volume_id] * len(at),
            "slice_index": slice_index[at],
            "image_label": label,
            "refined_label": refined_label[at],
            "segments_present": refined_label[at],
            "split": [row.split] * len(at),
        }
        run.write_table(encode(labels, image_labels_schema()), "image_labels", row.volume_id, name)
        kept = at[pathological[at]]
        columns = {
            "volume_id": [row.volume_id] * len(kept),
            "slice_index": slice_index[kept],
            "tumor_probability": probability[kept],
            "named": [True] * len(kept),
        }
        schema = probabilities_schema(*probability.shape[1:])
        run.write_table(encode(columns, schema), "probabilities", row.volume_id, name)
