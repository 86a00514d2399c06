"""Reading one `.nii.gz` that nobody vouches for.

SimpleITK fills the missing half of a truncated file with zeros, turns what is not a number into zero, follows a wrong
data offset into nothing and allocates whatever the header asks for. So the gzip stream is checked to its end (each
member's CRC and length), the header is held against the size of the stream and floating-point voxels are looked at,
before SimpleITK sees what was read: the decompressed file, in memory. Where sform and qform differ, the sform wins, as
SimpleITK has it.
"""

from __future__ import annotations

import math
import os
import resource
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.archive.checks import reading, require_spacing
from pipeline.archive.steady_file import open_path
from pipeline.errors import CaseError
from pipeline.volume import Geometry, to_lps, view_in_lps

MAXIMUM_BYTES = 2**32
"""Largest image that is decoded: 4 GiB hold 8,192 slices of 512 x 512 at 16 bit."""
_HEADER_BYTES = 348
_CHUNK_BYTES = 2**20
_GZIP = 16 + zlib.MAX_WBITS
_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
"""The real scalar data types of NIfTI-1."""


@dataclass(frozen=True)
class NiftiHeader:
    """What the first 348 bytes of a NIfTI-1 file say.

    Args:
        shape: Voxels along the file's own x, y, z.
        dtype: Voxels as stored, with the file's byte order.
        data_offset: Where the voxels begin.
        oriented: Whether sform or qform says where the voxels lie.
        plain: Whether there are three axes and stored voxels are the image's.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    data_offset: int
    oriented: bool
    plain: bool

    @property
    def file_bytes(self) -> int:
        """Size of the decompressed file."""
        x, y, z = self.shape
        return self.data_offset + x * y * z * self.dtype.itemsize


def read_nifti(
    path: Path, what: str, record: Callable[[bytes], object], byte_cap: int = MAXIMUM_BYTES
) -> tuple[NDArray[Any], Geometry]:
    """Read an image as a zyx array in LPS order.

    Args:
        path: A `.nii.gz` file.
        what: The image in words, for messages: `the image`, `the mask`.
        record: Receives the file's bytes in order, such as `hashlib.sha256().update`.
        byte_cap: Largest decompressed size. Half of what this process may have is allowed at most: while an image is
            decoded, it is there twice.

    Returns:
        The array, three-dimensional, of the file's data type (floating-point where the header rescales), and its
        geometry. Stored voxels are finite.

    Raises:
        CaseError: `NIFTI_TRUNCATED`, `NIFTI_CORRUPT`, `NIFTI_TOO_LARGE`, `NIFTI_DIMENSIONS`, `NIFTI_DATATYPE`,
            `NIFTI_UNREADABLE`, `NIFTI_NOT_FINITE`, `ORIENTATION_UNKNOWN`, `SPACING_RANGE` or `FILE_UNREADABLE`.
    """
    with _memory_file() as (copy, inflated):
        header = verify_nifti(path, what, record, min(byte_cap, _memory_limit() // 2), copy.write)
        copy.flush()
        if not header.oriented:
            raise CaseError("ORIENTATION_UNKNOWN", f"{what} has sform_code 0 and qform_code 0, expected one above 0")
        array, geometry = _decode(inflated, header, what)
    require_spacing(geometry, what)
    return array, geometry


@contextmanager
def _memory_file() -> Iterator[tuple[IO[bytes], Path]]:
    """Give a file in memory and a path by which a library opens it. Nothing of it is left, whatever happens."""
    with os.fdopen(os.memfd_create("image"), "wb") as stream, TemporaryDirectory() as folder:
        path = Path(folder, "image.nii")
        path.symlink_to(f"/proc/self/fd/{stream.fileno()}")
        yield stream, path


def verify_nifti(
    path: Path, what: str, record: Callable[[bytes], object], byte_cap: int, keep: Callable[[bytes], object]
) -> NiftiHeader:
    """Read a `.nii.gz` from end to end, once, and return its header.

    Args:
        path: As in `read_nifti`.
        what: As in `read_nifti`.
        record: As in `read_nifti`.
        byte_cap: As in `read_nifti`.
        keep: Receives the decompressed bytes in order, never more than the header asks for.

    Raises:
        CaseError: As `read_nifti`.
    """
    voxels, head, size = None, b"", 0
    with reading(what), open_path(path) as stream:
        for block in _inflate(stream, what, record):
            size += len(block)
            if voxels:
                voxels.feed(block)
            elif len(head := head + block) >= _HEADER_BYTES:
                voxels = _VoxelStream(_checked_header(head, what, byte_cap))
                voxels.feed(head)
            if voxels and size > voxels.header.file_bytes:
                raise CaseError(
                    "NIFTI_CORRUPT", f"{what} goes on after the {voxels.header.file_bytes} bytes it asks for"
                )
            keep(block)
    if voxels is None or size < voxels.header.file_bytes:
        expected = voxels.header.file_bytes if voxels else _HEADER_BYTES
        raise CaseError("NIFTI_TRUNCATED", f"{what} ends after {size} bytes, its header asks for {expected}")
    if voxels.not_finite:
        total = math.prod(voxels.header.shape)
        raise CaseError("NIFTI_NOT_FINITE", f"{what} holds {voxels.not_finite} of {total} voxels that are not finite")
    return voxels.header


def _memory_limit() -> int:
    """Return how many bytes this process may have, if that is limited, else twice the largest image."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return 2 * MAXIMUM_BYTES if limit == resource.RLIM_INFINITY else limit


