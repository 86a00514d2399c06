"""Couinaud maps of an archive: written once, resumed, quarantined, and taken by `ingest` for the same input only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from jobs import construct_couinaud, evaluate_couinaud, ingest
from pipeline.archive.catalog import list_cases, read_case
from pipeline.archive.quarantine import read_rejections
from pipeline.config import CouinaudConfig, GridConfig
from pipeline.couinaud import CouinaudMap
from pipeline.couinaud.kept_maps import TimedMap, construct_or_take, format_color_table, read_map, read_rows, write_map
from pipeline.couinaud.tables import count_maps, format_maps
from pipeline.errors import RefusedInputError
from pipeline.report.page import build_report
from pipeline.run_folder import RunFolder
from pipeline.segment_names import SEGMENT_COLORS
from pipeline.slabs import read_slices, read_volume_rows
from pipeline.volume import Geometry
from tests.couinaud_cases import GRID, IDS, configure, phantom, write_archive, write_nifti

PRECOMPUTED = CouinaudConfig(method="precomputed")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Phantoms with their maps in the layout `msd`, without a label table."""
    return write_archive(tmp_path_factory.mktemp("archive"), maps=True)


@pytest.fixture(scope="module")
def constructed(ray_cluster, archive, tmp_path_factory):
    """A run folder after `jobs.construct_couinaud`."""
    config = configure(tmp_path_factory.mktemp("constructed"), archive, couinaud=PRECOMPUTED)
    assert construct_couinaud.main(config) == 0
    return config


