from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs import ingest, status
from pipeline.archive.cases import CaseSource
from pipeline.archive.catalog import CaseList, list_cases, read_case
from pipeline.archive.quarantine import Rejection, read_rejections, write_rejection
from pipeline.config import GridConfig, PhantomConfig, PipelineConfig, SourceConfig
from pipeline.couinaud import construct
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder
from pipeline.schema import decode
from pipeline.slabs import VolumeRow, read_slab, read_volume_rows
from pipeline.slicing import cut_slab, make_reference_slab, make_slab, plan_slices, volume_row
from pipeline.stages.ingest import (
    DecodeVolume,
    WriteSlab,
    commit_outcomes,
    find_pending,
    gather_volumes,
    ingest_cases,
    pack_volume,
    unpack_volume,
)
from tests.test_report_labels import write_large

BROKEN = CaseSource("broken", "msd", "train", (1,), image="nowhere/secret.nii.gz", masks="nowhere/secret.nii.gz")
ODD = CaseSource("odd", "no such layout", "train", ())


def make_config(run: Path, **changes) -> PipelineConfig:
    phantom = PhantomConfig(
        train_pathological=2, train_healthy=1, test=1, slices=8, height=64, width=80, slice_spacing_mm=20.0,
        pixel_spacing_mm=4.0,
    )  # fmt: skip
    grid = GridConfig(height=48, width=64, spacing_mm=5.0, slab_length=3)
    config = PipelineConfig(run=str(run), source=SourceConfig(layout="phantom"), phantom=phantom, grid=grid)
    return replace(config, **changes)


def hash_files(run: str) -> dict[str, str]:
    """Relative path to content hash of all tables; what a construction took differs from run to run."""
    hashes = {}
    for file in Path(run).rglob("*.parquet"):
        table = pq.read_table(file, partitioning=None)
        timed = "couinaud_seconds" in table.column_names
        content = str(table.drop_columns("couinaud_seconds").to_pylist()).encode() if timed else file.read_bytes()
        hashes[str(file.relative_to(run))] = hashlib.sha256(content).hexdigest()
    return hashes


@pytest.fixture(scope="module")
def ingested(ray_cluster, tmp_path_factory) -> PipelineConfig:
    """A run folder after `jobs.ingest`."""
    config = make_config(tmp_path_factory.mktemp("ingested"))
    assert ingest.main(config) == 0
    return config


def test_tables_equal_a_plain_loop(ingested):
    run, grid = RunFolder(ingested.run), ingested.grid
    cases, _ = list_cases(ingested)
    rows = {row.volume_id: row for row in read_volume_rows(run)}
    assert sorted(rows) == sorted(case.volume_id for case in cases)
    for case in cases:
        volume = read_case(case, ingested)
        made = construct(volume, ingested.couinaud)
        plan = plan_slices(volume, made.labels, grid)
        seconds = rows[case.volume_id].couinaud_seconds
        row = volume_row(volume, plan, "precomputed", ";".join(made.flags), seconds)
        assert vars(rows[case.volume_id]) == vars(row)
        assert 0 < seconds < 10
        for slab in plan.slabs:
            native = cut_slab(volume, plan, slab)
            _assert_columns(read_slab(run, "slices", case.volume_id, slab), make_slab(native, row, grid))
            _assert_columns(
                read_slab(run, "references/grid", case.volume_id, slab), make_reference_slab(native, row, grid)
            )


def _assert_columns(read, expected):
    assert set(read) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values, err_msg=name)


def test_native_references_are_exact(ingested):
    run = RunFolder(ingested.run)
    drawn = 0
    for case in list_cases(ingested)[0]:
        volume = read_case(case, ingested)
        rows = decode(run.read_table("references", "native", f"{case.volume_id}.parquet"))
        mask = np.zeros(volume.geometry.shape, bool)
        mask[rows["slice_index"]] = rows["reference_mask"]
        np.testing.assert_array_equal(mask, volume.reference_mask)
        assert rows["reference_mask"].any(axis=(1, 2)).all()
        drawn += mask.sum()
    assert drawn > 0


def test_report_counts_the_cases(ingested):
    report = RunFolder(ingested.run).read_json("reports", "ingest.json")
    assert (report["taken"], report["given"], report["quarantined"]) == (4, 4, {})


