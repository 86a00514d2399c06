"""Metrics against searches over all voxels, results that add up, and the comparison over an archive."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import pipeline.couinaud as couinaud
from pipeline.archive.catalog import list_cases
from pipeline.config import CouinaudConfig, CouinaudEvaluationConfig
from pipeline.couinaud import CouinaudMap
from pipeline.couinaud.agreement import compare_maps, find_home_segments, measure_areas, measure_surface_distance
from pipeline.couinaud.evaluation import (
    CASE_COLUMNS,
    MethodResult,
    case_rows,
    format_summary,
    summarize,
)
from pipeline.couinaud.evaluation_picture import CutVolume, cut_volume, draw_volumes
from pipeline.csv_text import format_csv
from pipeline.errors import CaseError
from pipeline.image_labels import encode_segments
from pipeline.run_folder import RunFolder
from pipeline.stages.evaluate_couinaud import EvaluateConstructors, evaluation_config
from pipeline.volume import Geometry, Volume
from tests.couinaud_cases import configure, phantom

SPACING_MM = (2.5, 0.8, 1.1)


def find_surface(mask):
    """Voxels with a face neighbor outside, one by one."""
    padded = np.pad(mask, 1)
    steps = [step for axis in np.eye(3, dtype=int) for step in (axis, -axis)]
    return [p for p in np.argwhere(mask) if not all(padded[tuple(p + 1 + step)] for step in steps)]


def search_surface_distance(a, b, spacing_mm):
    sides = [np.array(find_surface(mask)) * spacing_mm for mask in (a, b)]
    pairs = np.linalg.norm(sides[0][:, None] - sides[1][None], axis=2)
    return float(np.concatenate([pairs.min(axis=1), pairs.min(axis=0)]).mean())


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_surface_distance_equals_a_search(seed, share, other_share):
    random = np.random.default_rng(seed)
    a, b = random.random((4, 5, 6)) < share, random.random((4, 5, 6)) < other_share
    found = measure_surface_distance(a, b, SPACING_MM)
    assert found == measure_surface_distance(b, a, SPACING_MM)
    assert measure_surface_distance(a, a, SPACING_MM) in (0.0, None)
    if not (a.any() and b.any()):
        assert found is None
    else:
        assert found == pytest.approx(search_surface_distance(a, b, SPACING_MM))


def test_shifted_slab_is_as_far_as_it_was_shifted():
    a, b = np.zeros((9, 4, 4), bool), np.zeros((9, 4, 4), bool)
    a[2], b[5] = True, True
    assert measure_surface_distance(a, b, (2.0, 1.0, 1.0)) == 6.0


def make_pair():
    """A liver of three slices, segment 2 beside 3; the map has moved the border by one column on two slices.

    The patient's label names 2 and 3. Slice 2 of the annotation has no segment 3 at all.
    """
    annotation = np.zeros((4, 3, 6), np.uint8)
    annotation[1:, :, :3], annotation[1:, :, 3:] = 2, 3
    annotation[2] = 2
    made = annotation.copy()
    made[1, :, 2] = 3
    made[2, :, 5] = 3
    tumors = np.zeros(annotation.shape, bool)
    tumors[1, 0, 1:3] = tumors[1, 2, 4] = True
    volume = Volume(
        "a",
        np.zeros(annotation.shape, np.int16),
        annotation > 0,
        Geometry(annotation.shape, (5.0, 2.0, 1.0)),
        encode_segments([2, 3]),
        reference_mask=tumors,
    )
    return made, annotation, volume


def test_agreement_of_a_pair_that_can_be_counted():
    made, annotation, volume = make_pair()
    found = compare_maps(made, annotation, volume, minimum_area_mm2=6.0)
    assert found.dice[1] == pytest.approx(2 * 30 / (36 + 30))
    assert found.dice[2] == pytest.approx(2 * 18 / (18 + 24))
    assert found.dice[0] is None
    assert found.surface_mm[0] is None
    assert found.presence_accuracy == pytest.approx(1 - 1 / 24)
    assert (found.tumors, found.tumors_right) == (2, 2)
    assert (found.labels, found.labels_changed, found.slices, found.slices_changed) == (6, 1, 3, 0)


def test_area_below_the_minimum_is_absent_on_both_sides():
    made, annotation, volume = make_pair()
    assert compare_maps(made, annotation, volume, minimum_area_mm2=6.1).presence_accuracy == 1.0


def test_slice_that_turns_healthy_is_counted():
    made, annotation, volume = make_pair()
    found = compare_maps(made, annotation, replace(volume, image_label=encode_segments([3])), 6.0)
    assert (found.labels, found.labels_changed, found.slices_changed) == (3, 1, 1)
    healthy = compare_maps(made, annotation, replace(volume, image_label=encode_segments([])), 6.0)
    assert (healthy.labels, healthy.labels_changed, healthy.slices, healthy.slices_changed) == (0, 0, 0, 0)


def test_map_equal_to_the_annotation_agrees_wholly():
    volume = phantom()
    found = compare_maps(volume.couinaud_map, volume.couinaud_map, volume, 50.0)
    assert set(found.dice) == {1.0}
    assert set(found.surface_mm) == {0.0}
    assert found.presence_accuracy == 1.0
    assert found.tumors == found.tumors_right > 0
    assert found.labels > found.labels_changed == 0


def test_tumor_belongs_to_the_segment_that_holds_most_of_it():
    made, annotation, volume = make_pair()
    tumors = np.zeros_like(volume.liver_mask)
    tumors[1, 0, 2:5] = True
    homes, right = find_home_segments(tumors, made, annotation)
    assert (homes.tolist(), right.tolist()) == ([3], [3])
    tumors[1, 0, 4] = False
    tumors[1, 0, 1] = True
    homes, right = find_home_segments(tumors, made, annotation)
    assert (homes.tolist(), right.tolist()) == ([3], [2])
    touching = np.zeros_like(tumors)
    touching[1, 0, 0] = touching[2, 1, 1] = True
    assert len(find_home_segments(touching, made, annotation)[0]) == 1


def test_areas_are_those_of_pixels():
    _, annotation, _ = make_pair()
    areas = measure_areas(annotation, (5.0, 2.0, 1.0))
    assert areas[:, 1:3].tolist() == [[0, 0], [18, 18], [36, 0], [18, 18]]
    assert areas.sum() == 108


def make_results():
    made, annotation, volume = make_pair()
    agreement = compare_maps(made, annotation, volume, 6.0)
    perfect = compare_maps(annotation, annotation, volume, 6.0)
    return [
        MethodResult("a", "train", "shape", 2.0, ("LIVER_CUT",), agreement),
        MethodResult("b", "test", "shape", 1.0, (), perfect),
        MethodResult("b", "test", "planes", code="NO_VESSELS"),
        MethodResult("c", "train", "", code="EMPTY_LIVER"),
    ]


def test_results_travel_as_text():
    for result in make_results():
        assert MethodResult.from_json(result.to_json()) == result


def test_summary_divides_once():
    results = make_results()
    (summary,) = (summarize(results)[name] for name in ("shape",))
    first = results[0].agreement
    mean = (first.dice[1] + first.dice[2]) / 2
    assert set(summarize(results)) == {"shape"}
    assert summary["dice"] == pytest.approx((mean + 1) / 2)
    assert summary["dice_worst"] == pytest.approx(mean)
    assert summary["dice_by_segment"][1] == pytest.approx((first.dice[1] + 1) / 2)
    assert (summary["tumors"], summary["tumors_right"]) == (4, 1.0)
    assert (summary["train_labels"], summary["train_labels_changed"], summary["train_slices"]) == (6, 1, 3)
    assert (summary["volumes"], summary["seconds_median"], summary["flags"]) == (2, 1.5, {"LIVER_CUT": 1})
    assert "shape" in format_summary(summarize(results))


def test_cases_are_a_table_of_all_columns():
    rows = list(csv.DictReader(io.StringIO(format_csv(CASE_COLUMNS, case_rows(make_results())))))
    assert [row["code"] for row in rows] == ["", "", "NO_VESSELS", "EMPTY_LIVER"]
    assert float(rows[0]["dice"]) == pytest.approx((float(rows[0]["dice_2"]) + float(rows[0]["dice_3"])) / 2, abs=1e-5)
    assert rows[0]["dice_1"] == rows[2]["dice"] == ""
    assert rows[0]["flags"] == "LIVER_CUT"


def test_picture_shows_the_fullest_slice_beside_its_maps():
    volume = phantom()
    cut = cut_volume(volume, {"annotation": volume.couinaud_map, "shape": volume.couinaud_map})
    packed = CutVolume.from_bytes(cut.to_bytes())
    np.testing.assert_array_equal(packed.maps["shape"], cut.maps["annotation"])
    counts = [len(np.unique(plane)) - 1 for plane in volume.couinaud_map]
    assert len(np.unique(packed.maps["shape"])) - 1 == max(counts)
    picture = Image.open(io.BytesIO(draw_volumes([packed, cut], ["annotation", "shape", "planes"])))
    colors = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    assert picture.width > picture.height
    assert len(colors) > 100


def test_stage_gives_every_method_its_result(monkeypatch, tmp_path):
    """Constructors as stand-ins: `shape` is perfect, `planes` cannot, `territories` breaks its promise."""

    def constructor(method):
        def build(volume, config):
            assert volume.couinaud_map is None or method == "precomputed"
            if method == "planes":
                raise CaseError("NO_TRUNK", "no trunk was found", "construct_couinaud")
            labels = phantom("phantom_001").couinaud_map
            return CouinaudMap(labels * (method != "territories"), method)

        return build

    monkeypatch.setattr(couinaud, "find_constructor", constructor)
    config = evaluation_config(configure(tmp_path))
    case = list_cases(config)[0][1]
    stage = EvaluateConstructors(RunFolder(config.run), config)
    (row,) = stage.process({**case.to_row(), "pictured": True})
    results = {result.method: result for result in map(MethodResult.from_json, row["results"])}
    assert {method: result.code for method, result in results.items()} == {
        "planes": "NO_TRUNK",
        "territories": "UNEXPECTED",
        "shape": "",
    }
    assert set(results["shape"].agreement.dice) == {1.0}
    assert list(CutVolume.from_bytes(row["picture"]).maps) == ["annotation", "shape"]


def test_case_that_cannot_be_read_is_one_result(tmp_path):
    config = evaluation_config(configure(tmp_path))
    case = replace(list_cases(config)[0][0], layout="msd", image=str(tmp_path / "absent.nii.gz"))
    (row,) = EvaluateConstructors(RunFolder(config.run), config).process({**case.to_row(), "pictured": True})
    (result,) = map(MethodResult.from_json, row["results"])
    assert (result.method, result.code, row["picture"]) == ("", "FILE_UNREADABLE", b"")


@pytest.mark.parametrize(
    ("methods", "network", "expected"),
    [
        ((), "", ("shape", "")),
        ((), "folder", ("network", "folder")),
        (("shape",), "folder", ("shape", "")),
        (("network",), "folder", ("network", "folder")),
    ],
)
def test_network_is_loaded_if_it_is_compared(tmp_path, methods, network, expected):
    config = configure(
        tmp_path,
        couinaud=CouinaudConfig(network=network),
        couinaud_evaluation=CouinaudEvaluationConfig(methods=methods),
    )
    made = evaluation_config(config).couinaud
    assert (made.method, made.network) == expected
