"""A small run folder as the steps before the evaluation leave it, with masks that a test can compute again."""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays import SEGMENT_COUNT
from pipeline.case_results import WEAK_LABEL_STEPS
from pipeline.config import CouinaudNetConfig, GridConfig, PhantomConfig, PipelineConfig, SourceConfig
from pipeline.image_labels import encode_segments
from pipeline.pixel_labels import refine_pixel_labels
from pipeline.run_folder import RunFolder
from pipeline.schema import (
    encode,
    image_labels_schema,
    native_references_schema,
    probabilities_schema,
    pseudo_labels_schema,
    references_schema,
    slices_schema,
)
from pipeline.slabs import VolumeRow, slab_name, write_volume_row
from pipeline.volume import Geometry, to_native_image

GRID = GridConfig(height=16, width=20, spacing_mm=2.0, slab_length=4)
NATIVE_SHAPE = (12, 32, 40)
SPACING_MM = (5.0, 1.0, 1.0)
LIVER_SLICES = np.arange(2, 11, dtype=np.int32)


@dataclass
class Masks:
    """What was written for one volume; arrays over `LIVER_SLICES` unless native."""

    refined_label: np.ndarray
    probability: np.ndarray
    reference: np.ndarray
    native_reference: np.ndarray
    native_prediction: np.ndarray


def make_config(folder, **changes):
    source = SourceConfig(layout="phantom")
    phantom = PhantomConfig(train_pathological=2, test=2)
    return PipelineConfig(run=str(folder), seed=7, source=source, phantom=phantom, grid=GRID, **changes)


def write_run(folder, predict_relabeled=True):
    """Write three train volumes (one healthy), a validation and three test volumes (one without reference)."""
    config = make_config(folder, couinaudnet=CouinaudNetConfig(predict_relabeled=predict_relabeled))
    run, generator = RunFolder(config.run), np.random.default_rng(3)
    roles = {
        "train_0": ("train", [4], True),
        "train_1": ("train", [2, 5], True),
        "train_healthy": ("train", [], True),
        "validation_0": ("validation", [6], True),
        "test_0": ("test", [1], True),
        "test_1": ("test", [8], True),
        "test_unknown": ("test", [3], False),
    }
    masks = {}
    for volume_id, (split, segments, has_reference) in roles.items():
        volume = make_volume_row(volume_id, split, segments, has_reference)
        masks[volume_id] = _draw_masks(generator, volume)
        _write_volume(run, volume, masks[volume_id], config)
    for step in ("ingest", *WEAK_LABEL_STEPS.values(), "predict_segmentation"):
        run.write_json(
            {"step": step, "taken": 7, "given": 7, "quarantined": {}, "seconds": 1.5}, "reports", f"{step}.json"
        )
    return config, masks


def make_volume_row(volume_id, split, segments=(), has_reference=False):
    return VolumeRow(
        volume_id=volume_id,
        split=split,
        image_label=tuple(encode_segments(segments).tolist()),
        native_shape=NATIVE_SHAPE,
        spacing_mm=SPACING_MM,
        origin_mm=(0.0, 0.0, 0.0),
        direction=Geometry(NATIVE_SHAPE, SPACING_MM).direction,
        native_orientation="RAS",
        crop_start=(2, 0, 0),
        liver_median_hu=100.0,
        liver_ml=500.0,
        slice_count=len(LIVER_SLICES),
        has_reference=has_reference,
        content_sha256="",
        slabs=(0, 1, 2),
    )


def _draw_masks(generator, volume):
    shape = (len(LIVER_SLICES), GRID.height, GRID.width)
    native_reference = np.zeros(NATIVE_SHAPE, bool)
    if not volume.healthy:
        native_reference[4:8, 8:20, 10:22] = True
        native_reference[9, 24:28, 30:36] = True
    shifted = np.roll(native_reference, int(generator.integers(1, 4)), axis=2)
    refined = np.tile(volume.label_array(), (len(LIVER_SLICES), 1))
    refined[[0, 1, 8]] = False
    probability = (40 * generator.random(shape)).astype(np.uint8)
    probability[1:6, 4:10, 6:12] = 200
    probability[8, 1:3, 1:3] = 180
    reference = native_reference[LIVER_SLICES][:, ::2, ::2]
    return Masks(refined, probability, reference, native_reference, shifted)