def test_an_interrupted_run_ends_with_the_same_bytes(ingested, tmp_path):
    """Take away a volume's commit and a slab, leave a stale one, and start again."""
    config = replace(ingested, run=str(tmp_path / "again"))
    assert ingest.main(config) == 0
    assert hash_files(config.run) == hash_files(ingested.run)
    run = RunFolder(config.run)
    volume = read_volume_rows(run)[0]
    run.remove("reports", "ingest.json")
    run.remove("volumes", f"{volume.volume_id}.parquet")
    run.remove("slices", volume.volume_id, "00001.parquet")
    run.write_bytes(b"stale", "slices", volume.volume_id, "00099.parquet")
    write_rejection(run, Rejection(volume.volume_id, "OLD", "from an earlier attempt", "read"))
    assert ingest.main(config) == 0
    assert hash_files(config.run) == hash_files(ingested.run)


def test_bad_cases_are_quarantined_among_good_ones(ray_cluster, tmp_path):
    config = make_config(tmp_path / "run")
    run = RunFolder(config.run)
    good = list_cases(config)[0][:1]
    cases = [*good, BROKEN, ODD]
    run.write_bytes(b"left over", "slices", "broken", "00000.parquet")
    reasons = commit_outcomes(run, ingest_cases(run, config, find_pending(run, cases)))
    rejections = {rejection.volume_id: rejection for rejection in read_rejections(run)}
    assert sum(reasons.values()) == 2
    assert rejections["odd"].code == "UNEXPECTED"
    assert sorted(rejections) == ["broken", "odd"]
    assert run.names("volumes") == [f"{good[0].volume_id}.parquet"]
    assert run.names("slices") == run.names("references", "grid") == [good[0].volume_id]
    assert not any("secret" in rejection.message for rejection in rejections.values())


def test_rejected_cases_are_tried_again_until_a_later_step_has_run(ingested, tmp_path, monkeypatch):
    config = replace(ingested, run=str(tmp_path))
    run = RunFolder(config.run)
    cases, _ = list_cases(config)
    absent = Rejection(cases[0].volume_id, "IMAGE_MISSING", "there is no image", "list")
    monkeypatch.setattr("pipeline.archive.catalog.survey", lambda _: CaseList(cases[1:], [absent]))
    assert ingest.main(config) == 3
    assert run.read_json("reports", "ingest.json")["quarantined"] == {"IMAGE_MISSING": 1}
    monkeypatch.undo()
    run.write_json({}, "reports", "refine_image_labels.json")
    assert ingest.main(config) == 3
    run.remove("reports", "refine_image_labels.json")
    assert ingest.main(config) == 0
    assert hash_files(config.run) == hash_files(ingested.run)


@pytest.mark.parametrize(
    ("report", "looks"),
    [
        ("construct_couinaud", True),
        ("evaluate_couinaud", True),
        ("export_masks", True),
        ("benchmark", True),
        ("refine_image_labels", False),
        ("train_segmenter", False),
        ("tune_synthesis", False),
    ],
)
def test_archive_is_looked_at_again_unless_a_job_has_used_the_volumes(tmp_path, report, looks):
    run = RunFolder(str(tmp_path / "run"))
    for name in ("ingest", report):
        run.write_json({"quarantined": {}}, "reports", f"{name}.json")
    config = PipelineConfig(run=run.uri, source=SourceConfig(layout="msd", path=str(tmp_path / "gone")))
    with pytest.raises(RefusedInputError) if looks else contextlib.nullcontext():
        ingest.main(config)


def test_82_files_and_labels_that_changed_are_read_again(ray_cluster, tmp_path):
    root = write_large(tmp_path / "archive", "abc")
    labels = root / "volume_labels.csv"
    labels.write_text("volume_id,segments\na,6\nb,\nc,6\n")
    grid = GridConfig(height=16, width=16, spacing_mm=12.0, slab_length=3)
    config = PipelineConfig(run=str(tmp_path / "run"), source=SourceConfig(path=str(root)), grid=grid)
    run = RunFolder(config.run)
    assert ingest.main(config) == 0
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "volumes").iterdir()}
    os.utime(root / "labelsTr" / "a.nii.gz", ns=(1, 1))
    labels.write_text("volume_id,segments\na,6\nb,6\nc,6\n")
    assert ingest.main(config) == 0
    changes = run.read_json("reports", "ingest.json")["changes"]
    assert changes == {"new": 0, "changed": 2, "unchanged": 1, "replaced": 0, "gone": 0}
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "volumes").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"a.parquet", "b.parquet"}


