"""The short way through a plain DICOM file gives what pydicom gives, and leaves every other file to it."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from pipeline.archive.dicom.attributes import parse, value_of
from pipeline.archive.dicom.headers import HEADER_KEYWORDS, PIXEL_KEYWORDS
from pipeline.archive.dicom.kinds import KIND_KEYWORDS
from pipeline.archive.dicom.plain import HEAD_BYTES, PlainFile, parse_quickly
from tests.dicom_archive_cases import make_series


def to_bytes(dataset, **options) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True, **options)
    return buffer.getvalue()


@pytest.fixture
def one():
    return make_series(description="Abdomen portal", ProtocolName="", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])[3]


def assert_same(data, keywords):
    quick, slow = parse_quickly(data, "x", keywords), parse(data, "x", keywords)
    assert isinstance(quick, PlainFile)
    for keyword in keywords:
        assert (keyword in quick) == (keyword in slow), keyword
        if keyword != "PixelData":
            assert value_of(quick, keyword) == value_of(slow, keyword), keyword
    assert quick.file_meta["TransferSyntaxUID"] == slow.file_meta.TransferSyntaxUID
    return quick, slow


@pytest.mark.parametrize("keywords", [KIND_KEYWORDS, HEADER_KEYWORDS, PIXEL_KEYWORDS])
@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_attributes_are_those_of_pydicom(one, keywords, syntax):
    if syntax == "implicit":
        one.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    one.AcquisitionNumber, one.RescaleSlope = None, "1.25"
    one.add_new(0x00091010, "OB", bytes(200))
    assert_same(to_bytes(one).replace(b"1.25", b"what"), keywords)


@pytest.mark.parametrize(("signed", "bits"), [(0, 12), (0, 16), (1, 12), (1, 16)])
def test_pixels_are_those_of_pydicom_whatever_unused_bits_hold(one, signed, bits):
    one.PixelRepresentation, one.BitsStored, one.HighBit = signed, bits, bits - 1
    stored = np.random.default_rng(0).integers(0, 2**16, (one.Rows, one.Columns), dtype=np.uint16)
    one.PixelData = stored.tobytes()
    quick, slow = assert_same(to_bytes(one), PIXEL_KEYWORDS)
    assert quick.has_plain_pixels
    np.testing.assert_array_equal(quick.pixels(), slow.pixel_array)
    assert quick.pixels().dtype == slow.pixel_array.dtype


def test_a_header_is_read_from_the_beginning_of_a_stream(one):
    stream = io.BytesIO(to_bytes(one))
    stream.seek(7)
    assert parse_quickly(stream, "x", HEADER_KEYWORDS).get("Rows") == one.Rows
    assert stream.tell() <= HEAD_BYTES


def _deflate(one):
    one.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def _umlaut(one):
    one.SpecificCharacterSet, one.SeriesDescription = "ISO_IR 192", "Leber venös"


def _japanese(one):
    one.SpecificCharacterSet = "ISO_IR 13"


def _compress(one):
    one.compress(RLELossless, generate_instance_uid=False)


def _describe(one):
    one.add_new(0x00209999, "LT", "x" * 60_000)


ODD = {
    "deflated": (_deflate, KIND_KEYWORDS), "umlaut": (_umlaut, KIND_KEYWORDS), "japanese": (_japanese, KIND_KEYWORDS),
    "compressed": (_compress, PIXEL_KEYWORDS), "long header": (_describe, HEADER_KEYWORDS),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "keywords"), ODD.values(), ids=ODD)
def test_what_is_not_plain_is_left_to_pydicom(one, spoil, keywords):
    spoil(one)
    data = to_bytes(one)
    quick, slow = parse_quickly(io.BytesIO(data), "x", keywords), parse(data, "x", keywords)
    assert isinstance(quick, pydicom.Dataset)
    for keyword in set(keywords) - {"PixelData"}:
        assert value_of(quick, keyword) == value_of(slow, keyword), keyword


@pytest.mark.parametrize("cut", [200, 400, 600, -100])
def test_a_file_that_breaks_off_is_left_to_pydicom(one, cut):
    data = to_bytes(one)[:cut]
    assert isinstance(parse_quickly(data, "x", PIXEL_KEYWORDS), pydicom.Dataset)
