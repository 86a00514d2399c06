"""Labels of a hospital archive from its reports: whose they are, what is done again, and that no word gets out."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

import pytest

from jobs import ingest, refine_image_labels
from pipeline.archive.dicom.changes import write_identifiers
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.dicom.matching import SeriesFinder, add_splits, match_labels
from pipeline.archive.labels import LabelTable, StudyLabel, VolumeLabel, read_study_labels, read_study_splits
from pipeline.archive.quarantine import Rejection, read_rejections
from pipeline.archive.report_table import find_columns, find_study_key, read_report_rows
from pipeline.archive.reports import write_labels
from pipeline.archive.site_key import SiteKey
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from tests.dicom_archive_cases import (
    CANARY,
    KEY,
    configure,
    make_ct,
    make_series,
    save,
    series_uid,
    write_map,
    write_mask,
)
from tests.test_dicom_selection import inventory

MASS, ADDENDUM, CLEAN = "3 cm HCC in segment VI.", "Metastasis in segment 2.", "No focal liver lesion."
OPEN = "Indeterminate lesion in segment 2."
SECRETS = (b"canary", b"00017", b"1.2.826.0.1.3680043.8.498.")
"""Words of reports, accession numbers and UIDs, in lower case."""


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("accession", "accession"), ("accession number", "accession"), ("AccessionNumber", "accession"),
        ("series_instance_uid", "series"), ("series", "series"), ("volume_id", "volume_id"),
        ("id", ""), ("report_id", ""), ("study_id", ""), ("exam", ""),
    ],
)  # fmt: skip
def test_a_column_says_what_its_ids_are(column, key):
    assert find_study_key(column) == key


def test_study_uids_are_refused():
    with pytest.raises(RefusedInputError, match="column study_instance_uid holds study instance UIDs, expected acc"):
        find_study_key("study_instance_uid")


def label(identifier, key="", segments=(4,)):
    return StudyLabel(key, identifier, VolumeLabel(segments, "train"), place="a report")


def matched(labels, found):
    """Identifier of each label to the hashes of its series."""
    matches = match_labels(labels, found, SiteKey(KEY.encode()))
    return {match.label.identifier: sorted(item.series for item in match.series) for match in matches}


def test_ids_of_a_column_that_does_not_say_are_looked_up():
    """An accession number finds its series, but those that other ids name; what is nowhere is a label without one."""
    found, key = inventory(a="A1", b="A1", c="A1", d="0042"), SiteKey(KEY.encode())
    ours = key.volume_id(hash_text("c"))
    expected = {"A1": ["a"], "b": ["b"], f"{ours}-0a1b2c": ["c"], "0042": ["d"], "42": []}
    assert matched([label(name) for name in expected], found) == {
        name: [hash_text(series) for series in names] for name, names in expected.items()
    }
    assert SeriesFinder(found, key).name_key(label("42")).key == "accession"


def test_a_column_of_other_ids_is_refused():
    found = inventory(a="A1")
    with pytest.raises(RefusedInputError, match=r"none of 2 ids is an accession .*; set source\.report_id_column"):
        matched([label("1"), label("2")], found)
    assert matched([label("1", "accession")], found) == {"1": []}


@pytest.mark.parametrize(
    ("table", "split", "masks"),
    [
        ("accession,split,liver_mask\nA1,test,m.nii.gz\n", "test", {"a": "m.nii.gz", "b": "m.nii.gz"}),
        ("series,split,liver_mask\nb,validation,m.nii.gz\n", "validation", {"b": "m.nii.gz"}),
        ("series,accession,split\na,A1,test\n,A1,Test\n", "test", {"a": "", "b": ""}),
        ("series,split\nx,test\n", "train", {}),
        ("series,split\na,test\nb,train\n", "LABEL_CONFLICT", {"a": "", "b": ""}),
        ("series,split\nb,exam\n", "SPLIT_UNKNOWN", {"b": ""}),
    ],
)
def test_splits_hold_for_all_series_of_a_report(tmp_path, table, split, masks):
    (tmp_path / "splits.csv").write_text(table)
    found, key = inventory(a="A1", b="A1"), SiteKey(KEY.encode())
    splits = match_labels(read_study_splits(tmp_path / "splits.csv"), found, key)
    (match,) = add_splits(match_labels([label("A1", "accession")], found, key), splits)
    assert split in (match.label.label.split if match.label.label else match.label.error.code)
    assert {name: match.liver_mask(hash_text(name)) for name in "ab"} == {"a": "", "b": ""} | masks


def test_segments_beside_reports_are_refused(tmp_path):
    (tmp_path / "splits.csv").write_text("accession,split,segments\nA1,test,4\n")
    with pytest.raises(RefusedInputError, match="it has a column segments, but labels come from reports"):
        read_study_splits(tmp_path / "splits.csv")


def test_the_way_back_is_its_owners_alone_even_over_a_file_that_was_not(tmp_path):
    table = tmp_path / "ids.csv"
    table.write_text("old")
    table.chmod(0o644)
    write_identifiers(str(table), RunFolder(str(tmp_path / "run")), {"ct-1": {"PatientID": "P1"}})
    assert table.stat().st_mode & 0o777 == 0o600
    assert "P1" in table.read_text()
    assert list(tmp_path.glob("*ids.csv*")) == [table]


def test_71_no_table_of_ours_runs_in_a_spreadsheet(tmp_path):
    run, hostile = RunFolder(str(tmp_path / "run")), ['=HYPERLINK("x")', "+1", "-1", "@SUM(1)", "\t=1"]
    table = tmp_path / "ids.csv"
    write_identifiers(str(table), run, {f"ct-{k}": {"PatientID": text} for k, text in enumerate(hostile)})
    rejections = {text: Rejection(text, "LABEL_UNCERTAIN", text, "list") for text in hostile}
    write_labels(run, LabelTable({text: VolumeLabel((4,), "train") for text in hostile}, rejections))
    tables = {table: "PatientID", run.local("labels.csv"): "volume_id", run.local("review.csv"): "message"}
    for path, column in tables.items():
        cells = [row[column] for row in csv.DictReader(io.StringIO(path.read_text()))]
        assert sorted(cells) == sorted(f"'{text}" for text in hostile)


@pytest.mark.parametrize("name", ["-4711", "=1+1", "+1", "@x", "'-4711", "''-1", "'s", "4711"])
def test_71_ids_of_our_tables_come_back_as_they_were(tmp_path, name):
    """Labels and identifiers that are written find the case again; the table of a hospital may guard its ids, too."""
    run, ids = RunFolder(str(tmp_path / "run")), tmp_path / "ids.csv"
    write_labels(run, LabelTable({name: VolumeLabel((4,), "train")}, {}), "accession")
    (label,) = read_study_labels(run.local("labels.csv"))
    (match,) = match_labels([label], inventory(a=name), SiteKey(b""))
    assert (label.identifier, len(match.series)) == (name, 1)
    write_identifiers(str(ids), run, {"ct-1": {"AccessionNumber": name}})
    (row,) = csv.DictReader(io.StringIO(ids.read_text()))
    reports = tmp_path / "reports.csv"
    reports.write_text(f"accession,text\n{row['AccessionNumber']},{CLEAN}\n")
    assert [row.volume_id for row in read_report_rows(reports, find_columns(reports))] == [name]


STUDIES = {"1": (MASS, ADDENDUM), "2": (CLEAN,), "3": (OPEN,), "5": ("HCC in segment 8.",), "9": (MASS,)}
"""Reports by the last digit of the accession number: 3 is in doubt, the map of 5 has no segment 8, 9 has no images."""


def accession(name):
    return f"00017{name}"


def write_reports(path: Path, studies) -> None:
    """Write reports as a hospital's spreadsheet does: byte order mark, semicolons, CRLF, ids with leading zeros."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(["Accession Number", "Report Text"])
    for name, reports in studies.items():
        for report in reports:
            writer.writerow([f"{accession(name)} ", f"{CANARY}, Jane.\n{report} {CANARY}"])
    path.write_bytes(text.getvalue().encode("utf-8-sig"))


