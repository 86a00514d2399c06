"""A hospital archive through the job: every file and series accounted for, nothing of a patient left behind."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import MRImageStorage

from jobs import ingest
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.quarantine import read_rejections
from pipeline.archive.site_key import SiteKey
from pipeline.archive.source_tree import SourceTree, pack_states
from pipeline.config import CouinaudConfig
from pipeline.errors import RefusedInputError
from pipeline.phantom_archive.faults import FAULTS, Fault
from pipeline.phantom_archive.masks import make_segmentation
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_slices, read_volume_rows
from pipeline.stages.discover_series import ExamineSeries
from tests.archive_cases import zip_folder
from tests.dicom_archive_cases import (
    CANARY,
    KEY,
    configure,
    make_ct,
    make_liver,
    make_series,
    save,
    series_uid,
    write_key,
    write_labels,
    write_map,
    write_mask,
)
from tests.phantom_archive_cases import find_secrets, read_folder

GOOD = 4
SOUND = Fault()


def add(root, rows, slices, folder, segments="5;6", fault=SOUND):
    """Write a labeled series with mask and map."""
    uid = series_uid(slices)
    fault.write(slices, root / "archive" / folder)
    if not series_uid(slices):  # a series that lost its UID goes by its folder
        uid = folder
    named = uid if series_uid(slices) else SiteKey(KEY.encode()).volume_id(hash_text(folder))
    fault.spoil_mask(write_mask(root / "masks", named))
    write_map(root / "maps", named)
    rows.append((uid, segments))


def write_archive(root: Path) -> list[tuple[str, str]]:
    """Good series of several shapes, every fault, other modalities, and a series that nobody labeled."""
    rows: list[tuple[str, str]] = []
    for number in range(GOOD):
        add(
            root,
            rows,
            make_series(make_ct(number), patient=number),
            f"{CANARY}_{number}/study/1",
            "" if number else "8",
        )
    zip_folder(root / "archive" / f"{CANARY}_1" / "study" / "1")
    study = root / "archive" / f"{CANARY}_3" / "study"
    study.rename(study.with_name(os.fsdecode(b"M\xfcller!")))  # a name that is no UTF-8
    for name, fault in FAULTS.items():
        add(root, rows, make_series(patient=name), f"faults/{name}", fault=fault)
    save(make_series(make_ct(7), patient="unlabeled"), root / "archive" / "unlabeled")
    save(make_series(Modality="MR", SOPClassUID=MRImageStorage), root / "archive" / "mr")
    rows.append((f"1.2.3.{CANARY}", "3"))
    write_labels(root / "labels.csv", rows)
    return rows


@pytest.fixture(scope="module")
def hospital(ray_cluster, tmp_path_factory):
    """Settings of a run over the archive, its report and its rows of labels."""
    root = tmp_path_factory.mktemp("hospital")
    config = configure(root, root / "run")
    rows = write_archive(root)
    assert ingest.main(config) == 3
    return config, RunFolder(config.run).read_json("reports", "ingest.json"), rows


def expected_volumes():
    return GOOD + sum(not fault.code for fault in FAULTS.values())


def test_good_series_are_volumes_and_faults_are_named(hospital):
    config, report, _ = hospital
    volumes = read_volume_rows(RunFolder(config.run))
    assert report["given"] == len(volumes) == expected_volumes()
    notes = sorted(row.notes for row in volumes if row.notes)
    assert notes == sorted(fault.note for fault in FAULTS.values() if fault.note)
    codes = report["quarantined"]
    wanted = [fault.code for fault in FAULTS.values() if fault.code]
    assert codes == Counter(wanted)
    assert report["labels_without_images"] == 1


def test_every_series_ends_in_one_place(hospital):
    config, report, _ = hospital
    run, archive = RunFolder(config.run), report["archive"]
    skipped = sum(archive["skipped_series"].values())
    assert archive["series"] == len(run.names("volumes")) + len(run.names("quarantine")) + skipped
    assert archive["skipped_series"] == {"NOT_LABELED": 2, "NOT_CT": 1, "NOT_PREFERRED": 2}


def test_every_file_is_counted(hospital):
    config, report, _ = hospital
    archive = report["archive"]
    files = [path for path in Path(config.source.path).rglob("*") if path.is_file()]
    zipped = 12 - 1
    assert archive["files"] == len(files) + zipped == archive["slices"] + sum(archive["other_files"].values())
    assert archive["other_files"]["NOT_CT"] == 12 + 12


def test_88_nothing_of_a_patient_is_left_behind(hospital, capfd):
    config, _, _ = hospital
    assert not find_secrets("".join(capfd.readouterr()).encode(), *read_folder(Path(config.run)))


def test_82_a_second_run_does_only_what_is_new_and_says_so(hospital, tmp_path):
    """A copy of the good part of the archive, so that modification times are the copy's own."""
    config, _, rows = hospital
    root = tmp_path / "hospital"
    good = rows[:GOOD]
    shutil.copytree(Path(config.source.path).parent / "masks", root / "masks")
    shutil.copytree(Path(config.source.path).parent / "maps", root / "maps")
    for number in range(GOOD):
        name = f"{CANARY}_{number}"
        shutil.copytree(Path(config.source.path) / name, root / "archive" / name)
    write_labels(root / "labels.csv", good[:3])
    config = configure(root, root / "run")
    run = RunFolder(config.run)
    assert ingest.main(config) == 0
    before = {path: path.stat().st_mtime_ns for path in (root / "run" / "slices").rglob("*.parquet")}
    assert _changes(run) == {"new": 3, "changed": 0, "unchanged": 0, "replaced": 0, "gone": 0}

    write_labels(root / "labels.csv", [(good[0][0], "1"), *good[1:]])
    shutil.rmtree(root / "archive" / f"{CANARY}_2")
    assert ingest.main(config) == 0
    assert _changes(run) == {"new": 1, "changed": 1, "unchanged": 1, "replaced": 0, "gone": 1}
    after = {path: path.stat().st_mtime_ns for path in (root / "run" / "slices").rglob("*.parquet")}
    kept = [path for path, stamp in before.items() if after.get(path) == stamp]
    assert len({path.parent for path in kept}) == 2
    assert len(run.names("volumes")) == 4
    assert run.read_json("reports", "ingest.json")["labels_without_images"] == 1
    write_key(root, "another key, long enough")
    with pytest.raises(RefusedInputError, match="another key"):
        ingest.main(config)