class _VoxelStream:
    """Counts voxels that are not finite in the blocks of a file; a block may end inside a voxel."""

    def __init__(self, header: NiftiHeader) -> None:
        self.header = header
        self.not_finite = 0
        self._skip = header.data_offset
        self._rest = b""

    def feed(self, block: bytes) -> None:
        """Take the next block of the decompressed file, the header's included."""
        if self.header.dtype.kind != "f":
            return
        data = self._rest + block[self._skip :]
        self._skip = max(0, self._skip - len(block))
        whole = len(data) - len(data) % self.header.dtype.itemsize
        self.not_finite += int(np.count_nonzero(~np.isfinite(np.frombuffer(data[:whole], self.header.dtype))))
        self._rest = data[whole:]


def _inflate(stream: IO[bytes], what: str, record: Callable[[bytes], object]) -> Iterator[bytes]:
    """Give the decompressed bytes of a gzip stream of one or more members, at most a chunk at a time.

    zlib checks the CRC and length of each member. Zeros after a member are padding; anything else must be a member.
    """
    decoder = zlib.decompressobj(_GZIP)
    while data := stream.read(_CHUNK_BYTES):
        record(data)
        while data:
            if decoder.eof:
                data = data.lstrip(b"\0")
                decoder = zlib.decompressobj(_GZIP) if data else decoder
                continue
            try:
                yield decoder.decompress(data, _CHUNK_BYTES)
            except zlib.error:
                raise CaseError("NIFTI_CORRUPT", f"{what} fails the checksums of its gzip stream") from None
            data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not decoder.eof:
        raise CaseError("NIFTI_TRUNCATED", f"{what} ends before the end of its gzip stream")


def _checked_header(head: bytes, what: str, byte_cap: int) -> NiftiHeader:
    """Parse a header and check that its image may be decoded at all."""
    header = parse_header(head, what)
    if header.file_bytes > byte_cap:
        raise CaseError("NIFTI_TOO_LARGE", f"{what} asks for {header.file_bytes} bytes, allowed are {byte_cap}")
    return header


def parse_header(head: bytes, what: str) -> NiftiHeader:
    """Parse a NIfTI-1 header of either byte order.

    Args:
        head: At least the first 348 bytes.
        what: The image in words.

    Raises:
        CaseError: `NIFTI_CORRUPT` if this is no header of a single-file NIfTI-1 image, `NIFTI_DIMENSIONS` if the image
            is not three-dimensional (further axes of length 1 are), `NIFTI_DATATYPE` if it is not real and scalar.
    """
    order = "<" if head[:4] == struct.pack("<i", _HEADER_BYTES) else ">"
    (size,) = struct.unpack_from(f"{order}i", head, 0)
    if size != _HEADER_BYTES or head[344:348] != b"n+1\0":
        raise CaseError("NIFTI_CORRUPT", f"{what} has no NIfTI-1 header: its size is {size}, expected {_HEADER_BYTES}")
    rank, *lengths = struct.unpack_from(f"{order}8h", head, 40)
    datatype, bits = struct.unpack_from(f"{order}2h", head, 70)
    (offset,) = struct.unpack_from(f"{order}f", head, 108)
    scaling = struct.unpack_from(f"{order}2f", head, 112)
    codes = struct.unpack_from(f"{order}2h", head, 252)
    if not (3 <= rank <= 7 and min(lengths[:3]) >= 1 and all(length == 1 for length in lengths[3:rank])):
        raise CaseError("NIFTI_DIMENSIONS", f"{what} has shape {tuple(lengths[: max(rank, 0)])}, expected three axes")
    dtype = np.dtype(order + _DTYPES.get(datatype, "V1"))
    if dtype.kind == "V" or bits != 8 * dtype.itemsize:
        raise CaseError("NIFTI_DATATYPE", f"{what} has data type {datatype} of {bits} bits, expected real numbers")
    if not (offset >= _HEADER_BYTES + 4 and offset < MAXIMUM_BYTES):
        raise CaseError("NIFTI_CORRUPT", f"{what} has its voxels at byte {offset:g}, expected 352 or later")
    x, y, z = lengths[:3]
    plain = rank == 3 and scaling in ((0.0, 0.0), (1.0, 0.0))
    return NiftiHeader((x, y, z), dtype, int(offset), any(code > 0 for code in codes), plain)


def _decode(path: Path, header: NiftiHeader, what: str) -> tuple[NDArray[Any], Geometry]:
    """Decode a verified file in LPS order. The decoder's error text names the path and is dropped."""
    import SimpleITK as sitk

    sitk.ProcessObject_SetGlobalWarningDisplay(False)
    try:
        if header.plain:
            reader = sitk.ImageFileReader()
            reader.SetFileName(str(path))
            reader.SetImageIO("NiftiImageIO")
            reader.ReadImageInformation()
            voxels = np.memmap(path, header.dtype, "c", header.data_offset, header.shape[::-1])
            view, geometry = view_in_lps(voxels, reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
            return np.ascontiguousarray(np.asarray(view), header.dtype.newbyteorder("=")), geometry
        image = sitk.ReadImage(str(path), imageIO="NiftiImageIO")
    except RuntimeError as error:
        if "allocate memory" in str(error):
            raise MemoryError from None
        message = f"{what} cannot be decoded: its affine is sheared or singular, or its header contradicts itself"
        raise CaseError("NIFTI_UNREADABLE", message) from None
    while image.GetDimension() > 3:
        image = image[..., 0]
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise CaseError(
            "NIFTI_DIMENSIONS", f"{what} has {image.GetNumberOfComponentsPerPixel()} values per voxel, not one"
        )
    return to_lps(image)
