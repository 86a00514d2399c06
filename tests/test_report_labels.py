"""From tables of reports to labels: what is taken, what goes to review, and what never leaves the table."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import extract_labels, ingest
from pipeline.archive.catalog import survey
from pipeline.archive.labels import VolumeLabel, read_labels, read_splits, read_study_labels
from pipeline.archive.report_table import ReportColumns, ReportRow, find_columns, read_report_rows
from pipeline.archive.report_text.report import read_report
from pipeline.archive.reports import decide_segments, label_volumes, read_mentions, read_report_labels
from pipeline.config import GridConfig, PipelineConfig, SourceConfig
from pipeline.errors import CaseError, RefusedInputError
from pipeline.stages.extract_labels import pack_read, unpack_read
from tests.archive_cases import configure, make_couinaud_map, make_hu, make_labels, write_image, write_msd
from tests.report_decisions import DECISIONS

MASS, CLEAN, OPEN = "3 cm HCC in segment VI.", "No focal liver lesion.", "Indeterminate lesion in segment 2."
CANARIES = ("Zebulon Quagmire", "MRN-77123", "1931-02-29", "canaryword")


def label(tmp_path, rows, **options):
    """Label the volumes of a CSV of `(volume_id, text)`."""
    path = tmp_path / "reports.csv"
    path.write_text("volume_id,text\n" + "".join(f'{name},"{text}"\n' for name, text in rows))
    return read_report_labels(path, find_columns(path), **options)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        (MASS, (6,)), (CLEAN, ()), ("Simple cyst in segment 4.", ()), (f"{MASS} {CLEAN}", (6,)),
        ("Prior resection of segment 5. Liver: no lesion.", ()),
        ("HCC in segment 6. Possible HCC in segment 6.", (6,)),
    ],
)  # fmt: skip
def test_a_report_decides(text, segments):
    assert decide_segments(read_report(text).mentions) == segments


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (OPEN, "LABEL_UNCERTAIN"), (f"{MASS} {OPEN}", "LABEL_UNCERTAIN"), ("Liver metastases.", "LABEL_NO_SEGMENT"),
        ("Lesions in segments 6 and 9.", "LABEL_UNCERTAIN"), ("Lesion in segment 11.", "LABEL_UNCERTAIN"),
        (f"{CLEAN} Segment 4: well-defined area.", "LABEL_UNCERTAIN"), ("", "LABEL_NO_STATEMENT"),
        ("History of HCC in segment 7.", "LABEL_NO_STATEMENT"), ("Lungs are clear.", "LABEL_NO_STATEMENT"),
        ("Prior resection of segment 5. Liver: no new lesion.", "LABEL_NO_STATEMENT"),
    ],
)  # fmt: skip
def test_a_report_in_doubt_is_never_healthy(text, code):
    with pytest.raises(CaseError) as caught:
        decide_segments(read_report(text).mentions)
    assert caught.value.code == code


def test_what_a_report_says_decides_its_label():
    wrong = []
    for line in DECISIONS.strip().split("\n"):
        expected, text = line.replace("\\n", "\n").split("|", 1)
        try:
            decided = ";".join(map(str, decide_segments(read_report(text).mentions))) or "H"
        except CaseError:
            decided = "R"
        if decided != expected:
            wrong.append((text, expected, decided))
    assert not wrong


def test_reports_of_one_volume_are_united_or_conflict(tmp_path):
    rows = [("a", MASS), ("a", "Metastasis in segment 2."), ("b", CLEAN), ("b", MASS), ("c", MASS), ("c", OPEN)]
    table = label(tmp_path, rows)
    assert table.labels == {"a": VolumeLabel((2, 6), "train")}
    assert {key: item.code for key, item in table.rejections.items()} == {"b": "LABEL_CONFLICT", "c": "LABEL_UNCERTAIN"}
    assert table.rejections["b"].message == "the reports say both healthy and 6"


def test_the_order_of_reports_does_not_matter():
    read = [("a", read_report(text).mentions) for text in (MASS, CLEAN, OPEN)] + [("a", CaseError("X", "y"))]
    assert label_volumes(read) == label_volumes(read[::-1])


def test_splits_come_from_a_table_without_segments(tmp_path):
    splits = tmp_path / "splits.csv"
    splits.write_text("volume_id,split\na,test\nc,holdout\n")
    table = label(tmp_path, [("a", MASS), ("b", CLEAN), ("c", MASS)], splits=read_splits(splits))
    assert table.labels == {"a": VolumeLabel((6,), "test"), "b": VolumeLabel((), "train")}
    assert table.rejections["c"].code == "SPLIT_UNKNOWN"


def test_two_sources_of_segments_are_refused(tmp_path):
    splits = tmp_path / "splits.csv"
    splits.write_text("volume_id,split,segments\na,test,4\n")
    with pytest.raises(RefusedInputError, match="it has a column segments, but labels come from reports"):
        read_splits(splits)


def write_table(path: Path, rows):
    """Write rows in the format of the path's ending."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        encoding = {".txt": "utf-16", ".tsv": "utf-8-sig"}.get(path.suffix, "utf-8")
        mark = "\t" if path.suffix == ".tsv" else ";"
        lines = [mark.join(rows[0]), *(mark.join(f'"{cell}"' for cell in row.values()) for row in rows)]
        path.write_bytes("\r\n".join(lines).encode(encoding))