def test_a_mended_couinaud_map_and_new_vessels_are_read_again(ray_cluster, tmp_path):
    """A map without segments 5 to 8 gets them, then comes a vessel mask; nothing else of the volume changes."""
    slices = make_series()
    save(slices, tmp_path / "archive")
    (tmp_path / "vessels").mkdir()
    config = configure(tmp_path, tmp_path / "run", vessels=str(tmp_path / "vessels"))
    write_mask(tmp_path / "masks", series_uid(slices))
    write_labels(tmp_path / "labels.csv", [(series_uid(slices), "1")])
    run = RunFolder(config.run)
    for last, changed in ((4, 0), (8, 1)):
        write_map(tmp_path / "maps", series_uid(slices), last)
        assert ingest.main(config) == 0
        assert _changes(run)["changed"] == changed
        (volume,) = read_volume_rows(run)
        assert read_slices(run, "slices", volume, config.grid.slab_length, 0, 99)["couinaud_map"].max() == last
    write_mask(tmp_path / "vessels", f"{CANARY}A1")
    assert ingest.main(config) == 0
    assert _changes(run)["changed"] == 1


def test_phases_of_one_series_go_with_its_label_and_its_geometry(ray_cluster, tmp_path):
    """Of three labeled series one loses its label, and one, which holds two phases as well, a position of both."""
    rows, two_phases = [], FAULTS["12_TWO_PHASES_BY_NUMBER"]
    for number, (name, fault) in enumerate({"plain": SOUND, "unlabeled": two_phases, "cut": two_phases}.items()):
        add(tmp_path, rows, make_series(make_ct(number), patient=number), name, fault=fault)
    write_labels(tmp_path / "labels.csv", rows)
    config = configure(tmp_path, tmp_path / "run")
    run = RunFolder(config.run)
    assert ingest.main(config) == 0
    assert _changes(run)["new"] == 3

    write_labels(tmp_path / "labels.csv", [rows[0], rows[2]])
    for file in sorted((tmp_path / "archive" / "cut").iterdir())[10:12]:
        file.unlink()
    assert ingest.main(config) == 3
    assert _changes(run) == {"new": 0, "changed": 0, "unchanged": 1, "replaced": 2, "gone": 0}
    plain = SiteKey(KEY.encode()).volume_id(hash_text(rows[0][0]))
    assert run.names("volumes") == [f"{plain}.parquet"]
    assert run.names("slices") == [plain]