def _write_volume(run, volume, masks, config):
    write_volume_row(run, volume)
    named = masks.refined_label.any(axis=1)
    if volume.has_reference:
        _write_slabs(run, "references/grid", volume, references_schema(16, 20), reference_mask=masks.reference)
        index = np.flatnonzero(masks.native_reference.any(axis=(1, 2))).astype(np.int32)
        columns = {"volume_id": [volume.volume_id] * len(index), "slice_index": index}
        columns["reference_mask"] = masks.native_reference[index]
        table = encode(columns, native_references_schema(*NATIVE_SHAPE[1:]))
        run.write_table(table, "references", "native", f"{volume.volume_id}.parquet")
    _write_slabs(
        run,
        "image_labels",
        volume,
        image_labels_schema(),
        image_label=np.tile(volume.label_array(), (len(LIVER_SLICES), 1)),
        refined_label=masks.refined_label,
        segments_present=np.ones((len(LIVER_SLICES), SEGMENT_COUNT), bool),
        split=np.full(len(LIVER_SLICES), volume.split, object),
    )
    _write_slices(run, volume)
    if volume.split == "train" and not volume.healthy:
        _write_pseudo_labels(run, volume, masks, named, config)
    if volume.split != "train":
        _write_prediction(run, volume, masks.native_prediction)


def _write_slices(run, volume):
    count = len(LIVER_SLICES)
    segments = np.zeros((count, GRID.height, GRID.width), np.uint8)
    segments[:, 2:14, 2:18] = 1 + np.arange(16) // 2
    _write_slabs(
        run,
        "slices",
        volume,
        slices_schema(16, 20),
        image=np.where(segments > 0, 150, 0).astype(np.uint8),
        couinaud_map=segments,
        image_label=np.tile(volume.label_array(), (count, 1)),
        segment_area_mm2=np.full((count, SEGMENT_COUNT), 96, np.float32),
        liver_median_hu=np.full(count, 100, np.float32),
        spacing_mm=np.tile(np.array(SPACING_MM, np.float32), (count, 1)),
        crop_start=np.tile(np.array(volume.crop_start, np.int32), (count, 1)),
        native_shape=np.tile(np.array(NATIVE_SHAPE, np.int32), (count, 1)),
        split=np.full(count, volume.split, object),
    )


def _write_pseudo_labels(run, volume, masks, named, config):
    kept = np.ones(len(named), bool) if config.couinaudnet.predict_relabeled else named
    schema = probabilities_schema(16, 20)
    _write_slabs(run, "probabilities", volume, schema, kept, tumor_probability=masks.probability, named=named)
    labels = config.pixel_labels
    pathological = masks.probability[named]
    refined = refine_pixel_labels(pathological, LIVER_SLICES[named], labels.threshold, labels.scale)
    before, after = np.zeros_like(masks.reference), np.zeros_like(masks.reference)
    before[named], after[named] = refined.pseudo_mask, refined.refined_mask
    index = np.zeros(len(named), np.float32)
    index[named] = refined.continuity_index
    schema = pseudo_labels_schema(16, 20)
    _write_slabs(run, "pseudo_labels", volume, schema, pseudo_mask=before, refined_mask=after, continuity_index=index)


def _write_slabs(run, table, volume, schema, kept=None, **columns):
    kept = np.ones(len(LIVER_SLICES), bool) if kept is None else kept
    for slab in volume.slabs:
        rows = kept & (LIVER_SLICES // GRID.slab_length == slab)
        values = {name: column[rows] for name, column in columns.items()}
        keys = {"volume_id": [volume.volume_id] * int(rows.sum()), "slice_index": LIVER_SLICES[rows]}
        run.write_table(encode(keys | values, schema), table, volume.volume_id, slab_name(slab))


def _write_prediction(run, volume, mask):
    import SimpleITK as sitk

    geometry = Geometry(volume.native_shape, volume.spacing_mm, native_orientation=volume.native_orientation)
    path = run.local("predictions", f"{volume.volume_id}.nii.gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_native_image(mask, geometry), str(path))