def add_study(root: Path, name: str) -> str:
    """Write a study with mask and map; return its series UID."""
    slices = make_series(make_ct(int(name)), patient=name, AccessionNumber=accession(name))
    save(slices, root / "archive" / name)
    for folder, write in ((root / "masks", write_mask), (root / "maps", write_map)):
        write(folder, series_uid(slices))
    return series_uid(slices)


def assert_silent(folder: Path, *texts: str) -> None:
    for path in folder.rglob("*"):
        content = path.name.encode() + (path.read_bytes() if path.is_file() else b"")
        assert not [secret for secret in SECRETS if secret in content.lower()], path.name
    assert not [secret for secret in SECRETS if secret in "".join(texts).lower().encode()]


@pytest.fixture(scope="module")
def hospital(ray_cluster, tmp_path_factory):
    """A run over an archive with reports, and its series UIDs by study."""
    root = tmp_path_factory.mktemp("hospital")
    config = configure(root, root / "run", labels=str(root / "splits.csv"), reports=str(root / "reports.csv"))
    series = {name: add_study(root, name) for name in "12345"}
    write_map(root / "maps", series["5"], last=7)
    write_reports(root / "reports.csv", STUDIES)
    (root / "splits.csv").write_text(f"series,split\n{series['2']},test\n1.2.3,test\n")
    assert ingest.main(config) == 3
    key = SiteKey(KEY.encode())
    return config, RunFolder(config.run), {name: key.volume_id(hash_text(uid)) for name, uid in series.items()}


