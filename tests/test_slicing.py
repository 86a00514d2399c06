from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import GridConfig
from pipeline.errors import CaseError
from pipeline.schema import decode, encode, references_schema, slices_schema
from pipeline.slicing import NativeSlab, cut_slab, make_reference_slab, make_slab, plan_slices, volume_row
from pipeline.volume import Geometry, Volume

GRID = GridConfig(height=32, width=40, spacing_mm=4.0, slab_length=3)
FINE = GridConfig(height=48, width=48, spacing_mm=2.5, slab_length=4)


def make_volume(spacing_mm=(5.0, 2.0, 2.0), shape=(12, 60, 70), seed=0) -> Volume:
    """An ellipsoid liver of eight boxes, noise for an image, a ball for a tumor."""
    z, y, x = np.indices(shape)
    center = [side / 2 for side in shape]
    distance = sum(((axis + 0.5 - mid) / (0.8 * mid)) ** 2 for axis, mid in zip((z, y, x), center, strict=True))
    octants = 1 + (z >= center[0]) + 2 * (y >= center[1]) + 4 * (x >= center[2])
    liver = distance < 1
    hu = np.random.default_rng(seed).normal(100, 60, shape).round().astype(np.int16)
    tumor = liver & ((z - 6) ** 2 + (y - 25) ** 2 / 4 + (x - 30) ** 2 / 4 < 9)
    label = np.zeros(8, bool)
    label[[0, 3]] = True
    geometry = Geometry(shape, spacing_mm)
    return Volume("v", hu, liver, geometry, label, "test", tumor, (octants * liver).astype(np.uint8), "hash")


def cut(volume: Volume, grid: GridConfig) -> list[NativeSlab]:
    plan = plan_slices(volume, volume.couinaud_map, grid)
    return [cut_slab(volume, plan, slab) for slab in plan.slabs]


def slice_all(volume: Volume, grid: GridConfig) -> dict[str, np.ndarray]:
    """All rows of a volume, through the schema and back."""
    row = volume_row(volume, plan_slices(volume, volume.couinaud_map, grid))
    schema = slices_schema(grid.height, grid.width)
    slabs = [decode(encode(make_slab(native, row, grid), schema)) for native in cut(volume, grid)]
    return {name: np.concatenate([slab[name] for slab in slabs]) for name in schema.names}


