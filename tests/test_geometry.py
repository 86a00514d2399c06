from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import GridConfig
from pipeline.errors import CaseError
from pipeline.geometry import area_weights, find_crop_start, linear_weights, liver_box, to_grid, to_native

axis = {
    "start": st.integers(-9, 9),
    "native_size": st.integers(1, 24),
    "native_spacing": st.integers(1, 12),
    "grid_size": st.integers(1, 24),
    "grid_spacing": st.integers(1, 12),
}


@settings(max_examples=60)
@given(**axis)
def test_area_weights_equal_counting_fine_steps(start, native_size, native_spacing, grid_size, grid_spacing):
    """With whole spacings both grids consist of unit steps, so the overlap can be counted."""
    counted = np.zeros((grid_size, native_size))
    for step in range(grid_size * grid_spacing):
        voxel = (start * native_spacing + step) // native_spacing
        if 0 <= voxel < native_size:
            counted[step // grid_spacing, voxel] += 1 / grid_spacing
    weights = area_weights(start, native_size, native_spacing, grid_size, grid_spacing)
    np.testing.assert_allclose(weights, counted, atol=1e-6)


def test_area_weights_by_hand():
    weights = area_weights(start=-1, native_size=3, native_spacing_mm=1.0, grid_size=3, grid_spacing_mm=1.5)
    third = 1 / 3
    expected = [[third, 0, 0], [third, 2 * third, 0], [0, 0, 2 * third]]
    np.testing.assert_allclose(weights, expected, atol=1e-6)


@settings(max_examples=60)
@given(**axis)
def test_linear_weights_equal_interpolation(start, native_size, native_spacing, grid_size, grid_spacing):
    values = np.random.default_rng(grid_size).random(grid_size)
    pixel_mm = (np.arange(grid_size) + 0.5) * grid_spacing
    voxel_mm = (np.arange(native_size) + 0.5 - start) * native_spacing
    inside = (voxel_mm >= 0) & (voxel_mm < grid_size * grid_spacing)
    expected = np.where(inside, np.interp(voxel_mm, pixel_mm, values), 0)
    weights = linear_weights(start, native_size, native_spacing, grid_size, grid_spacing)
    np.testing.assert_allclose(weights @ values, expected, atol=1e-5)


@settings(max_examples=40)
@given(
    start=st.tuples(st.integers(0, 2), st.integers(-20, 20), st.integers(-20, 20)),
    size=st.tuples(st.integers(1, 41), st.integers(1, 41)),
    spacing=st.sampled_from([0.7, 0.68359375, 1.0, 1.3]),
)
def test_round_trip_on_equal_grids_is_the_identity(start, size, spacing):
    """Whatever of the mask lies in the grid's window comes back bit for bit, and nothing else."""
    grid = GridConfig(height=17, width=22, spacing_mm=spacing)
    mask = np.random.default_rng(size).random((3, *size)) < 0.5
    spacing_mm = (2.0, spacing, spacing)
    there = to_grid(mask, spacing_mm, start, grid)
    back = to_native(there, np.arange(3), mask.shape, spacing_mm, start, grid, 0.5)
    y, x = np.arange(size[0])[:, None] - start[1], np.arange(size[1]) - start[2]
    window = (y >= 0) & (y < grid.height) & (x >= 0) & (x < grid.width)
    np.testing.assert_array_equal(back, mask & window)


def _blob(spacing: float, size: int, center: tuple[float, float]) -> np.ndarray:
    """A smooth blob of some 60 mm, one slice."""
    mm = (np.arange(size) + 0.5) * spacing
    y, x = np.meshgrid(mm - center[0], mm - center[1], indexing="ij")
    angle = np.arctan2(y, x)
    return (np.hypot(y, x) < 30 + 6 * np.cos(3 * angle) + 3 * np.sin(2 * angle))[None]


@pytest.mark.parametrize(("grid_mm", "least_dice"), [(0.7, 1.0), (1.0, 0.98), (2.0, 0.94)])
@pytest.mark.parametrize("center", [(60.0, 61.0), (52.3, 70.1)])
def test_round_trip_of_a_blob_differs_only_by_resampling(grid_mm, least_dice, center):
    mask = _blob(0.7, 171, center)
    spacing_mm = (5.0, 0.7, 0.7)
    grid = GridConfig(height=160, width=150, spacing_mm=grid_mm)
    start = find_crop_start(mask, spacing_mm, grid)
    covered = to_grid(mask, spacing_mm, start, grid)
    back = to_native(covered, np.array([0]), mask.shape, spacing_mm, start, grid, 0.5)
    np.testing.assert_allclose(np.argwhere(back).mean(0), np.argwhere(mask).mean(0), atol=0.1)  # no shift
    hard = to_native(np.float32(covered >= 0.5), np.array([0]), mask.shape, spacing_mm, start, grid, 0.5)
    for found in (back, hard):
        assert 2 * np.sum(found & mask) / (np.sum(found) + np.sum(mask)) >= least_dice


def test_to_grid_keeps_the_area():
    mask = _blob(0.7, 171, (60.0, 61.0))
    grid = GridConfig(height=100, width=100, spacing_mm=1.7)
    covered = to_grid(mask, (5.0, 0.7, 0.7), find_crop_start(mask, (5.0, 0.7, 0.7), grid), grid)
    assert covered.sum() * 1.7**2 == pytest.approx(mask.sum() * 0.7**2, rel=1e-4)


def test_to_native_leaves_slices_without_a_plane_black():
    grid = GridConfig(height=16, width=16, spacing_mm=1.0)
    back = to_native(np.ones((1, 16, 16), np.float32), np.array([2]), (4, 20, 20), (1, 1, 1), (0, 2, 3), grid, 0.5)
    expected = np.zeros((4, 20, 20), bool)
    expected[2, 2:18, 3:19] = True
    np.testing.assert_array_equal(back, expected)


def test_crop_start_centers_the_liver():
    liver = np.zeros((9, 60, 60), bool)
    liver[4:7, 20:30, 41:60] = True
    assert liver_box(liver) == (slice(4, 7), slice(20, 30), slice(41, 60))
    start = find_crop_start(liver, (5.0, 1.0, 1.0), GridConfig(height=20, width=40, spacing_mm=1.0))
    assert start == (4, 15, 31)  # (20 + 30 - 20) / 2; (41 + 60 - 40) / 2 = 30.5 rounds up


@settings(max_examples=60)
@given(low=st.integers(0, 40), length=st.integers(1, 40), spacing=st.floats(0.4, 2.0), pixels=st.integers(16, 64))
def test_a_liver_that_fits_lies_wholly_on_the_grid(low, length, spacing, pixels):
    liver = np.zeros((1, 80, 80), bool)
    liver[0, low : low + length, low : low + length] = True
    grid = GridConfig(height=pixels, width=pixels, spacing_mm=1.0)
    if length * spacing > pixels:
        with pytest.raises(CaseError, match="LIVER_EXCEEDS_GRID"):
            find_crop_start(liver, (1.0, spacing, spacing), grid)
        return
    start = find_crop_start(liver, (1.0, spacing, spacing), grid)
    covered = to_grid(liver, (1.0, spacing, spacing), start, grid)
    assert covered.sum() == pytest.approx((length * spacing) ** 2, rel=1e-4)


def test_a_liver_larger_than_the_grid_is_named_with_both_sizes():
    liver = np.ones((1, 100, 200), bool)
    with pytest.raises(CaseError, match=r"90\.0 x 180\.0 mm in plane, the grid only 96\.0 x 128\.0 mm"):
        find_crop_start(liver, (1.0, 0.9, 0.9), GridConfig(height=96, width=128, spacing_mm=1.0))
