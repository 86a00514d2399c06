"""Reading attributes of a DICOM file that nobody vouches for: only those that are asked for, and never an exception
from pydicom, whose texts and warnings quote what it read.
"""

from __future__ import annotations

import functools
import io
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import CaseError

if TYPE_CHECKING:
    import pydicom

Vector = tuple[float, ...]

_PREFIX_OFFSET, _PREFIX = 128, b"DICM"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")


@functools.cache
def dicom_errors() -> tuple[type[Exception], ...]:
    """Return what pydicom and its decoders raise on broken files. Their texts quote attributes: never pass them on."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    own = (BytesLengthException, InvalidDicomError, struct.error)
    return (*own, AttributeError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's warnings to itself: they quote values. pydicom decodes on access, so this is for reading, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def is_dicom(stream: IO[bytes]) -> bool:
    """Tell whether a file begins as DICOM does, with its prefix or, as old files do, with the first element."""
    stream.seek(0)
    head = stream.read(_PREFIX_OFFSET + len(_PREFIX))
    stream.seek(0)
    return head[_PREFIX_OFFSET:] == _PREFIX or head[:2] in _FIRST_GROUPS


def parse(source: bytes | IO[bytes], what: str, keywords: Sequence[str]) -> pydicom.Dataset:
    """Parse one DICOM file, only the attributes of `keywords`.

    Args:
        source: The file.
        what: The series in words.
        keywords: What to read. Reading ends before the pixels unless they are among them.

    Raises:
        CaseError: `DICOM_UNREADABLE`.
    """
    import pydicom

    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    stop = "PixelData" not in keywords
    try:
        with quiet():
            if is_dicom(stream):
                dataset = pydicom.dcmread(stream, stop_before_pixels=stop, specific_tags=list(keywords), force=True)
                _complete_meta(dataset)
                return dataset
    except dicom_errors():
        pass
    raise CaseError("DICOM_UNREADABLE", f"{what}: a file of {_size(stream)} bytes is not readable as DICOM") from None


def _complete_meta(dataset: pydicom.Dataset) -> None:
    """Name the transfer syntax of a file without meta information: its pixels are plain, and pydicom saw the rest."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not dataset.file_meta and not dataset.preamble and dataset.original_encoding[1]:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def _size(stream: IO[bytes]) -> int:
    """Return the length of a file."""
    return stream.seek(0, io.SEEK_END)


def numbers_of(dataset: pydicom.Dataset, keyword: str, count: int, code: str, what: str) -> Vector:
    """Return a numeric attribute as `count` finite floats."""
    value = value_of(dataset, keyword)
    items: Sequence[Any] = [value] if count == 1 else value if isinstance(value, Sequence) else []
    try:
        numbers = tuple(float(item) for item in items)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise CaseError(code, f"{what}: {keyword} holds {len(numbers)} usable numbers, expected {count}")
    return numbers


def integer_of(dataset: pydicom.Dataset, keyword: str, default: int) -> int:
    """Return a whole number, the default if the attribute is absent or empty, and -1 if it is no number."""
    value = value_of(dataset, keyword)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        return -1


def text_of(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return an attribute as text; empty if it is absent."""
    value = value_of(dataset, keyword)
    return "" if value is None else str(value)


def value_of(dataset: pydicom.Dataset, keyword: str) -> Any:
    """Return an attribute, or None where it is absent or its bytes do not decode. To be called within `quiet`."""
    try:
        return dataset.get(keyword)
    except dicom_errors():
        return None