def test_plan_names_the_slabs_of_all_liver_slices():
    volume = make_volume()
    plan = plan_slices(volume, volume.couinaud_map, GRID)
    assert plan.slice_index.tolist() == np.flatnonzero(volume.liver_mask.any(axis=(1, 2))).tolist()
    assert plan.slabs == tuple(sorted({index // 3 for index in plan.slice_index.tolist()}))
    assert plan.liver_median_hu == np.median(volume.hu[volume.liver_mask])
    assert plan.liver_ml == pytest.approx(volume.liver_mask.sum() * 5 * 2 * 2 / 1000)


def test_rows_and_plan_agree_where_the_liver_is_too_thin_for_a_pixel():
    volume = make_volume()
    volume.liver_mask[0, 30, 30] = True
    volume.couinaud_map[0, 30, 30] = 1
    rows = slice_all(volume, GRID)
    assert 0 not in rows["slice_index"]
    assert rows["couinaud_map"].any(axis=(1, 2)).all()
    assert volume_row(volume, plan_slices(volume, volume.couinaud_map, GRID)).slice_count == len(rows["slice_index"])


def test_on_an_equal_grid_slices_are_copies():
    volume = make_volume(spacing_mm=(5.0, 2.5, 2.5), shape=(12, 40, 44))
    rows = slice_all(volume, FINE)
    _, y, x = rows["crop_start"][0]
    window = np.s_[rows["slice_index"], max(y, 0) : y + 48, max(x, 0) : x + 48]
    inside = np.s_[:, max(-y, 0) : 40 - y, max(-x, 0) : 44 - x]
    liver = volume.liver_mask[window]
    gray = np.clip(np.rint((volume.hu[window] + 200.0) * 255 / 450), 0, 255)
    np.testing.assert_array_equal(rows["couinaud_map"][inside], volume.couinaud_map[window])
    np.testing.assert_array_equal(rows["image"][inside], np.where(liver, gray, 0))
    assert np.count_nonzero(rows["couinaud_map"]) == np.count_nonzero(liver)


def test_a_pixel_is_liver_from_half_its_area_and_its_gray_comes_from_the_liver_only():
    """Two by two voxels per pixel: three, two, and one of four are liver; gray 100 in it, 255 around."""
    liver = np.zeros((1, 32, 32), bool)
    liver[0, :2, :6] = [[1, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0]]
    hu = np.where(liver, -200 + 100 * 450 / 255, 3000).round().astype(np.int16)
    segments = np.zeros((1, 32, 32), np.uint8)
    segments[0, :2, :6] = [[3, 2, 4, 7, 5, 0], [2, 0, 0, 0, 0, 0]]
    grid = GridConfig(height=16, width=16, spacing_mm=2.0)
    volume = replace(make_volume(), hu=hu, liver_mask=liver, geometry=Geometry((1, 32, 32), (1.0, 1.0, 1.0)))
    template = volume_row(make_volume(), plan_slices(make_volume(), make_volume().couinaud_map, GRID))
    row = replace(template, spacing_mm=(1.0, 1.0, 1.0), crop_start=(0, 0, 0))
    native = NativeSlab(0, np.array([0], np.int32), (0, 0), volume.hu, liver, segments, liver)
    made = make_slab(native, row, grid)
    assert made["couinaud_map"][0, 0, :3].tolist() == [2, 4, 0]  # of two equals the lower, 4 before 7
    assert made["image"][0, 0, :3].tolist() == [100, 100, 0]
    assert made["segment_area_mm2"].tolist() == [[0, 4, 0, 4, 0, 0, 0, 0]]
    assert make_reference_slab(native, row, grid)["reference_mask"][0, 0, :3].tolist() == [True, True, False]


@pytest.mark.parametrize("spacing_mm", [(5.0, 1.7, 1.7), (5.0, 2.3, 1.9)])
def test_every_liver_pixel_has_a_segment_and_areas_match_the_volume(spacing_mm):
    volume = make_volume(spacing_mm)
    rows = slice_all(volume, FINE)
    native_area = np.array([[np.sum(plane == s) for s in range(1, 9)] for plane in volume.couinaud_map])
    native_area = native_area[rows["slice_index"]] * spacing_mm[1] * spacing_mm[2]
    np.testing.assert_allclose(rows["segment_area_mm2"].sum(0), native_area.sum(0), rtol=0.05)
    assert rows["segment_area_mm2"].dtype == np.float32
    assert not rows["image"][rows["couinaud_map"] == 0].any()


def test_rows_carry_the_volume():
    volume = make_volume()
    rows = slice_all(volume, GRID)
    assert rows["image_label"].tolist() == [volume.image_label.tolist()] * len(rows["slice_index"])
    assert set(rows["split"]) == {"test"}
    assert rows["native_shape"][0].tolist() == [12, 60, 70]
    assert rows["spacing_mm"][0].tolist() == [5.0, 2.0, 2.0]


def test_references_are_rows_of_the_same_slices_inside_the_liver():
    volume = make_volume()
    volume.reference_mask[6, 0, 0] = True  # outside the liver
    row = volume_row(volume, plan_slices(volume, volume.couinaud_map, FINE))
    for native in cut(volume, FINE):
        columns = make_reference_slab(native, row, FINE)
        decoded = decode(encode(columns, references_schema(48, 48)))
        np.testing.assert_array_equal(decoded["slice_index"], native.slice_index)
        liver = make_slab(native, row, FINE)["couinaud_map"] > 0
        assert not (decoded["reference_mask"] & ~liver).any()
    area = sum(make_reference_slab(native, row, FINE)["reference_mask"].sum() for native in cut(volume, FINE)) * 2.5**2
    assert area == pytest.approx((volume.reference_mask & volume.liver_mask).sum() * 4.0, rel=0.1)


def test_a_slab_without_a_reference_has_no_reference_rows():
    volume = replace(make_volume(), reference_mask=None)
    row = volume_row(volume, plan_slices(volume, volume.couinaud_map, GRID))
    assert not row.has_reference
    with pytest.raises(ValueError, match="no reference mask"):
        make_reference_slab(cut(volume, GRID)[0], row, GRID)


@pytest.mark.parametrize(
    ("spacing_mm", "keep", "code", "message"),
    [
        ((5.0, 2.0, 2.0), 0, "EMPTY_LIVER", "none of the 12 x 60 x 70 voxels"),
        ((0.5, 0.5, 0.5), 1, "LIVER_VOLUME", r"holds 1\.\d ml, expected 50..8000 ml"),
        ((50.0, 5.0, 5.0), 1, "LIVER_VOLUME", "expected 50..8000 ml"),
        ((2.0, 4.0, 4.0), 1, "LIVER_EXCEEDS_GRID", "the grid only 128.0 x 160.0 mm"),
    ],
)
def test_62_implausible_livers_are_rejected_with_both_sides(spacing_mm, keep, code, message):
    volume = make_volume(spacing_mm)
    volume = replace(volume, liver_mask=volume.liver_mask & bool(keep))
    with pytest.raises(CaseError, match=message) as rejected:
        plan_slices(volume, volume.couinaud_map, GRID)
    assert (rejected.value.code, rejected.value.step) == (code, "plan_slices")
