"""The way back through the job: each volume is written or counted by its reason, and the run folder tells nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk

from jobs import export_masks, ingest
from pipeline.archive.dicom.kinds import hash_text
from pipeline.archive.site_key import SiteKey
from pipeline.command_line import parse
from pipeline.config import CouinaudConfig, ExportConfig, PipelineConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.phantom_archive.faults import FAULTS
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows
from pipeline.stages.predict_segmentation import encode_mask, native_geometry, prediction_path
from tests.archive_cases import zip_folder
from tests.dicom_archive_cases import KEY, configure, make_ct, make_series, series_uid, write_key, write_labels
from tests.phantom_archive_cases import find_secrets
from tests.segmenter_cases import write_case
from tests.test_dicom_export import assert_on_slices, make_mask, read_frames
from tests.test_dicom_ingest import SOUND, add

NAMES = ("good", "zipped", "empty", "gone", "sheared", "anonymous")
REASONS = {"gone": "IMAGE_MISSING", "sheared": "REPAIRED_GANTRY_TILT", "anonymous": "REFERENCE_INVALID"}


def id_of(name, slices):
    """A series that lost its UID goes by its folder."""
    return SiteKey(KEY.encode()).volume_id(hash_text(series_uid(slices) or name))


@pytest.fixture(scope="module")
def hospital(ray_cluster, tmp_path_factory):
    """Settings of a run with predictions and maps, whose archive lost a series since, and the volumes' slices by id."""
    root, rows = tmp_path_factory.mktemp("hospital"), []
    series = {name: make_series(make_ct(k), patient=name) for k, name in enumerate(NAMES)}
    faults = {"sheared": FAULTS["07_SHEARED"], "anonymous": FAULTS["47_NO_SERIES_UID"]}
    for name, slices in series.items():
        add(root, rows, slices, name, fault=faults.get(name, SOUND))
    zip_folder(root / "archive" / "zipped")
    write_labels(root / "labels.csv", rows)
    config = configure(root, root / "run", repairs=("tilt",))
    config = replace(config, couinaud=CouinaudConfig(method="precomputed", write_maps=True))
    assert ingest.main(config) == 0
    ids, run = {name: id_of(name, slices) for name, slices in series.items()}, RunFolder(config.run)
    for row in read_volume_rows(run):
        mask = make_mask(row.native_shape) * (row.volume_id != ids["empty"])
        run.write_bytes(encode_mask(mask, native_geometry(row)), *prediction_path(row.volume_id))
    shutil.rmtree(root / "archive" / "gone")
    kept = {name: getattr(config.source, name) for name in ("path", "id_key", "decoder_memory_mb", "decoder_seconds")}
    export = ExportConfig(destination=str(root / "to_pacs"))
    return (
        PipelineConfig(run=config.run, source=SourceConfig(layout="dicom", **kept), export=export),
        series,
        ids,
        config,
    )


@pytest.fixture(scope="module")
def exported(hospital):
    """The report, and the files by name."""
    config, *_ = hospital
    assert export_masks.main(config) == 3
    report = RunFolder(config.run).read_json("reports", "export_masks.json")
    return report, {path.name: path.read_bytes() for path in Path(config.export.destination).iterdir()}


def test_each_volume_is_written_or_counted(hospital, exported):
    ids = hospital[2]
    report, files = exported
    expected = {f"{ids[name]}_couinaud.dcm" for name in ("good", "zipped", "empty")}
    assert set(files) == expected | {f"{ids[name]}_tumors.dcm" for name in ("good", "zipped")}
    assert (report["taken"], report["given"], report["quarantined"]) == (6, 3, dict.fromkeys(REASONS.values(), 1))
    assert (report["written"], report["empty"]) == ({"tumors": 2, "couinaud": 3}, {"tumors": 1})
    assert {item["volume_id"]: item["code"] for item in report["failed"]} == {
        ids[name]: code for name, code in REASONS.items()
    }


