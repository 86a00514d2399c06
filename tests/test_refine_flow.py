"""ILR and PLR over a run folder: equal to plain loops for any slab length, order and gaps, through real Ray."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import refine_image_labels, refine_pixel_labels
from pipeline.archive.quarantine import read_rejections
from pipeline.config import GridConfig, ImageLabelConfig, PipelineConfig, PixelLabelConfig
from pipeline.image_labels import encode_segments
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slab, read_slices, read_volume_rows
from pipeline.stages.refine_pixel_labels import RefinePixelLabels, cut_work
from tests.label_cases import write_predictions, write_slices, write_volume
from tests.test_pixel_labels import loop_plr

SHAPE = (16, 16)


def random_volume(rng, count):
    """Slices with gaps, some of them relabeled healthy; probabilities that overlap from slice to slice."""
    slice_index = np.cumsum(rng.integers(1, 3, count))
    refined = np.tile(encode_segments([3]), (count, 1)) & (rng.random(count) < 0.8)[:, None]
    drift = rng.integers(-40, 40, (count, *SHAPE))
    probability = np.clip(rng.integers(0, 256, SHAPE) + drift, 0, 255).astype(np.uint8)
    return slice_index, refined, probability


def expected_masks(slice_index, refined, probability, config, radius=1):
    """The oracle: black healthy slices, the paper's loop over the others."""
    before, after = np.zeros((2, *probability.shape), bool)
    index, sick = np.zeros(len(refined)), refined.any(axis=1)
    if sick.any():
        before[sick], after[sick], index[sick] = loop_plr(
            probability[sick], slice_index[sick], config.threshold, config.scale, radius
        )
    return before, after, index


def cut_anywhere(rng, slabs):
    """Cut the slabs of a volume into work items at random places, in any order."""
    cuts = np.flatnonzero(rng.random(len(slabs) - 1) < 0.5) + 1
    items = [part.tolist() for part in np.split(np.array(slabs), cuts)]
    rng.shuffle(items)
    return items


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 14), st.integers(1, 4))
def test_slabs_of_any_length_and_order_equal_the_loop(tmp_path_factory, seed, slab_length, count, radius):
    rng, run = np.random.default_rng(seed), RunFolder(str(tmp_path_factory.mktemp("run")))
    slice_index, refined, probability = random_volume(rng, count)
    row = write_volume(run, "v", slice_index, [3], slab_length)
    write_predictions(run, row, slice_index, refined, probability, slab_length)
    config = PixelLabelConfig(radius=radius)
    stage = RefinePixelLabels(run, GridConfig(height=16, width=16, slab_length=slab_length), config, {"v": row})
    items = cut_anywhere(rng, row.slabs)
    given_rows = [next(stage.process({"volume_id": "v", "slabs": item})) for item in items]
    before, after, index = expected_masks(slice_index, refined, probability, config, radius)
    rows = read_slices(run, "pseudo_labels", row, slab_length, 0, 10_000)
    np.testing.assert_array_equal(rows["slice_index"], slice_index)
    np.testing.assert_array_equal(rows["pseudo_mask"], before)
    np.testing.assert_array_equal(rows["refined_mask"], after)
    np.testing.assert_array_equal(rows["continuity_index"], index.astype(np.float32))
    area, refined_area = before.sum(axis=(1, 2)), after.sum(axis=(1, 2))
    assert sum(given["slices"] for given in given_rows) == count
    assert sum(given["deleted"] for given in given_rows) == np.sum((area > 0) & (refined_area == 0))
    assert sum(given["grown"] for given in given_rows) == np.sum(refined_area > area)


def test_reach_in_millimeters_is_taken_per_volume(tmp_path):
    run, rng = RunFolder(str(tmp_path)), np.random.default_rng(2)
    slice_index, refined, probability = random_volume(rng, 40)
    config = PixelLabelConfig(radius=4, radius_mm=10.0)  # two slices of 5 mm
    row = write_volume(run, "v", slice_index, [3], 4)
    write_predictions(run, row, slice_index, refined, probability, 4)
    stage = RefinePixelLabels(run, GridConfig(height=16, width=16, slab_length=4), config, {"v": row})
    list(stage.process({"volume_id": "v", "slabs": list(row.slabs)}))
    expected = [expected_masks(slice_index, refined, probability, config, radius)[1] for radius in (1, 2, 4)]
    found = read_slices(run, "pseudo_labels", row, 4, 0, 10_000)["refined_mask"]
    assert [np.array_equal(found, mask) for mask in expected] == [False, True, False]


def test_work_items_are_few_and_hold_each_slab_once(tmp_path):
    rows = [write_volume(RunFolder(str(tmp_path)), f"v{n}", range(n), [3], 100) for n in (50, 1200)]
    assert [(item["volume_id"], item["slabs"]) for item in cut_work(rows, 100)] == [
        ("v50", [0]),
        ("v1200", [0, 1, 2, 3, 4]),
        ("v1200", [5, 6, 7, 8, 9]),
        ("v1200", [10, 11]),
    ]


