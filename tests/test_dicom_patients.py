"""One patient in several splits is noted, also where the archive has grown, and nothing tells who it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import ingest
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.dicom.patients import note_patients
from pipeline.archive.site_key import SiteKey
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows, write_volume_row
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
from tests.evaluation_cases import make_volume_row
from tests.phantom_archive_cases import read_folder

NOTE = "PATIENT_IN_SPLITS"


def keep(run, splits):
    for name, split in splits.items():
        write_volume_row(run, replace(make_volume_row(name, split), notes="LIVER_CUT"))


def noted(run):
    return {row.volume_id for row in read_volume_rows(run) if NOTE in row.noted}


@pytest.mark.parametrize(
    ("patients", "expected"),
    [
        ({"a": "p", "b": "p", "c": "q"}, {"a", "b"}),
        ({"a": "p", "b": "q", "c": "p"}, set()),
        ({"a": "", "b": "", "c": ""}, set()),
        ({"a": "p", "b": "p", "c": "p", "set aside": "p"}, {"a", "b", "c"}),
    ],
)
def test_a_patient_in_several_splits_is_noted(tmp_path, patients, expected):
    run = RunFolder(str(tmp_path))
    keep(run, {"a": "train", "b": "test", "c": "train"})
    for _ in range(2):
        assert note_patients(run, patients) == read_volume_rows(run)
        assert noted(run) == expected
    assert all("LIVER_CUT" in row.noted for row in read_volume_rows(run))


def test_the_note_is_taken_back_unless_a_volume_that_is_gone_bears_it(tmp_path):
    run = RunFolder(str(tmp_path))
    keep(run, {"a": "train", "b": "test"})
    note_patients(run, {"a": "p", "b": "p"})
    note_patients(run, {"a": "p"})
    assert noted(run) == {"a", "b"}
    run.remove("volumes", "b.parquet")
    note_patients(run, {"a": "p"})
    assert [row.notes for row in read_volume_rows(run)] == ["LIVER_CUT"]


def test_ingest_notes_patients_of_a_grown_archive(ray_cluster, tmp_path, capfd):
    """By a second examination in another split; two patients without an id are not one."""
    names = ("first", "second", "nobody", "none")
    patients = {name: {} if name in ("first", "second") else {"PatientID": " "} for name in names}
    series = {name: make_series(make_ct(k), accession=name, **patients[name]) for k, name in enumerate(names)}
    config = configure(tmp_path, tmp_path / "run")
    run = RunFolder(config.run)
    ids = {name: SiteKey(KEY.encode()).volume_id(hash_text(series_uid(slices))) for name, slices in series.items()}

    def start(**splits):
        for name in splits:
            save(series[name], tmp_path / "archive" / name)
            write_mask(tmp_path / "masks", f"{CANARY}{name}")
            write_map(tmp_path / "maps", f"{CANARY}{name}")
        rows = [f"{CANARY}{name},5,{split}\n" for name, split in splits.items()]
        (tmp_path / "labels.csv").write_text("accession,segments,split\n" + "".join(rows))
        assert ingest.main(config) == 0
        return noted(run), run.read_json("reports", "ingest.json")["notes"].get(NOTE, 0)

    assert start(first="train", nobody="train", none="test") == (set(), 0)
    both = {ids["first"], ids["second"]}
    assert start(first="train", second="test", nobody="train", none="test") == (both, 2)
    assert "2 volumes are of patients in several splits" in capfd.readouterr().out
    digest = hashlib.sha256(f"{CANARY}-1".encode())
    secrets = (digest.digest(), digest.hexdigest().encode())
    assert not any(secret in content for content in read_folder(Path(config.run)) for secret in secrets)
