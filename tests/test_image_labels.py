"""ILR: hand-checkable labels, and eq. 2 against set intersection."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.image_labels import encode_segments, find_segments_present, refine_image_labels, select_named_pixels

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
