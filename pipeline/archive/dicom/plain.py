"""A short way through plain DICOM files, which nearly all files of an archive are.

pydicom spends most of its time on headers that differ from slice to slice in two numbers. Here a header is walked
through once, and pydicom converts each value that it has not met before. Whatever is not plain is left to pydicom
alone: no preamble, deflated or big-endian files, values of undefined length, sequences that are asked for, other
character sets, elements that are out of order or go past the end.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.dicom.attributes import parse, quiet, value_of

if TYPE_CHECKING:
    import pydicom

HEAD_BYTES = 2**15
"""How much of a file is read for its header; one that is longer is left to pydicom."""
_MAGIC, _DATASET_OFFSET = slice(128, 132), 132
_META_END, _SYNTAX, _CHARACTER_SET, _PIXEL_DATA = 0x0002FFFF, 0x00020010, 0x00080005, 0x7FE00010
_EXPLICIT, _IMPLICIT, _COMPRESSED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4."
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
"""VRs whose values have a length of 16 bits; of the others it has 32, two bytes on."""
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_ESCAPES = (b"\\", b"13", b"ISO 2022")
"""Character sets of these are not ASCII where a text is."""
_UNDEFINED, _PIXEL_BITS = 0xFFFFFFFF, 16
_HEAD, _LENGTH = struct.Struct("<HH2sH"), struct.Struct("<L")
_KEPT_VALUES = 1024
"""Converted values that are remembered: within a series nearly all are the same."""

Elements = dict[int, tuple[bytes, int, int]]
"""Tag to VR (empty if it is implicit), first byte and length of the value."""


class NotPlainError(Exception):
    """A file is one for pydicom."""


@dataclass(frozen=True)
class PlainFile:
    """The attributes of a plain file, by the few ways in which this package asks a `pydicom.Dataset` for them.

    Args:
        data: The file, or its beginning.
        elements: Attributes that were asked for and are there.
        file_meta: Its transfer syntax.
    """

    data: bytes
    elements: Elements
    file_meta: dict[str, Any]

    def __contains__(self, keyword: str) -> bool:
        return _tag_of(keyword) in self.elements

    def get(self, keyword: str) -> Any:
        """Return an attribute, None if it is absent; raises what pydicom raises on bytes that do not decode."""
        tag = _tag_of(keyword)
        if tag not in self.elements:
            return None
        vr, start, length = self.elements[tag]
        return _convert(tag, vr.decode(), self.data[start : start + length])

    @property
    def has_plain_pixels(self) -> bool:
        """Whether there is one frame of 16 bits per pixel, as it stands there."""
        names = ("SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation", "Rows", "Columns")
        with quiet():
            samples, allocated, stored, signed, rows, columns = (value_of(self, name) for name in names)
        _, _, length = self.elements.get(_PIXEL_DATA, (b"", 0, 0))
        plain = samples == 1 and allocated == _PIXEL_BITS and stored in range(1, 1 + _PIXEL_BITS) and signed in (0, 1)
        whole = isinstance(rows, int) and isinstance(columns, int) and length == 2 * rows * columns > 0
        return plain and whole and "NumberOfFrames" not in self

    def pixels(self) -> NDArray[Any]:
        """Return the stored values of a file with plain pixels, as pydicom decodes them; perhaps read-only."""
        rows, columns = self.get("Rows"), self.get("Columns")
        dtype = "<i2" if self.get("PixelRepresentation") else "<u2"
        _, start, _ = self.elements[_PIXEL_DATA]
        values: NDArray[Any] = np.frombuffer(self.data, dtype, rows * columns, start).reshape(rows, columns)
        if unused := _PIXEL_BITS - self.get("BitsStored"):
            values = values << unused
            values >>= unused
        return values


def parse_quickly(source: bytes | IO[bytes], what: str, keywords: Sequence[str]) -> PlainFile | pydicom.Dataset:
    """Return attributes of a file, as `parse` does, by the short way if the file is plain.

    Args:
        source: As `parse`, and so are the others. A stream is read from its beginning.
        what: The series in words.
        keywords: What to read.

    Raises:
        CaseError: As `parse`.
    """
    if isinstance(source, bytes):
        data = source
    else:
        source.seek(0)
        data = source.read(HEAD_BYTES)
    try:
        return _parse(data, tuple(keywords), whole=isinstance(source, bytes) or len(data) < HEAD_BYTES)
    except (NotPlainError, struct.error):
        return parse(source, what, keywords)


def _parse(data: bytes, keywords: tuple[str, ...], whole: bool) -> PlainFile:
    """Walk through a file; NotPlainError if it is none of the plain ones."""
    if data[_MAGIC] != b"DICM":
        raise NotPlainError
    meta, start = _walk(data, _DATASET_OFFSET, frozenset({_SYNTAX}), _META_END, explicit=True)
    _, first, length = meta.get(_SYNTAX, (b"", 0, 0))
    syntax = data[first : first + length].rstrip(b"\0 ").decode("ascii", "replace")
    if syntax not in (_EXPLICIT, _IMPLICIT) and not syntax.startswith(_COMPRESSED):
        raise NotPlainError
    wanted, last = _find_tags(keywords)
    elements, end = _walk(data, start, wanted, last, explicit=syntax != _IMPLICIT)
    if not whole and end == len(data):
        raise NotPlainError
    for tag, (vr, first, length) in elements.items():
        value = data[first : first + length] if tag != _PIXEL_DATA else b""
        if vr == b"SQ" or not value.isascii() or b"\x1b" in value:
            raise NotPlainError
        if tag == _CHARACTER_SET and any(escape in value for escape in _ESCAPES):
            raise NotPlainError
    return PlainFile(data, elements, {"TransferSyntaxUID": syntax})


def _walk(data: bytes, position: int, wanted: frozenset[int], last: int, *, explicit: bool) -> tuple[Elements, int]:
    """Go from element to element up to a last tag; return those that are wanted, and where the walk ended."""
    elements: Elements = {}
    size, before = len(data), 0
    while position < size:
        group, element, vr, length = _HEAD.unpack_from(data, position)
        tag = group << 16 | element
        if tag > last:
            return elements, position
        if not explicit:
            if vr in _SHORT or vr in _LONG:
                raise NotPlainError
            vr, length, position = b"", _LENGTH.unpack_from(data, position + 4)[0], position + 8
        elif vr in _SHORT:
            position += 8
        elif vr in _LONG:
            length, position = _LENGTH.unpack_from(data, position + 8)[0], position + 12
        else:
            raise NotPlainError
        if tag <= before or length == _UNDEFINED or position + length > size:
            raise NotPlainError
        if tag in wanted:
            elements[tag] = vr, position, length
        position += length
        before = tag
    return elements, position


@functools.cache
def _find_tags(keywords: tuple[str, ...]) -> tuple[frozenset[int], int]:
    """Return the tags of some attributes and of the character set, and the last of them."""
    tags = frozenset({_CHARACTER_SET, *map(_tag_of, keywords)})
    return tags, max(tags)


@functools.cache
def _tag_of(keyword: str) -> int:
    """Return the tag of an attribute."""
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


@functools.lru_cache(_KEPT_VALUES)
def _convert(tag: int, vr: str, value: bytes) -> Any:
    """Return a value as pydicom converts it; VR is empty where it follows from the tag."""
    from pydicom.dataelem import RawDataElement, convert_raw_data_element, empty_value_for_VR
    from pydicom.tag import BaseTag

    raw = value or empty_value_for_VR(vr or None, raw=True)
    element = RawDataElement(BaseTag(tag), vr or None, len(value), raw, 0, not vr, True)
    return convert_raw_data_element(element).value