def files(config):
    folder = RunFolder(config.run).local()
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_maps_lie_on_the_grid_of_the_file(constructed, archive):
    for name in IDS:
        path = RunFolder(constructed.run).local("couinaud", f"{name}.nii.gz")
        made, image = sitk.ReadImage(str(path)), sitk.ReadImage(str(archive / "imagesTr" / f"{name}.nii.gz"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(made), phantom(name).couinaud_map)
        assert made.GetPixelID() == sitk.sitkUInt8
        for grid in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
            np.testing.assert_allclose(getattr(made, grid)(), getattr(image, grid)(), atol=1e-5)


def test_rows_describe_the_maps(constructed):
    rows = {row["volume_id"]: row for row in read_rows(RunFolder(constructed.run))}
    assert sorted(rows) == sorted(IDS)
    for name, row in rows.items():
        volume = phantom(name)
        inside = volume.couinaud_map[volume.liver_mask]
        assert row["couinaud_method"] == "precomputed"
        assert row["liver_ml"] == pytest.approx(len(inside) * 12 * 4 * 4 / 1000)
        np.testing.assert_allclose(row["segment_fraction"], [np.mean(inside == n) for n in range(1, 9)], atol=1e-6)
    report = RunFolder(constructed.run).read_json("reports", "construct_couinaud.json")
    assert (report["taken"], report["given"], report["quarantined"]) == (4, 4, {})


def test_color_table_is_slicers():
    lines = format_color_table().splitlines()
    assert lines[0].startswith("# Color table file")
    assert lines[2] == "0 Background 0 0 0 0"
    for number, line in enumerate(lines[3:], start=1):
        value, name, *color = line.split(" ")
        assert (int(value), name.startswith(f"Segment_{number}_(")) == (number, True)
        assert "#{:02X}{:02X}{:02X}".format(*map(int, color[:3])) == SEGMENT_COLORS[number - 1]
    assert number == 8


def test_job_goes_on_where_it_was(constructed):
    before, run = files(constructed), RunFolder(constructed.run)
    assert construct_couinaud.main(constructed) == 0
    assert files(constructed) == before
    run.remove("reports", "construct_couinaud.json")
    run.remove("couinaud_maps", "phantom_001.parquet")
    assert construct_couinaud.main(constructed) == 0
    changed = {name for name, when in files(constructed).items() if before[name] != when}
    expected = {"couinaud/phantom_001.nii.gz", "couinaud_maps/phantom_001.parquet", "reports/construct_couinaud.json"}
    assert changed == expected


def test_other_settings_are_refused(constructed):
    with pytest.raises(RefusedInputError, match=r"couinaud\.method = 'precomputed', now it is 'shape'"):
        construct_couinaud.main(replace(constructed, couinaud=CouinaudConfig(method="shape")))


def test_bad_masks_are_set_aside_and_tried_again(ray_cluster, tmp_path):
    root = write_archive(tmp_path / "archive", maps=True)
    volume, whole = phantom(), np.ones_like(phantom().liver_mask, dtype=np.uint8)
    write_nifti(root / "labelsTr" / "phantom_000.nii.gz", 0 * whole, volume)
    write_nifti(root / "labelsTr" / "phantom_001.nii.gz", whole, volume)
    write_nifti(root / "couinaudTr" / "phantom_002.nii.gz", 9 * whole, volume)
    config = configure(tmp_path / "run", root, couinaud=PRECOMPUTED)
    assert construct_couinaud.main(config) == 3
    run = RunFolder(config.run)
    codes = {rejection.volume_id: rejection.code for rejection in read_rejections(run)}
    assert codes == {
        "phantom_000": "EMPTY_LIVER",
        "phantom_001": "LIVER_VOLUME",
        "phantom_002": "COUINAUD_LABEL",
    }
    assert run.names("couinaud_maps") == ["phantom_003.parquet"]
    write_archive(root, IDS[:2], maps=True)
    assert construct_couinaud.main(config) == 3
    assert [rejection.volume_id for rejection in read_rejections(run)] == ["phantom_002"]
    assert len(read_rows(run)) == 3


def test_a_grown_archive_and_mended_files_are_mapped_again(ray_cluster, tmp_path):
    """After exit code 0 and after 3, and no map that is still right is made again."""
    root, run = write_archive(tmp_path / "archive", IDS[:2], maps=True), RunFolder(str(tmp_path / "run"))
    config = configure(tmp_path / "run", root, couinaud=PRECOMPUTED)

    def start():
        before, code = files(config), construct_couinaud.main(config)
        written = {name for name, when in files(config).items() if before.get(name) != when}
        counts = run.read_json("reports", "construct_couinaud.json")["changes"]
        return code, sorted(Path(name).stem for name in written if name.startswith("couinaud_maps/")), counts

    def mend(name, only):
        volume = phantom(name)
        write_nifti(root / "couinaudTr" / f"{name}.nii.gz", only * volume.liver_mask.astype(np.uint8), volume)

    changes = {"new": 2, "changed": 0, "unchanged": 0, "replaced": 0, "gone": 0}
    assert start() == (0, [*IDS[:2]], changes)
    mend(IDS[1], only=2)
    write_archive(root, IDS[2:3], maps=True)
    write_nifti(root / "labelsTr" / f"{IDS[2]}.nii.gz", np.zeros_like(phantom().couinaud_map), phantom(IDS[2]))
    assert start() == (3, [IDS[1]], {**changes, "new": 1, "changed": 1, "unchanged": 1})
    mend(IDS[1], only=3)
    write_archive(root, IDS[2:3], maps=True)
    assert start() == (0, [*IDS[1:3]], {**changes, "new": 0, "changed": 2, "unchanged": 1})
    made = sitk.GetArrayFromImage(sitk.ReadImage(str(run.local("couinaud", f"{IDS[1]}.nii.gz"))))
    assert set(np.unique(made)) == {0, 3}
    (root / "labelsTr" / f"{IDS[1]}.nii.gz").unlink()
    assert start() == (3, [], {**changes, "new": 0, "unchanged": 2, "replaced": 1})
    assert run.names("couinaud") == [f"{IDS[0]}.nii.gz", f"{IDS[2]}.nii.gz", "segments.ctbl"]


def test_archive_without_a_usable_case_is_refused(ray_cluster, tmp_path):
    root = write_archive(tmp_path / "archive", IDS[:1])
    with pytest.raises(RefusedInputError, match="no case can be used: 1 NO_COUINAUD_MAP"):
        construct_couinaud.main(configure(tmp_path / "run", root, couinaud=PRECOMPUTED))


def test_label_table_is_needed_by_ingest_only(archive, tmp_path):
    config = configure(tmp_path, archive)
    cases, rejections = list_cases(config, labels_required=False)
    assert [(case.volume_id, case.segments, case.split) for case in cases] == [(name, None, "train") for name in IDS]
    assert not rejections
    with pytest.raises(RefusedInputError, match="label table"):
        list_cases(config)
    named = replace(config, source=replace(config.source, labels=str(tmp_path / "absent.csv")))
    with pytest.raises(RefusedInputError, match="label table"):
        list_cases(named, labels_required=False)


def test_comparison_needs_an_annotated_case(tmp_path):
    root = write_archive(tmp_path / "archive", IDS[:2])
    with pytest.raises(RefusedInputError, match="none of 2 cases has an annotated Couinaud map"):
        evaluate_couinaud.main(configure(tmp_path / "run", root))


def keep_another_map(run, volume, hash_of=None):
    """Keep a map in the run folder that no constructor would make: all of the liver is segment 5."""
    labels = np.where(volume.liver_mask, 5, 0).astype(np.uint8)
    kept = TimedMap(CouinaudMap(labels, "shape", ("LIVER_CUT",)), 1.5)
    write_map(run, replace(volume, content_sha256=hash_of or volume.content_sha256), kept)


def test_ingest_takes_the_map_of_the_same_input_only(ray_cluster, tmp_path):
    config = configure(tmp_path / "run")
    run, volumes = RunFolder(config.run), {case.volume_id: read_case(case, config) for case in list_cases(config)[0]}
    healthy, other = sorted(volumes, key=lambda name: volumes[name].image_label.any())[:2]  # whose label names nothing
    keep_another_map(run, volumes[healthy])
    keep_another_map(run, volumes[other], hash_of="0" * 64)
    assert ingest.main(config) == 0
    rows = {row.volume_id: row for row in read_volume_rows(run)}
    segments = {
        name: set(np.unique(read_slices(run, "slices", row, GRID.slab_length, 0, 99)["couinaud_map"]))
        for name, row in rows.items()
    }
    taken, made = rows[healthy], rows[other]
    assert segments[healthy] == {0, 5}
    assert {"LIVER_CUT", "FRACTION_SEGMENT_1"} <= set(taken.couinaud_flags.split(";"))
    assert (taken.couinaud_method, taken.couinaud_seconds) == ("shape", 1.5)
    assert segments[other] > {0, 5}
    assert made.couinaud_method == "precomputed"
    page = build_report(run, config)
    for name, count in (("precomputed", 3), ("shape", 1), ("LIVER_CUT", 1)):
        assert f'<th scope="row">{name}</th><td class="number">{count}</td>' in page


def test_ingest_writes_maps_on_request_but_not_of_rejected_volumes(ray_cluster, tmp_path):
    config = configure(tmp_path / "run", couinaud=CouinaudConfig(write_maps=True))
    assert ingest.main(config) == 0
    run = RunFolder(config.run)
    assert run.names("couinaud") == [*(f"{name}.nii.gz" for name in IDS), "segments.ctbl"]
    assert run.names("couinaud_maps") == [f"{name}.parquet" for name in IDS]
    small = replace(config, run=str(tmp_path / "small"), grid=GridConfig(height=16, width=16, spacing_mm=1.0))
    with pytest.raises(RefusedInputError, match="LIVER_EXCEEDS_GRID"):
        ingest.main(small)
    assert not RunFolder(small.run).exists("couinaud")


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "RAI", "SPL"])
def test_kept_map_comes_back_whatever_the_files_orientation(tmp_path, orientation):
    volume = phantom()
    shape, spacing_mm = volume.geometry.shape, volume.geometry.spacing_mm
    tilted = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
    volume = replace(volume, geometry=Geometry(shape, spacing_mm, (5.0, -7.0, 9.0), tilted, orientation))
    run = RunFolder(str(tmp_path))
    made = construct_or_take(run, volume, PRECOMPUTED)
    assert made.seconds > 0
    write_map(run, volume, made)
    kept = read_map(run, volume)
    np.testing.assert_array_equal(kept.map.labels, volume.couinaud_map)
    assert (kept.map.method, kept.map.flags) == (made.map.method, made.map.flags)


def test_map_of_another_liver_is_not_taken_silently(tmp_path):
    volume, run = phantom(), RunFolder(str(tmp_path))
    keep_another_map(run, volume)
    smaller = volume.liver_mask.copy()
    smaller[np.nonzero(smaller)[0][0]] = False
    with pytest.raises(ValueError, match="does not follow the liver"):
        read_map(run, replace(volume, liver_mask=smaller))


def test_table_counts_methods_and_flags():
    assert count_maps([("shape", "A;B"), ("shape", "B"), ("planes", ""), ("", "")]) == (
        {"shape": 2, "planes": 1},
        {"A": 1, "B": 2},
    )
    row = {
        "volume_id": "a",
        "couinaud_method": "shape",
        "couinaud_flags": "LIVER_CUT",
        "couinaud_seconds": 1.26,
        "segment_fraction": [0.125] * 8,
        "liver_ml": 1499.6,
    }
    header, line, *_ = format_maps([row]).splitlines()
    assert len(header) == len(line)
    assert line.split() == ["a", "shape", "1.3", "1500", *["12"] * 8, "LIVER_CUT"]
    assert "and 3 more" in format_maps([row] * 43)
    assert format_maps([row]).endswith("maps: 1 shape; flags: 1 LIVER_CUT")
