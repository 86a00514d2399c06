"""The label table: what it accepts, which rows it sets aside, and when it refuses the run."""

from __future__ import annotations

import pytest

from pipeline.archive.labels import VolumeLabel, parse_segments, read_labels
from pipeline.archive.volume_ids import ircad_id, is_safe_id, replacement_id
from pipeline.errors import CaseError, RefusedInputError


def read(tmp_path, data: bytes | str, **options):
    path = tmp_path / "labels.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_labels(path, **options)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", ()), ("4;5", (4, 5)), ("8 1", (1, 8)), ("VI|vii", (6, 7)), ("4a/4b", (4,)), ("IVa", (4,)), ("6.0", (6,)),
        ("5;5;V", (5,)), (" 3 , 2 ", (2, 3)), ("I;II;III;IV;V;VI;VII;VIII", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("5-8", (5, 6, 7, 8)), ("V \u2013 VII;2", (2, 5, 6, 7)), ("4a-4b", (4,)), ("6-6", (6,)),
    ],
)  # fmt: skip
def test_segments_are_read(text, segments):
    assert parse_segments(text) == segments


@pytest.mark.parametrize("token", ["0", "9", "12", "IX", "IIX", "4c", "6.5", "-1", "8-5", "5-9", "5-"])
def test_a_wrong_segment_is_quoted(token):
    with pytest.raises(CaseError, match=r"names segment '.+', expected 1\.\.8") as caught:
        parse_segments(f"4;{token}")
    assert caught.value.code == "SEGMENT_LABEL"
    assert f"'{token}'" in caught.value.message


@pytest.mark.parametrize("token", ["JohnDoe1970", "Doe", "David", "none", "²", "123456", "48213", "12.03", "5-6-7"])
def test_free_text_is_not_quoted(token):
    with pytest.raises(CaseError, match=f"a text of {len(token)} characters, .*, or an empty cell for a healthy"):
        parse_segments(token)


@pytest.mark.parametrize(
    "data",
    [
        "volume_id,segments,split\na,4;5,test\nb,,\n",
        "\ufeffvolume_id,segments,split\r\na,4;5,test\r\nb,,\r\n",
        "Volume_ID , Segments,split,note\n a ,4;5 ,Test,x\n\nb,,,\n,,,\n",
        'volume_id;segments;split\na;"4;5";test\nb;;\n',
        "volume_id;split;segments\na;test;4|5\nb;;\n",
        "volume_id\tsegments\tsplit\na\tIV 5\ttest\nb\t\t",
        'split,volume_id,segments\rtest,a,"4,5"\r,b,\r',
    ],
)
def test_dialects_give_the_same_table(tmp_path, data):
    table = read(tmp_path, data)
    assert table.labels == {"a": VolumeLabel((4, 5), "test"), "b": VolumeLabel((), "train")}
    assert not table.rejections


def test_ids_stay_text(tmp_path):
    assert set(read(tmp_path, "volume_id,segments\n007,1\n1E5,2\n").labels) == {"007", "1E5"}


def test_a_bad_row_rejects_its_case_only(tmp_path):
    table = read(tmp_path, "volume_id,segments,split\na,9,\nb,3,\nc,3,holdout\n")
    assert set(table.labels) == {"b"}
    assert [(r.volume_id, r.code, r.step) for r in table.rejections.values()] == [
        ("a", "SEGMENT_LABEL", "list"),
        ("c", "SPLIT_UNKNOWN", "list"),
    ]
    assert "a text of 7 characters, expected train, validation, test" in table.rejections["c"].message


def test_duplicates_merge_or_conflict(tmp_path):
    table = read(tmp_path, "volume_id,segments\na,4;5\na,5;4\nb,1\nb,2\nb,1\nc,1\nc,x\n")
    assert set(table.labels) == {"a"}
    assert table.rejections["b"].code == "LABEL_CONFLICT"
    assert "1 (train) and 2 (train)" in table.rejections["b"].message
    assert table.rejections["c"].code == "SEGMENT_LABEL"


def test_an_unsafe_id_is_hidden(tmp_path):
    (rejection,) = read(tmp_path, "volume_id,segments\n../Doe John,4\n").rejections.values()
    assert (rejection.volume_id, rejection.code) == (replacement_id("../Doe John"), "UNSAFE_ID")
    assert "Doe" not in rejection.volume_id + rejection.message
    assert is_safe_id(rejection.volume_id)


def test_bytes_that_are_not_utf8_spoil_only_what_holds_them(tmp_path):
    table = read(tmp_path, "volume_id,segments,note\na,4,f\xfcr\nb\xfc,4,\n".encode("latin-1"))
    assert set(table.labels) == {"a"}
    assert [rejection.code for rejection in table.rejections.values()] == ["UNSAFE_ID"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "the first line must name the columns volume_id and segments"),
        ("volume_id,label\na,4\n", "volume_id and segments"),
        ("volume_id;segments\na;4\nb;4;5\n", "line 3: 3 cells under 2 columns"),
        ("volume_id,segments\na\n", "line 2: 1 cells under 2 columns"),
        ("volume_id,segments\n\n,4\n", "line 3: no volume_id"),
        ('volume_id,segments\na,"' + "x" * 200_000 + '"\n', "line 2: not a row"),
    ],
)
def test_what_is_no_table_is_refused_with_its_line(tmp_path, data, message):
    with pytest.raises(RefusedInputError, match=message):
        read(tmp_path, data)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="cannot be read: No such file"):
        read_labels(tmp_path / "labels.csv")


def test_spellings_of_a_patient_are_one_case(tmp_path):
    table = read(tmp_path, "volume_id,segments\nircad_7,2\n3Dircadb1.7,2\nircad_07,II\n", canonical=ircad_id)
    assert table.labels == {"ircad_07": VolumeLabel((2,), "train")}


@pytest.mark.parametrize("text", ["a", "A.b-c_9", "x" * 64])
def test_safe_ids(text):
    assert is_safe_id(text)


@pytest.mark.parametrize("text", ["", ".a", "-a", "a b", "a/b", "a\n", "ä", "x" * 65, "a\0", "a.tmp-1"])
def test_unsafe_ids(text):
    assert not is_safe_id(text)
    assert replacement_id(text) != replacement_id(text + "'")