def test_what_is_set_aside_is_said_and_can_be_listed(ray_cluster, tmp_path, capsys):
    """A label with a file's name, a wrong one, one too many, one too few; then the wrong one's case is taken away."""
    root = write_large(tmp_path / "archive", "abc")
    (root / "volume_labels.csv").write_text("volume_id,segments\na.nii.gz,6\nb,9\nghost,\n")
    grid = GridConfig(height=16, width=16, spacing_mm=12.0, slab_length=3)
    config = PipelineConfig(run=str(tmp_path / "run"), source=SourceConfig(path=str(root)), grid=grid)
    assert ingest.main(config) == 3
    listed = f"python -m jobs.status --run {config.run} lists them"
    assert capsys.readouterr().out.splitlines() == [
        "ingest: labels that name no image of the source: 1 (ghost)",
        f"ingest: 2 of 3 cases set aside: 1 LABEL_MISSING, 1 SEGMENT_LABEL; {listed}",
    ]
    assert status.main(config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "b  SEGMENT_LABEL: the label names segment '9', expected 1..8, or an empty cell for a healthy liver" in lines
    (root / "imagesTr" / "b.nii.gz").unlink()
    assert ingest.main(config) == 3
    assert capsys.readouterr().out.splitlines() == [
        "ingest: looks for what is new or changed in the source",
        "ingest: labels that name no image of the source: 2 (b, ghost)",
        f"ingest: 1 of 2 cases set aside: 1 LABEL_MISSING; {listed}",
    ]
    run = RunFolder(config.run)
    assert [item.volume_id for item in read_rejections(run)] == ["c"]
    run.write_json({}, "reports", "refine_image_labels.json")
    assert ingest.main(config) == 3
    assert "are in use; changes of the source are not taken" in capsys.readouterr().out


def test_a_source_without_a_usable_case_is_refused_with_the_reasons(ray_cluster, tmp_path):
    config = make_config(tmp_path, grid=GridConfig(height=16, width=16, spacing_mm=1.0))
    with pytest.raises(RefusedInputError, match="no case can be used: 4 LIVER_EXCEEDS_GRID"):
        ingest.main(config)
    assert len(read_rejections(RunFolder(config.run))) == 4
    assert not RunFolder(config.run).exists("slices")


def test_an_unexpected_error_tells_type_and_place_but_not_its_text(tmp_path):
    config = make_config(tmp_path)
    (row,) = DecodeVolume(RunFolder(config.run), config).process(ODD.to_row())
    assert row["code"] == "UNEXPECTED"
    assert "no such layout" not in row["message"]
    assert "Error at pipeline/archive/" in row["message"]


def _manifest(volume: VolumeRow, slab: int) -> dict[str, object]:
    return {"volume_id": volume.volume_id, "slab": slab, "volume": pack_volume(volume), "code": ""}


def _volume(volume_id: str, slabs: tuple[int, ...]) -> VolumeRow:
    identity = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    ones = (1.0, 1.0, 1.0)
    return VolumeRow(
        volume_id, "train", (False,) * 8, (9, 9, 9), ones, ones, identity, "LPS", (0, 0, 0), 100.0, 900.0, 9, False,
        "", slabs,
    )  # fmt: skip


def test_a_volume_is_committed_when_its_last_slab_arrives():
    a, b = _volume("a", (0, 2)), _volume("b", (1,))
    bad = {"volume_id": "c", "slab": 0, "volume": "", "code": "BAD", "message": "because", "step": "read"}
    rows = [_manifest(a, 2), _manifest(b, 1), bad, _manifest(a, 0)]
    outcomes = list(gather_volumes(rows, ["a", "b", "c"]))
    assert outcomes == [b, Rejection("c", "BAD", "because", "read"), a]


def test_lost_rows_are_an_error():
    a = _volume("a", (0, 2))
    with pytest.raises(RuntimeError, match="before 2 cases were complete, the first is a"):
        list(gather_volumes([_manifest(a, 2)], ["a", "b"]))


def test_a_rejection_removes_what_was_written(tmp_path):
    run = RunFolder(str(tmp_path))
    for parts in (("slices", "a", "0"), ("references", "grid", "a", "0"), ("references", "native", "a.parquet")):
        run.write_bytes(b"", *parts)
    assert commit_outcomes(run, [Rejection("a", "BAD", "because", "read")]) == {"BAD": 1}
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and "quarantine" not in file.parts]


def test_a_volume_row_travels_as_text():
    volume = _volume("a", (0, 2))
    assert unpack_volume(pack_volume(volume)) == volume


def test_write_slab_passes_a_rejection_through(tmp_path):
    config = make_config(tmp_path)
    run = RunFolder(config.run)
    (row,) = DecodeVolume(run, config).process(ODD.to_row())
    (passed,) = WriteSlab(run, config.grid).process(row)
    assert passed == {name: row[name] for name in WriteSlab.emits}