def test_job_refines_many_volumes_through_ray(ray_cluster, tmp_path):
    config = PipelineConfig(run=str(tmp_path), grid=GridConfig(height=16, width=16, slab_length=4))
    run = RunFolder(config.run)
    run.write_json({"quarantined": {}}, "reports", "predict_tumors.json")
    rng = np.random.default_rng(5)
    cases = {f"v{i}": random_volume(rng, count) for i, count in enumerate([1, 2, 9, 17, 5])}
    for name, (slice_index, refined, probability) in cases.items():
        row = write_volume(run, name, slice_index, [3], 4)
        write_predictions(run, row, slice_index, refined, probability, 4)
    assert refine_pixel_labels.main(config) == 0
    for row in read_volume_rows(run):
        before, after, _ = expected_masks(*cases[row.volume_id], config.pixel_labels)
        rows = read_slices(run, "pseudo_labels", row, 4, 0, 10_000)
        np.testing.assert_array_equal(rows["pseudo_mask"], before)
        np.testing.assert_array_equal(rows["refined_mask"], after)


def test_switched_off_refinement_keeps_the_thresholded_masks(tmp_path):
    run = RunFolder(str(tmp_path))
    row = write_volume(run, "v", [0], [3], 4)
    write_predictions(run, row, [0], encode_segments([3])[None], np.full((1, *SHAPE), 255, np.uint8), 4)
    config = PixelLabelConfig(enabled=False)
    stage = RefinePixelLabels(run, GridConfig(height=16, width=16, slab_length=4), config, {"v": row})
    list(stage.process({"volume_id": "v", "slabs": [0]}))
    assert read_slab(run, "pseudo_labels", "v", 0)["refined_mask"].all()


@pytest.mark.parametrize("enabled", [True, False])
def test_73_image_label_job_on_drawn_slices(ray_cluster, tmp_path, enabled):
    config = PipelineConfig(
        run=str(tmp_path),
        grid=GridConfig(height=16, width=16, slab_length=2),
        image_labels=ImageLabelConfig(minimum_area_mm2=40.0, enabled=enabled),
    )
    run = RunFolder(config.run)
    run.write_json({"quarantined": {}}, "reports", "ingest.json")
    couinaud_map = np.zeros((3, *SHAPE), np.uint8)
    couinaud_map[:, :8] = 2
    couinaud_map[1, :8, :2] = 7  # 16 pixels of 4 mm2: present
    couinaud_map[2, :3, :3] = 7  # 9 pixels: 36 mm2, too small
    row = write_volume(run, "v", range(3), [7], 2)
    write_slices(run, row, range(3), couinaud_map, 2)
    lost = write_volume(run, "w", [1], [5, 7], 2)  # case 73: segment 7 is nowhere as large as that
    write_slices(run, lost, [1], couinaud_map[2:], 2)
    tested = write_volume(run, "x", [1], [5, 7], 2, split="test")  # measured with ILR and without
    write_slices(run, tested, [1], couinaud_map[2:], 2)
    assert refine_image_labels.main(config) == (3 if enabled else 0)
    message = "the label names segments 5, 7, none of 1 slices has 40 mm2 of one"
    assert [(item.code, item.message) for item in read_rejections(run)] == [("LABEL_NOT_IN_MAP", message)] * enabled
    assert run.exists("image_labels", "w") != enabled
    assert [volume.volume_id for volume in read_volume_rows(run, "test")] == ["x"]
    labels = read_slices(run, "image_labels", row, 2, 0, 3)
    expected = [False, True, False] if enabled else [True, True, True]
    assert labels["refined_label"].any(axis=1).tolist() == expected
    assert labels["image_label"][:, 6].all()
    assert labels["segments_present"][:, 6].tolist() == [False, True, False]


@pytest.mark.parametrize("slab_length", [3, 50])
def test_lesions_are_judged_in_the_whole_volume_whatever_its_slabs(tmp_path, slab_length):
    run, index = RunFolder(str(tmp_path)), np.array([0, 1, 2, 3, 5, 6, 7, 8])
    row = write_volume(run, "v", index, [3], slab_length)
    couinaud_map = np.full((len(index), *SHAPE), 3, np.uint8)
    write_slices(run, row, index, couinaud_map, slab_length)
    probability = np.zeros((len(index), *SHAPE), np.uint8)
    probability[1:4, 4:12, 4:12], probability[7, :3, :3] = 230, 140
    refined_label = np.tile(encode_segments([3]), (len(index), 1))
    refined_label[4] = False
    write_predictions(run, row, index, refined_label, probability, slab_length)
    config = PixelLabelConfig(method="lesions", minimum_relative_hu=-1000.0)
    stage = RefinePixelLabels(run, GridConfig(height=16, width=16, slab_length=slab_length), config, {"v": row})
    (work,) = cut_work([row], slab_length, whole=True)
    (given_row,) = stage.process(work)
    masks = read_slices(run, "pseudo_labels", row, slab_length, 0, 100)
    assert given_row == {"volume_id": "v", "slices": 8, "deleted": 1, "grown": 0}
    assert masks["pseudo_mask"].any(axis=(1, 2)).tolist() == [False, True, True, True, False, False, False, True]
    assert masks["refined_mask"].any(axis=(1, 2)).tolist() == [False, True, True, True, False, False, False, False]
