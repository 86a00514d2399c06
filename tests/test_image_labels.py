"""ILR: hand-checkable labels, and eq. 2 against set intersection."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import ImageLabelConfig
from pipeline.errors import RefusedInputError
from pipeline.image_labels import (
    encode_segments,
    find_segments_present,
    find_tumor_segments,
    refine_image_labels,
    select_named_pixels,
)
from pipeline.run_folder import RunFolder
from pipeline.schema import encode, references_schema
from pipeline.slabs import read_slices, slab_name
from pipeline.stages.refine_image_labels import RefineImageLabels, require_references
from tests.couinaudnet_cases import HEIGHT, SLAB, WIDTH, write_case

segments = st.sets(st.integers(1, 8))


@given(st.lists(st.tuples(segments, segments), min_size=1, max_size=5))
def test_refinement_is_set_intersection(rows):
    label = np.stack([encode_segments(named) for named, _ in rows])
    present = np.stack([encode_segments(there) for _, there in rows])
    expected = [encode_segments(named & there).tolist() for named, there in rows]
    assert refine_image_labels(label, present).tolist() == expected


def test_slice_without_named_segment_becomes_healthy():
    label = encode_segments([6])[None]
    assert not refine_image_labels(label, encode_segments([2, 3, 4])[None]).any()


def test_segment_is_present_from_minimum_area_on():
    area = np.array([[0, 49.9, 50, 400, 0, 0, 0, 0]], dtype=np.float32)
    assert find_segments_present(area, 50.0)[0].nonzero()[0].tolist() == [2, 3]


def test_absent_segment_is_never_present_even_without_minimum():
    assert not find_segments_present(np.zeros((1, 8), np.float32), 0.0).any()


def test_named_pixels_on_a_drawn_map():
    couinaud_map = np.array([[[0, 1, 1], [4, 5, 0]]], dtype=np.uint8)
    named = select_named_pixels(couinaud_map, encode_segments([1, 5])[None])
    assert named[0].tolist() == [[False, True, True], [False, True, False]]


@pytest.mark.parametrize("segment", [0, 9, -1])
def test_segment_outside_one_to_eight_is_an_error(segment):
    with pytest.raises(ValueError, match=str(segment)):
        encode_segments([segment])


def test_different_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"\(1, 8\).*\(2, 8\)"):
        refine_image_labels(np.zeros((1, 8), bool), np.zeros((2, 8), bool))


def test_true_label_names_segments_with_a_tumor_pixel():
    couinaud_map = np.array([[[0, 4, 4], [5, 5, 0]], [[0, 4, 4], [6, 6, 0]]], np.uint8)
    tumor = np.array([[[1, 1, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]]], bool)
    assert [row.nonzero()[0].tolist() for row in find_tumor_segments(couinaud_map, tumor)] == [[3, 4], []]


def test_labels_of_training_slices_come_from_the_references_on_request(tmp_path):
    run, tumor = RunFolder(str(tmp_path)), np.zeros((6, HEIGHT, WIDTH), bool)
    tumor[2, 12, 14] = tumor[5, 12, 34] = True  # segment 5 is above on the left, 4 above on the right
    rows = [write_case(run, "v", segments=(5, 3)), write_case(run, "w", segments=(5,), split="validation")]
    for slab in rows[0].slabs:
        index = np.arange(6, dtype=np.int32)[slab * SLAB : (slab + 1) * SLAB]
        columns = {"volume_id": ["v"] * len(index), "slice_index": index, "reference_mask": tumor[index]}
        table = encode(columns, references_schema(HEIGHT, WIDTH))
        run.write_table(table, "references", "grid", "v", slab_name(slab))
    stage = RefineImageLabels(run, ImageLabelConfig(source="reference"))
    counts = [next(stage.process({"volume_id": row.volume_id, "slabs": list(row.slabs)})) for row in rows]
    labels = [read_slices(run, "image_labels", row, SLAB, 0, 6)["refined_label"] for row in rows]
    assert [row.nonzero()[0].tolist() for row in labels[0]] == [[], [], [4], [], [], [3]]
    assert labels[1].tolist() == [encode_segments([5]).tolist()] * 6
    assert [count["relabeled"] for count in counts] == [4, 0]


def test_true_labels_need_references(tmp_path):
    run = RunFolder(str(tmp_path))
    volumes = [replace(write_case(run, name, segments=(5,)), has_reference=name == "a") for name in "ab"]
    require_references(volumes, ImageLabelConfig())
    with pytest.raises(RefusedInputError, match="1 of 2 pathological training volumes have no reference mask: b"):
        require_references(volumes, ImageLabelConfig(source="reference"))


def test_true_labels_are_not_for_the_ablation_without_ilr():
    with pytest.raises(ValueError, match=r"image_labels.source: 'reference' needs image_labels.enabled"):
        ImageLabelConfig(enabled=False, source="reference")
