"""A synthetic hospital archive through the jobs: every series ends where its manifest says, and no secret leaves it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs import extract_labels, ingest, refine_image_labels, synthesize_archive
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.labels import parse_segments
from pipeline.archive.site_key import SiteKey
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.image_labels import encode_segments
from pipeline.phantom_archive.tables import open_archive
from pipeline.phantom_archive.tags import SECRETS
from pipeline.report.page import build_report
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from tests.dicom_archive_cases import KEY
from tests.phantom_archive_cases import find_secrets, ingestion, read_csv, read_folder, synthesis

FAULTS = ("43_MIXED_PATIENTS", "27_NOT_CT", "36_DEFLATE_BOMB")
RATES = {"fault_rate": 0.3, "faults": FAULTS, "uncertain_rate": 0.2}


@pytest.fixture(scope="module")
def root(ray_cluster, tmp_path_factory):
    """A folder with an archive of ten patients: three with a fault, two with doubtful reports."""
    root = tmp_path_factory.mktemp("hospital")
    assert synthesize_archive.main(synthesis(root, patients=10, **RATES)) == 0
    return root


@pytest.fixture(scope="module")
def outcome(root, request):
    """The manifest, the run over the archive, and all that was said on the way, a crash and its traceback included."""
    config = ingestion(root)
    run, capture = RunFolder(config.run), request.config.pluginmanager.getplugin("capturemanager")
    capture.read_global_capture()
    run.write_bytes(b"in the way", "slices")
    with pytest.raises(Exception, match="slices") as crash:
        ingest.main(config)
    run.remove("slices")
    assert ingest.main(config) == 3
    assert refine_image_labels.main(config) == 0
    run.write_bytes(build_report(run, config).encode(), "report.html")
    said = "".join([*capture.read_global_capture(), str(crash.getrepr(style="native"))])
    return read_csv(root / "site" / "manifest.csv"), run, said


def codes(manifest, outcome):
    return Counter(row["code"] for row in manifest if row["outcome"] == outcome)


def test_every_series_ends_where_the_manifest_says(outcome):
    manifest, run, _ = outcome
    report = run.read_json("reports", "ingest.json")
    assert report["quarantined"] == codes(manifest, "quarantine")
    assert report["archive"]["skipped_series"] == codes(manifest, "skip")
    assert Counter(row.notes for row in read_volume_rows(run)) == codes(manifest, "volume")
    assert report["archive"]["series"] == len([row for row in manifest if row["series"]])


def test_every_volume_has_its_own_label(outcome, root):
    manifest, run, _ = outcome
    truth = {row["accession"]: row for row in read_csv(root / "site" / "labels.csv")}
    key, volumes = SiteKey(KEY.encode()), {row.volume_id: row for row in read_volume_rows(run)}
    for row in manifest:
        found = volumes.pop(key.volume_id(hash_text(row["series"])), None)
        assert (found is not None) == (row["outcome"] == "volume")
        if found:
            label = truth[row["accession"]]
            np.testing.assert_array_equal(found.image_label, encode_segments(parse_segments(label["segments"])))
            assert found.split == label["split"]
    assert not volumes


def test_88_nothing_of_a_patient_leaves_the_archive(outcome):
    _, run, said = outcome
    assert not find_secrets(said.encode())
    assert {path.suffix for path in run.local().rglob("*")} >= {".parquet", ".json", ".html"}
    assert not find_secrets(*read_folder(run.local()))


def test_the_scan_finds_what_there_is_to_find(root):
    assert find_secrets(*read_folder(root / "site")) == set(SECRETS)


def test_reports_give_the_labels_of_the_table(root, tmp_path):
    site = root / "site"
    config = PipelineConfig(
        run=str(tmp_path / "run"), source=SourceConfig(layout="dicom", reports=str(site / "reports.csv"))
    )
    assert extract_labels.main(config) == 3
    doubtful = {row["accession"] for row in read_csv(site / "manifest.csv") if row["report"] == "uncertain"}
    truth = {row["accession"]: row["segments"] for row in read_csv(site / "labels.csv")}
    read = {row["accession"]: row["segments"] for row in read_csv(tmp_path / "run" / "labels.csv")}
    assert read == {accession: segments for accession, segments in truth.items() if accession not in doubtful}
    assert {row["accession"] for row in read_csv(tmp_path / "run" / "review.csv")} == doubtful
    assert len(doubtful) == 2


def test_splits_go_beside_the_reports(root, tmp_path):
    site = root / "site"
    config = ingestion(root, labels=str(site / "splits.csv"), reports=str(site / "reports.csv"))
    assert ingest.main(replace(config, run=str(tmp_path / "run"))) == 3
    volumes = read_volume_rows(RunFolder(str(tmp_path / "run")))
    truth = {row["accession"]: (row["segments"], row["split"]) for row in read_csv(site / "labels.csv")}
    said = {row["accession"] for row in read_csv(site / "manifest.csv") if row["report"] != "uncertain"}
    key, series = SiteKey(KEY.encode()), read_csv(site / "manifest.csv")
    expected = {
        key.volume_id(hash_text(row["series"])): truth[row["accession"]]
        for row in series
        if row["outcome"] == "volume" and row["accession"] in said
    }
    found = {
        row.volume_id: (";".join(str(n) for n, named in enumerate(row.image_label, 1) if named), row.split)
        for row in volumes
    }
    assert found == expected
    assert {split for _, split in found.values()} == {"train", "test"}


def test_the_same_seed_gives_the_same_bytes_and_an_archive_grows(ray_cluster, tmp_path):
    """Two patients at once, or one after the other; what is there is not written again."""
    assert synthesize_archive.main(synthesis(tmp_path / "once", patients=2)) == 0
    grown = synthesis(tmp_path / "grown", patients=1)
    assert synthesize_archive.main(grown) == 0
    site = tmp_path / "grown" / "site"
    before = contents(site / "dicom", lambda path: path.stat().st_mtime_ns)
    more = replace(grown.synthesize_archive, patients=2)
    assert synthesize_archive.main(replace(grown, run=str(tmp_path / "run"), synthesize_archive=more)) == 0
    assert before.items() <= contents(site / "dicom", lambda path: path.stat().st_mtime_ns).items()
    assert contents(site, Path.read_bytes) == contents(tmp_path / "once" / "site", Path.read_bytes)


def contents(folder, function):
    return {path.relative_to(folder).as_posix(): function(path) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_something_else_is_refused(root, tmp_path):
    with pytest.raises(RefusedInputError, match="holds something else"):
        open_archive(synthesis(root, folder=str(root)))
    with pytest.raises(RefusedInputError, match="seed = 0, now it is 1; use another folder"):
        open_archive(synthesis(root, seed=1, **RATES))