@pytest.mark.parametrize("name", ["r.csv", "r.tsv", "r.txt", "r.jsonl", "r.parquet"])
def test_formats_give_the_same_rows(tmp_path, name):
    rows = [{"Accession": "007", "Report": "Liver:\n3 cm HCC; segment VI"}, {"Accession": "1E5", "Report": CLEAN}]
    write_table(tmp_path / name, rows)
    columns = find_columns(tmp_path / name)
    assert columns == ReportColumns("accession", "report")
    found = [(row.volume_id, row.text) for row in read_report_rows(tmp_path / name, columns)]
    assert found == [tuple(row.values()) for row in rows]


def test_columns_are_found_or_asked_for(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("exam,words\na,b\n")
    assert find_columns(path, "Exam", "words") == ReportColumns("exam", "words")
    with pytest.raises(
        RefusedInputError, match=r"set source\.report_id_column; none of its 2 columns is called"
    ) as caught:
        find_columns(path)
    assert "words" not in str(caught.value)  # without a header they would be words of a report
    with pytest.raises(RefusedInputError, match=r"set source\.report_text_column; none of its 2 columns is called txt"):
        find_columns(path, "exam", "txt")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("r.csv", "volume_id,text\na,b,canaryword\n", "line 2: 3 cells under 2 columns"),
        ("r.csv", "volume_id,text\n,canaryword\n", "row 1: no volume_id"),
        ("r.csv", "", "no row"), ("r.jsonl", '{"volume_id": "a", "text": canaryword}', "line 1: not a JSON object"),
        ("r.jsonl", '["canaryword"]', "line 1"), ("r.parquet", "canaryword", "not a readable Parquet file"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_read_is_refused_without_its_words(tmp_path, name, data, message):
    (tmp_path / name).write_text(data)
    with pytest.raises(RefusedInputError, match=message) as caught:
        list(read_report_rows(tmp_path / name, find_columns(tmp_path / name)))
    assert "canaryword" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_a_program_read_is_taken(tmp_path):
    path = tmp_path / "read.csv"
    rows = ["a,VI/7,present", "a,2,benign", "g,4,historical", "g,1,present", "h,2,present", "h,8,uncertain"]
    rows += ["b,,absent", "c,3,uncertain", "d,9,present", "e,1,maybe", "f,5-8,Present"]
    path.write_text("\n".join(["id,segments,status", *rows]))
    table = read_report_labels(path, find_columns(path))
    assert {key: item.segments for key, item in table.labels.items()} == {
        "a": (6, 7), "b": (), "f": (5, 6, 7, 8), "g": (1,),
    }  # fmt: skip
    assert {key: item.code for key, item in table.rejections.items()} == {
        "c": "LABEL_UNCERTAIN", "d": "SEGMENT_LABEL", "e": "STATUS_UNKNOWN", "h": "LABEL_UNCERTAIN",
    }  # fmt: skip


def test_a_text_that_breaks_the_rules_sets_its_volume_aside(monkeypatch):
    def fail(text):
        raise ValueError(text)

    monkeypatch.setattr("pipeline.archive.reports.read_report", fail)
    with pytest.raises(CaseError, match=r"the report of 10 characters cannot be read \(ValueError\)") as caught:
        read_mentions(ReportRow("a", "canaryword"))
    assert "canaryword" not in str(caught.value)


def test_what_was_read_travels_as_text():
    mentions = read_report(f"{MASS} {OPEN}").mentions
    assert unpack_read(pack_read(mentions)) == mentions
    error = unpack_read(pack_read(CaseError("CODE", "message", "list")))
    assert (error.code, error.message, error.step) == ("CODE", "message", "list")


def test_reports_label_an_archive(tmp_path):
    root = write_msd(tmp_path / "archive", names=("a", "b", "c", "d"))
    reports = tmp_path / "reports.jsonl"
    texts = {"a": MASS, "b": CLEAN, "c": OPEN, "e": MASS, "f": OPEN}
    write_table(reports, [{"id": name, "text": text} for name, text in texts.items()])
    listed = survey(configure(root, reports=str(reports)))
    assert [(case.volume_id, case.segments) for case in listed.cases] == [("a", (6,)), ("b", ())]
    assert listed.unused_labels == ("e", "f")
    codes = {item.volume_id: (item.code, item.message) for item in listed.rejections}
    assert codes["d"] == ("LABEL_MISSING", "there is an image, but no row in the report table")
    assert codes["c"][0] == "LABEL_UNCERTAIN"
    assert len(codes) == 2


def write_large(root: Path, names) -> Path:
    """Write an archive of layout `msd` whose livers are as large as a liver."""
    labels = make_labels()
    labels[:, 6:, 8:] = 0  # no liver fills its bounding box
    for name in names:
        parts = {"imagesTr": make_hu(), "labelsTr": labels, "couinaudTr": make_couinaud_map()}
        for part, array in parts.items():
            write_image(root / part / f"{name}.nii.gz", array, spacing=(20.0, 12.0, 12.0))
    return root


def write_canaries(path: Path) -> None:
    """Write reports full of what must not get out; `d` cannot be understood, `e` has an id that is no file name."""
    secret = " ".join(CANARIES)
    texts = {"a": MASS, "b": CLEAN, "c": OPEN, "d": "Liver metastases.", f"e {CANARIES[0]}": MASS}
    path.write_text("volume_id,text\n" + "".join(f'{key},"{secret}. {text} {secret}"\n' for key, text in texts.items()))


def assert_silent(folder: Path, *texts: str) -> None:
    """No canary in any file below a folder, in its names, or in a text."""
    written = [file.read_bytes() for file in folder.rglob("*") if file.is_file()]
    names = "".join(str(file) for file in folder.rglob("*"))
    for word in (part for canary in CANARIES for part in canary.split()):
        assert not any(word.encode() in data for data in written)
        assert word not in names + "".join(texts)


def test_no_word_of_a_report_gets_into_the_run_folder(ray_cluster, tmp_path, capfd, caplog):
    root = write_large(tmp_path / "archive", "abcd")
    write_canaries(tmp_path / "reports.csv")
    source = SourceConfig(path=str(root), reports=str(tmp_path / "reports.csv"))
    grid = GridConfig(height=16, width=16, spacing_mm=12.0, slab_length=3)
    with caplog.at_level(logging.DEBUG):
        for job, run in ((ingest, "run"), (extract_labels, "labels")):
            assert job.main(PipelineConfig(run=str(tmp_path / run), source=source, grid=grid)) == 3
    printed = capfd.readouterr()
    for run in ("run", "labels"):
        assert_silent(tmp_path / run, printed.out, printed.err, caplog.text)
    review = (tmp_path / "run" / "review.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in review[1:]] == [["c", "LABEL_UNCERTAIN"], ["d", "LABEL_NO_SEGMENT"]]
    assert (tmp_path / "run" / "volumes" / "a.parquet").exists()


def test_the_job_writes_a_table_that_ingest_takes(ray_cluster, tmp_path, capsys):
    write_canaries(tmp_path / "reports.csv")
    (tmp_path / "splits.csv").write_text("volume_id,split\nb,test\n")
    source = SourceConfig(reports=str(tmp_path / "reports.csv"), labels=str(tmp_path / "splits.csv"))
    config = PipelineConfig(run=str(tmp_path / "run"), source=source)
    assert extract_labels.main(config) == 3
    expected = "5 volumes: 1 with segments, 1 healthy, 1 LABEL_NO_SEGMENT, 1 LABEL_UNCERTAIN, 1 UNSAFE_ID\n"
    assert capsys.readouterr().out == expected
    first = (tmp_path / "run" / "labels.csv").read_bytes()
    assert extract_labels.main(config) == 3
    assert (tmp_path / "run" / "labels.csv").read_bytes() == first
    table = read_labels(tmp_path / "run" / "labels.csv")
    assert table.labels == {"a": VolumeLabel((6,), "train"), "b": VolumeLabel((), "test")}


def test_the_job_names_studies_as_the_archive_does(ray_cluster, tmp_path):
    (tmp_path / "reports.csv").write_text(f"AccessionNumber,text\n00/1,{MASS}\n002,{CLEAN}\n003,{OPEN}\n")
    (tmp_path / "splits.csv").write_text("accession,split\n00/1,test\n")
    source = SourceConfig(layout="dicom", reports=str(tmp_path / "reports.csv"), labels=str(tmp_path / "splits.csv"))
    assert extract_labels.main(PipelineConfig(run=str(tmp_path / "run"), source=source)) == 3
    studies = read_study_labels(tmp_path / "run" / "labels.csv")
    assert [(item.key, item.identifier, item.label) for item in studies] == [
        ("accession", "00/1", VolumeLabel((6,), "test")),
        ("accession", "002", VolumeLabel((), "train")),
    ]
    assert (tmp_path / "run" / "review.csv").read_text().splitlines()[1].startswith("003,LABEL_UNCERTAIN")


def test_the_job_asks_what_the_ids_of_studies_are(tmp_path):
    (tmp_path / "reports.csv").write_text(f"id,text\n1,{MASS}\n")
    source = SourceConfig(layout="dicom", reports=str(tmp_path / "reports.csv"))
    with pytest.raises(RefusedInputError, match="column id may hold accession numbers"):
        extract_labels.main(PipelineConfig(run=str(tmp_path / "run"), source=source))


def test_the_job_needs_reports(tmp_path):
    with pytest.raises(RefusedInputError, match="extract_labels needs --reports"):
        extract_labels.main(PipelineConfig(run=str(tmp_path)))
