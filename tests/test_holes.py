"""Holes of masks, drawn by hand."""

import numpy as np

from pipeline.holes import fill_holes

PICTURE = """
.........
.###..##.
.#.#..#..
.###..##.
.........
"""


def draw(mark):
    return np.array([[character in mark for character in line] for line in PICTURE.split()])[None]


def test_ring_is_filled_and_bay_is_not():
    mask, everywhere = draw("#"), np.ones_like(draw("#"))
    expected = mask.copy()
    expected[0, 2, 2] = True
    np.testing.assert_array_equal(fill_holes(mask, everywhere), expected)
    np.testing.assert_array_equal(fill_holes(mask, mask), mask)


def test_hole_through_all_slices_is_filled_and_slices_do_not_mix():
    mask = np.repeat(draw("#"), 3, axis=0)
    mask[1] = False
    filled = fill_holes(mask, np.ones_like(mask))
    assert filled[:, 2, 2].tolist() == [True, False, True]