def test_masks_are_those_of_the_run_folder_on_the_slices_of_the_archive(hospital, exported):
    config, series, ids, _ = hospital
    _, files = exported
    for name in ("good", "zipped"):
        _, frames = read_frames(files[f"{ids[name]}_tumors.dcm"])
        assert_on_slices(frames[1], make_mask(), series[name])
        seg, frames = read_frames(files[f"{ids[name]}_couinaud.dcm"])
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(Path(config.run, "couinaud", f"{ids[name]}.nii.gz"))))
        for value in range(1, 9):
            assert_on_slices(frames[value], labels == value, series[name])
        assert seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters


def test_the_patient_is_in_the_files_and_not_in_the_run_folder(hospital, exported, capfd):
    config, *_ = hospital
    _, files = exported
    assert all(b"CANARY^Jane" in data for data in files.values())
    for path in [item for item in Path(config.run).rglob("*") if item.suffix in (".json", ".parquet")]:
        assert not find_secrets(path.read_bytes()), path.name
    assert not find_secrets("".join(capfd.readouterr()).encode())
    assert not RunFolder(config.run).names("quarantine")


def test_a_second_export_writes_what_is_missing_with_the_same_bytes(hospital, exported):
    config, _, ids, _ = hospital
    folder, lost = Path(config.export.destination), f"{ids['zipped']}_tumors.dcm"
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / lost).unlink()
    assert export_masks.main(config) == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == exported[1]
    written = {path.name for path in folder.iterdir() if path.stat().st_mtime_ns != before[path.name]}
    assert written == {lost, f"{ids['zipped']}_couinaud.dcm"}
    report = RunFolder(config.run).read_json("reports", "export_masks.json")
    assert (report["kept"], exported[0]["kept"], report["written"]) == (2, 0, exported[0]["written"])
    assert folder.stat().st_mode & 0o077 == 0


def test_nifti_files_are_copies(hospital, tmp_path):
    config, _, ids, _ = hospital
    assert export_masks.main(replace(config, export=ExportConfig(output="nifti", destination=str(tmp_path)))) == 0
    assert len(list(tmp_path.iterdir())) == 2 * len(NAMES)
    prediction = RunFolder(config.run).read_bytes(*prediction_path(ids["gone"]))
    assert (tmp_path / f"{ids['gone']}_tumors.nii.gz").read_bytes() == prediction


def test_without_a_word_a_run_of_files_gives_files(tmp_path):
    run = RunFolder(str(tmp_path / "run"))
    row, *_ = write_case(run, "case", split="test", orientation="RAI")
    run.write_bytes(encode_mask(make_mask(row.native_shape), native_geometry(row)), *prediction_path("case"))
    run.write_json({"layout": "msd"}, "settings", "source.json")
    run.write_json({}, "reports", "ingest.json")
    given = parse(["--run", run.uri, "--destination", str(tmp_path / "masks")])
    assert export_masks.main(given) == 0
    assert (tmp_path / "masks" / "case_tumors.nii.gz").read_bytes() == run.read_bytes(*prediction_path("case"))
    with pytest.raises(RefusedInputError, match="dicom-seg needs a run of layout dicom, this is one of msd"):
        export_masks.main(replace(given, export=replace(given.export, output="dicom-seg")))


@pytest.mark.parametrize(
    ("folder", "words"),
    [("run/segs", "lies in the run folder"), ("archive", "lies in the source"), ("", "expected a local")],
)
def test_a_patients_files_go_nowhere_else(hospital, folder, words):
    config, *_ = hospital
    destination = str(Path(config.run).parent / folder) if folder else ""
    with pytest.raises(RefusedInputError, match=words):
        export_masks.main(replace(config, export=ExportConfig(destination=destination)))


def test_another_key_finds_nobody(hospital, tmp_path):
    config, *_ = hospital
    write_key(tmp_path, "another key, long enough")
    with pytest.raises(RefusedInputError, match="another key"):
        export_masks.main(replace(config, source=replace(config.source, id_key=str(tmp_path / "key"))))


def test_the_command_line():
    given = ["--run", "r", "--layout", "dicom", "--source", "a", "--output", "dicom-seg", "--destination", "d"]
    assert parse(given).export == ExportConfig(output="dicom-seg", destination="d")


def test_the_run_folder_still_takes_what_is_new(hospital, exported):
    run = RunFolder(hospital[0].run)
    assert ingest.main(hospital[3]) == 0
    assert run.read_json("reports", "ingest.json")["archive"]["changes"]["gone"] == 1
