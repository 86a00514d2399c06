"""Pixels that are not all there, are of another kind, or do not mean what their header says."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.phantom_archive.faults.registry import change, copy_slice, fault, file_of, map_pixels
from pipeline.phantom_archive.files import save
from pipeline.phantom_archive.vendors import DEFLATED, RLE

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_PREAMBLE = 132
_BOMB_BLOCK, _BOMB_BLOCKS = 2**26, 64


@fault("24_SHORT_PIXELDATA", "PIXELDATA_SHORT")
def shorten_pixels(slices: list[Dataset], folder: Path) -> None:
    """A slice has a fourth of its pixels."""
    slices[4].PixelData = slices[4].PixelData[: slices[4].Rows // 2 * slices[4].Columns]
    save(slices, folder)


@fault("26_RGB_PAGE", skipped=("NOT_GRAYSCALE",))
def add_color_page(slices: list[Dataset], folder: Path) -> None:
    """The series ends with a page in color."""
    page = copy_slice(slices[0], SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    page.PixelData = page.PixelData * 3
    save([*slices, page], folder)


@fault("26_SECONDARY_CAPTURE", skipped=("SECONDARY_CAPTURE",))
def add_capture(slices: list[Dataset], folder: Path) -> None:
    """The series ends with a picture of the screen."""
    save([*slices, copy_slice(slices[0], SOPClassUID=_SECONDARY_CAPTURE)], folder)


change("30_LOSSY_IS_FLAGGED", note="LOSSY_COMPRESSION", LossyImageCompression="01")


@fault("32_RLE")
def run_length(slices: list[Dataset], folder: Path) -> None:
    """Pixels are compressed by run lengths."""
    for dataset in slices:
        dataset.compress(RLE, generate_instance_uid=False)
    save(slices, folder)


@fault("34_DEFLATED")
def deflate(slices: list[Dataset], folder: Path) -> None:
    """Files are deflated as a whole."""
    for dataset in slices:
        dataset.file_meta.TransferSyntaxUID = DEFLATED
    save(slices, folder)


@fault("34_BIG_ENDIAN")
def swap_bytes(slices: list[Dataset], folder: Path) -> None:
    """The high byte comes first."""
    for dataset in slices:
        dataset.file_meta.TransferSyntaxUID = _BIG_ENDIAN
        map_pixels(dataset, lambda stored: stored.astype(">i2"))
    save(slices, folder)


@fault("35_UNKNOWN_TRANSFER_SYNTAX", "PIXELDATA_UNREADABLE")
def rename_syntax(slices: list[Dataset], folder: Path) -> None:
    """A file names a transfer syntax that nobody knows."""
    path = file_of(save(slices, folder), 4)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.8.2.1\0"))


change("36_DIMENSION_LIE", "MATRIX_SIZE", index=4, Rows=65535)
change("36_FRAME_LIE", "MULTIFRAME", index=4, NumberOfFrames=100_000)


@fault("36_DEFLATE_BOMB", "DECODER_MEMORY")
def inflate(slices: list[Dataset], folder: Path) -> None:
    """A deflated slice of 4 MB inflates to 4 GB: stored blocks after a full flush can be repeated."""
    slices[5].file_meta.TransferSyntaxUID = DEFLATED
    path = file_of(save(slices, folder), 5)
    data = path.read_bytes()
    meta = data[: _PREAMBLE + 12 + int.from_bytes(data[_PREAMBLE + 8 : _PREAMBLE + 12], "little")]
    packer = zlib.compressobj(1, wbits=-15)
    block = packer.compress(bytes(_BOMB_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(meta + block * _BOMB_BLOCKS + packer.flush())


@fault("37_SLOPE_CHANGES")
def change_slope(slices: list[Dataset], folder: Path) -> None:
    """Every second slice has a slope and intercept of its own; the HU are the same."""
    for dataset in slices[1::2]:
        map_pixels(dataset, lambda stored: (stored * 2 + 100).astype("<i2"))
        dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-50"
    save(slices, folder)


change("38_NO_RESCALE", "RESCALE_MISSING", RescaleSlope=None, RescaleIntercept=None)


@fault("38_LOST_INTERCEPT", "HU_IMPLAUSIBLE")
def lose_intercept(slices: list[Dataset], folder: Path) -> None:
    """Stored values begin with air at 0, and nothing says so."""
    for dataset in slices:
        map_pixels(dataset, lambda stored: np.maximum(stored + 1024, 0).astype("<u2"))
        dataset.PixelRepresentation = 0
    save(slices, folder)


change("39_SLOPE_ABSURD", "HU_RANGE", index=4, RescaleSlope=1e30)


@fault("39_DECIMAL_COMMA", "RESCALE_INVALID")
def write_comma(slices: list[Dataset], folder: Path) -> None:
    """A slope is written as in French."""
    slices[4].RescaleSlope = "1.0"
    path = file_of(save(slices, folder), 4)
    data = path.read_bytes()
    place = data.index(b"\x28\x00\x53\x10")
    path.write_bytes(data[:place] + data[place:].replace(b"1.0 ", b"1,0 ", 1))


@fault("40_PADDING", note="PADDING_CLIPPED")
def pad(slices: list[Dataset], folder: Path) -> None:
    """Pixels that were not scanned hold -2000."""
    for dataset in slices:
        map_pixels(dataset, lambda stored: np.concatenate([np.full(20, -2000, "<i2"), stored[20:]]))
    save(slices, folder)