def _changes(run):
    return run.read_json("reports", "ingest.json")["archive"]["changes"]


def test_a_liver_is_found_wherever_it_lies(ray_cluster, tmp_path):
    """A segmentation in the tree, a file that the table names, mask slices; nothing outside of the archive."""
    archive = tmp_path / "archive"
    series = {
        name: make_series(make_ct(k), patient=name) for k, name in enumerate(("seg", "file", "slices", "outside"))
    }
    for name, slices in series.items():
        save(slices, archive / name)
        write_map(tmp_path / "maps", series_uid(slices))
    save([make_segmentation(series["seg"], [make_liver()])], archive / "annotations")
    write_mask(archive / "drawn", "by_hand")
    write_mask(tmp_path, "outside")
    organ = make_series(make_liver() * np.uint8(255))
    save(organ, archive / "organ")
    cells = {"seg": "", "file": "drawn/by_hand.nii.gz", "slices": series_uid(organ), "outside": "../outside.nii.gz"}
    rows = [f"{series_uid(series[name])},4,{cell}\n" for name, cell in cells.items()]
    (tmp_path / "labels.csv").write_text("series,segments,liver_mask\n" + "".join(rows))
    config = configure(tmp_path, tmp_path / "run", path=f"file://{archive}")
    assert ingest.main(config) == 3
    run = RunFolder(config.run)
    assert [item.message for item in read_rejections(run)] == ["there is an image, but no mask of the liver"]
    assert [round(row.liver_ml) for row in read_volume_rows(run)] == [432] * 3
    assert run.read_json("reports", "ingest.json")["archive"]["other_files"] == {"NOT_DICOM": 1, "SEGMENTATION": 1}


def test_a_study_gives_the_preferred_series(ray_cluster, tmp_path):
    """Of a study's phases the portal venous one is taken, with its mask; a localizer is only counted."""
    study = {"study": "1.2.3.4", "accession": "A7"}
    portal = make_series(make_ct(1), description="PORTAL VENOUS", **study)
    for name, slices in {
        "arterial": make_series(make_ct(2), description="arterial", **study),
        "native": make_series(make_ct(3), description="native", **study),
        "portal": portal,
        "short": make_series(make_ct(4)[:3], description="portal", **study),
        "scout": make_series(make_ct(5)[:2], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **study),
    }.items():
        save(slices, tmp_path / "archive" / name)
    for folder, write in (("masks", write_mask), ("maps", write_map)):
        write(tmp_path / folder, f"{CANARY}A7")
    write_labels(tmp_path / "labels.csv", [(f"{CANARY}A7", "5")], key="accession")
    table = tmp_path / "secret" / "ids.csv"
    config = configure(tmp_path, tmp_path / "run", reidentification=str(table))
    assert ingest.main(config) == 0
    report = RunFolder(config.run).read_json("reports", "ingest.json")
    assert report["archive"]["skipped_series"] == {"LOCALIZER": 1, "NOT_PREFERRED": 2, "TOO_FEW_SLICES": 1}
    (volume,) = read_volume_rows(RunFolder(config.run))
    lines = table.read_text().splitlines()
    assert [line for line in lines if volume.volume_id in line and series_uid(portal) in line]
    assert sum(f"{CANARY}A7" in line for line in lines) == 4
    assert table.stat().st_mode & 0o077 == 0
    inside = replace(
        config, run=str(tmp_path / "run2"), source=replace(config.source, reidentification=str(tmp_path / "run2" / "x"))
    )
    with pytest.raises(RefusedInputError, match="outside of the run folder"):
        ingest.main(inside)
    np.testing.assert_allclose(volume.spacing_mm, (5, 5, 5))