def labels_of(run):
    return {
        row.volume_id: ("".join(str(i + 1) for i, named in enumerate(row.image_label) if named), row.split)
        for row in read_volume_rows(run)
    }


def test_69_reports_label_their_studies(hospital):
    """Addenda are united; studies without report and reports without study are counted, and the run goes on."""
    _, run, ids = hospital
    report = run.read_json("reports", "ingest.json")
    archive = report["archive"]
    assert labels_of(run) == {ids["1"]: ("26", "train"), ids["2"]: ("", "test")}
    assert archive["skipped_series"] == {"NOT_LABELED": 1}
    assert (archive["labels"], report["labels_without_images"], archive["splits_without_series"]) == (5, 1, 1)


def test_reports_in_doubt_are_for_a_person_who_finds_them_by_our_id(hospital):
    """Never healthy; nobody has to review the report of a study that is not there."""
    _, run, ids = hospital
    codes = {item.volume_id: item.code for item in read_rejections(run)}
    assert codes == {ids["3"]: "LABEL_UNCERTAIN", ids["5"]: "LABEL_NOT_IN_MAP"}
    review = list(csv.DictReader(io.StringIO(run.read_bytes("review.csv").decode())))
    assert [(row["volume_id"], row["code"]) for row in review] == [(ids["3"], "LABEL_UNCERTAIN")]


def test_73_a_label_that_the_map_contradicts_sets_its_volume_aside(hospital):
    _, run, ids = hospital
    (message,) = [item.message for item in read_rejections(run) if item.volume_id == ids["5"]]
    assert message == "the label names segments 8, the Couinaud map (precomputed) has no segment 8"


def test_88_no_word_of_a_report_is_left_behind(hospital, capfd, caplog):
    """Ingested once more, so that what it prints and logs is seen, too."""
    config, run, _ = hospital
    with caplog.at_level(logging.DEBUG):
        assert ingest.main(config) == 3
    assert_silent(Path(run.root), *capfd.readouterr(), caplog.text)


def test_changed_reports_are_read_again_and_the_method_goes_on(hospital):
    """1 stays, 2 is no longer healthy, 3 is no longer in doubt, 4 has a report now, 5 is in doubt now."""
    config, run, ids = hospital
    before = {path: path.stat().st_mtime_ns for path in Path(run.path("slices", ids["1"])).iterdir()}
    later = {**STUDIES, "2": (MASS,), "3": (CLEAN,), "4": (MASS,), "5": (OPEN,)}
    write_reports(Path(config.source.reports), later)
    assert ingest.main(config) == 3
    changes = run.read_json("reports", "ingest.json")["archive"]["changes"]
    assert changes == {"new": 2, "changed": 1, "unchanged": 1, "replaced": 1, "gone": 0}
    assert labels_of(run) == {
        ids["1"]: ("26", "train"), ids["2"]: ("6", "test"), ids["3"]: ("", "train"), ids["4"]: ("6", "train")
    }  # fmt: skip
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert refine_image_labels.main(config) == 0
    assert run.names("image_labels") == sorted(labels_of(run))
