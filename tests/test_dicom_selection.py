"""Which series stands for a label, and what is said of the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pipeline.archive.dicom.inventory import Inventory
from pipeline.archive.dicom.kinds import find_phase, hash_text
from pipeline.archive.dicom.matching import add_splits, match_labels
from pipeline.archive.dicom.selection import Candidate, select
from pipeline.archive.labels import StudyLabel, VolumeLabel, read_study_labels, read_study_splits
from pipeline.archive.site_key import SiteKey
from pipeline.errors import CaseError, RefusedInputError

KEY = SiteKey(b"k" * 32)
GOOD = Candidate("", "", "portal", slices=[["a", 0]] * 100, step_mm=2.0, mask="file:m.nii.gz")


def inventory(**series):
    """Series name to accession, or to (accession, reason)."""
    found = Inventory()
    for name, value in series.items():
        accession, reason = value if isinstance(value, tuple) else (value, "")
        row = {"series": hash_text(name), "accession": hash_text(accession), "reason": reason, "phase": "unknown"}
        found.add({**row, "references": "", "count": 10, "files": b"", "folder": b""})
    return found


def labels(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    return read_study_labels(tmp_path / "labels.csv")


def choose(tmp_path, text, found, **candidates):
    matches = match_labels(labels(tmp_path, text), found, KEY)
    by_series = {}
    for name, item in candidates.items():
        series = hash_text(name)
        by_series[series] = [replace(item, series=series, volume_id=KEY.volume_id(series))]
    return select(matches, by_series, found, KEY)


def ids(*names):
    return [KEY.volume_id(hash_text(name)) for name in names]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"mask": ""}, {"phase": "native"}),
        ({"phase": "arterial"}, {"phase": "unknown", "step_mm": 5.0}),
        ({"step_mm": 5.0}, {"step_mm": 1.25}),
        ({"step_mm": 0.5}, {"step_mm": 1.0, "slices": [["a", 0]] * 101}),
        ({"error": CaseError("GANTRY_TILT", "tilted")}, {"phase": "native"}),
    ],
)
def test_of_a_study_the_preferred_series_is_taken(tmp_path, a, b):
    found = inventory(a="A1", b="A1")
    result = choose(tmp_path, "accession,segments\nA1,4\n", found, a=replace(GOOD, **a), b=replace(GOOD, **b))
    assert [case.volume_id for case in result.cases] == ids("b")
    assert result.skipped.total() + len(result.rejections) == 1


def test_a_case_has_the_files_of_its_candidate(tmp_path):
    candidate = replace(GOOD, couinaud_map="map.nii.gz", vessels="vessels.nii.gz")
    (case,) = choose(tmp_path, "series,segments\na,4\n", inventory(a="A1"), a=candidate).cases
    assert (case.masks, case.couinaud_map, case.vessels) == (GOOD.mask, "map.nii.gz", "vessels.nii.gz")


def test_every_series_ends_in_one_place(tmp_path):
    found = inventory(
        a="A1", b="A1", tilted="A1", scout=("A1", "LOCALIZER"), coronal="A1", other="A2", mr=("A3", "NOT_CT")
    )
    broken = {"tilted": "GANTRY_TILT", "coronal": "NON_AXIAL"}
    candidates = {name: Candidate("", "", "unknown", error=CaseError(code, "no")) for name, code in broken.items()}
    text = "accession,segments\nA1,4\nA3,\nA9,2\n"
    result = choose(tmp_path, text, found, a=GOOD, b=replace(GOOD, phase="native"), **candidates)
    assert [case.volume_id for case in result.cases] == ids("a")
    assert Counter(item.code for item in result.rejections) == {"GANTRY_TILT": 1}
    assert result.skipped == {"LOCALIZER": 1, "NON_AXIAL": 1, "NOT_PREFERRED": 1, "NOT_LABELED": 1, "NOT_CT": 1}
    assert result.unmatched == 2
    assert len(found.series) == len(result.cases) + len(result.rejections) + result.skipped.total()


def test_a_label_that_names_a_series_means_it(tmp_path):
    """Its faults are its own, and the study's label gets what is left."""
    found = inventory(a="A1", b="A1", mr=("A1", "NOT_CT"))
    text = "series,accession,segments\nb,A1,4\n,A1,5\nmr,,6\n"
    result = choose(tmp_path, text, found, a=GOOD, b=replace(GOOD, phase="native"))
    b, a, mr = ids("b", "a", "mr")
    assert {case.volume_id: case.segments for case in result.cases} == {b: (4,), a: (5,)}
    assert [(item.volume_id, item.code) for item in result.rejections] == [(mr, "NOT_CT")]


def test_a_volume_id_names_a_series_or_a_part_of_it(tmp_path):
    found, series = inventory(a="A1"), hash_text("a")
    parts = [replace(GOOD, volume_id=KEY.volume_id(series, name), series=series) for name in ("pass 1", "pass 2")]
    matches = match_labels(labels(tmp_path, f"volume_id,segments\n{parts[1].volume_id},4\n"), found, KEY)
    result = select(matches, {series: parts}, found, KEY)
    assert [case.volume_id for case in result.cases] == [parts[1].volume_id]
    assert result.skipped == {"NOT_PREFERRED": 1}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("series,segments\na,9\n", "SEGMENT_LABEL"),
        ("series,segments\na,4\na,5\n", "LABEL_CONFLICT"),
        ("series,segments\na,4\na,9\n", "SEGMENT_LABEL"),
        ("series,segments,split\na,4,exam\n", "SPLIT_UNKNOWN"),
        ("series,segments,liver_mask\na,4,m.nii.gz\na,4,n.nii.gz\n", "LABEL_CONFLICT"),
    ],
)
def test_67_68_rows_that_make_no_sense_reject_their_series(tmp_path, text, code):
    result = choose(tmp_path, text, inventory(a="A1"), a=GOOD)
    assert [(item.volume_id, item.code) for item in result.rejections] == [(*ids("a"), code)]
    assert result.rejections[0].message.startswith(f"line {text.count(chr(10))} of the label table: the ")