def test_cases_that_are_only_predicted_need_no_label(ray_cluster, tmp_path):
    """Without a table, a series of every study is taken; a table says which, and what their labels are."""
    study = {"study": "1.2.3.4", "accession": "A7"}
    portal, alone = make_series(make_ct(1), description="portal", **study), make_series(make_ct(2), AccessionNumber="")
    for name, slices in {
        "portal": portal,
        "arterial": make_series(make_ct(3), description="arterial", **study),
        "scout": make_series(make_ct(4)[:2], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], accession="A8"),
        "alone": alone,
    }.items():
        save(slices, tmp_path / "archive" / name)
    for name in (f"{CANARY}A7", series_uid(alone)):
        write_mask(tmp_path / "masks", name)
    config = configure(tmp_path, tmp_path / "run", labels="", unlabeled=True)
    config = replace(config, couinaud=CouinaudConfig())
    assert ingest.main(config) == 0
    ids = {SiteKey(KEY.encode()).volume_id(hash_text(series_uid(slices))) for slices in (portal, alone)}
    volumes = read_volume_rows(RunFolder(config.run))
    assert {row.volume_id for row in volumes} == ids
    assert {(row.split, row.labeled, row.healthy) for row in volumes} == {("test", False, False)}
    report = RunFolder(config.run).read_json("reports", "ingest.json")
    assert report["archive"]["skipped_series"] == {"LOCALIZER": 1, "NOT_PREFERRED": 1}
    assert (report["labels_without_images"], report["notes"]) == (0, {"UNLABELED": 2})
    write_labels(tmp_path / "labels.csv", [(series_uid(alone), "5")])
    named = replace(config, run=str(tmp_path / "named"), source=replace(config.source, labels=f"{tmp_path}/labels.csv"))
    assert ingest.main(named) == 0
    (volume,) = read_volume_rows(RunFolder(named.run))
    assert (volume.split, volume.labeled, volume.label_array().nonzero()[0].tolist()) == ("test", True, [4])


@pytest.mark.parametrize(
    ("fault", "cut", "code", "told"),
    [
        ("06_GANTRY_TILT", 0, "GANTRY_TILT", True),
        ("", 1, "DICOM_UNREADABLE", True),
        ("", 12, "DICOM_UNREADABLE", False),
    ],
)
def test_the_way_back_leads_to_series_that_are_set_aside(tmp_path, fault, cut, code, told):
    """The first file that has identifiers gives them; none does if all are cut off before them."""
    slices = make_series()
    FAULTS.get(fault, SOUND).write(slices, tmp_path / "archive")
    for file in sorted((tmp_path / "archive").iterdir())[:cut]:
        file.write_bytes(file.read_bytes()[:200])
    config = configure(tmp_path, tmp_path / "run", reidentification=str(tmp_path / "ids.csv"))
    (states,) = SourceTree(config.source.path).chunks(Counter())
    (row,) = ExamineSeries(config.source).process({"series": "", "files": pack_states(states)})
    assert row["code"] == code
    expected = (series_uid(slices), f"{CANARY}-1", f"{CANARY}A1") if told else ("", "", "")
    found = json.loads(row["identifiers"])
    assert (found["SeriesInstanceUID"], found["PatientID"], found["AccessionNumber"]) == expected