def test_68_the_same_row_twice_counts_once(tmp_path):
    result = choose(tmp_path, "accession,segments\nA1,IVa\nA1,4b\n", inventory(a="A1"), a=GOOD)
    assert [case.segments for case in result.cases] == [(4,)]


@pytest.mark.parametrize("masks", [("", "m.nii.gz"), ("m.nii.gz", ""), ("m.nii.gz", "m.nii.gz")])
def test_68_the_mask_that_one_of_two_rows_names_is_taken(tmp_path, masks):
    (label,) = labels(tmp_path, "series,segments,liver_mask\n" + "".join(f"a,4,{mask}\n" for mask in masks))
    assert (label.liver_mask, label.label.segments) == ("m.nii.gz", (4,))


def test_69_cases_missing_on_either_side_are_counted(tmp_path):
    result = choose(tmp_path, "accession,segments\nA1,4\nA7,5\nA9,9\n", inventory(a="A1", b="B2"), a=GOOD)
    assert (len(result.cases), result.unmatched, result.skipped) == (1, 2, {"NOT_LABELED": 1})
    assert not result.rejections


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_70_tables_of_spreadsheets(tmp_path, mark):
    """Byte order mark, CRLF, trailing blanks; ids are text: 007 is not 7, 1E5 not 100000."""
    rows = ["accession,segments", "007 ,IVa", " 1E5,6.0", ",,"]
    (tmp_path / "labels.csv").write_bytes("\r\n".join(rows).replace(",", mark).encode("utf-8-sig"))
    found = read_study_labels(tmp_path / "labels.csv")
    assert [(label.identifier, label.label.segments) for label in found] == [("007", (4,)), ("1E5", (6,))]
    result = select(match_labels(found, inventory(a="7", b="100000"), KEY), {}, inventory(a="7", b="100000"), KEY)
    assert result.unmatched == 2


def test_70_a_row_that_is_none_is_refused_with_its_line(tmp_path):
    with pytest.raises(RefusedInputError, match="line 3: 3 cells under 2 columns"):
        labels(tmp_path, "series;segments\na;4\nb;4;5\n")


def test_a_table_without_a_key_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="volume_id or series or accession and segments"):
        labels(tmp_path, "name,segments\nx,4\n")
    with pytest.raises(RefusedInputError, match="line 2: no volume_id or series or accession"):
        labels(tmp_path, "series,segments\n,4\n")


@pytest.mark.parametrize(
    ("cell", "codes"), [("typo.nii.gz", ["LIVER_MISSING"]), ("", [])], ids=["named mask", "no mask named"]
)
def test_a_mask_that_a_table_names_is_never_replaced_by_a_network(tmp_path, cell, codes):
    """Whether the table has the labels, too, or the labels come from reports."""
    found, series = inventory(a="A1"), hash_text("a")
    candidates = {series: [replace(GOOD, series=series, volume_id=KEY.volume_id(series), mask="")]}
    report = StudyLabel("accession", "A1", VolumeLabel((4,), "train"))
    table = f"accession,liver_mask,{{}}\nA1,{cell},{{}}\n"
    (tmp_path / "splits.csv").write_text(table.format("split", "test"))
    splits = match_labels(read_study_splits(tmp_path / "splits.csv"), found, KEY)
    for matches in (
        match_labels(labels(tmp_path, table.format("segments", "4")), found, KEY),
        add_splits(match_labels([report], found, KEY), splits),
    ):
        result = select(matches, candidates, found, KEY, masks_required=False)
        assert [item.code for item in result.rejections] == codes
        assert len(result.cases) == 1 - len(codes)


@pytest.mark.parametrize(
    ("text", "phase"),
    [
        ("ABD PORTAL VENOUS 1.0 B30f", "portal"),
        ("Leber arteriell", "arterial"),
        ("Thx/Abd venös 70s", "portal"),
        ("LIVER DELAYED 5 min", "delayed"),
        ("Abdomen nativ", "native"),
        ("non-contrast abdomen", "native"),
        ("CT Body 3.0", "unknown"),
        ("KNEE PART 2", "unknown"),
        ("LIVER 80 sec", "portal"),
        ("axial 80 slices", "unknown"),
        ("PORTAL VENOUS LIVER W/WO CONTRAST", "portal"),
        ("DELAYED ABD W/O & W", "delayed"),
        ("ARTERIAL WITH AND WITHOUT CONTRAST", "arterial"),
        ("LIVER WWO", "unknown"),
        ("Leber mit und ohne KM", "unknown"),
        ("ABD W/O CON", "native"),
        ("LIVER W/O WATER", "native"),
    ],
)
def test_phase_by_words(text, phase):
    assert find_phase(text) == phase


def test_the_protocol_tells_the_phase_if_the_description_does_not():
    assert find_phase("PORTAL VENOUS 2.0", "LIVER WITHOUT CONTRAST") == "portal"
    assert find_phase("2.0 B30f", "LIVER WITHOUT CONTRAST") == "native"
    assert find_phase("2.0 B30f", "LIVER W/WO CONTRAST", contrast=True) == "contrast"


def test_contrast_without_a_word_is_some_phase():
    assert find_phase("abdomen", contrast=True) == "contrast"
