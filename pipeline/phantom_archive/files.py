"""Writing the slices of a series as a vendor's files: compressed, as one multi-frame object, or without a preamble."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.phantom_archive.vendors import DEFLATED, EXPLICIT, IMPLICIT, JPEG_LOSSLESS, Vendor

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_OF_A_FRAME = (
    "PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope",
    "RescaleIntercept",
)  # fmt: skip
"""What an enhanced object says of a frame, not of itself."""


def save(slices: Sequence[Dataset], folder: Path, name: str = "IM{:04d}.dcm", first: int = 0) -> Path:
    """Write datasets as they are, the k-th under the name for `first + k`; return the folder."""
    import pydicom

    folder.mkdir(parents=True, exist_ok=True)
    for index, dataset in enumerate(slices, start=first):
        pydicom.dcmwrite(folder / name.format(index), dataset, enforce_file_format=True)
    return folder


def save_series(slices: Sequence[Dataset], folder: Path, vendor: Vendor) -> None:
    """Write the slices of a series as its vendor does; they are changed on the way.

    Names count on from the series number, so that the series of an examination may share a folder.
    """
    first = slices[0].SeriesNumber * 10_000
    for dataset in slices:
        encode(dataset, vendor.syntax)
    if vendor.bare:
        _save_bare(slices, folder, vendor, first)
    else:
        save([to_enhanced(slices)] if vendor.enhanced else slices, folder, vendor.file_name, first)


def encode(dataset: Dataset, syntax: str) -> None:
    """Bring a slice into a transfer syntax."""
    if syntax == JPEG_LOSSLESS:
        _encode_jpeg_lossless(dataset)
    elif syntax in (EXPLICIT, IMPLICIT, DEFLATED):
        dataset.file_meta.TransferSyntaxUID = syntax
    else:
        dataset.compress(syntax, generate_instance_uid=False)


def to_enhanced(slices: Sequence[Dataset]) -> Dataset:
    """Return slices that are not compressed as one enhanced CT object, a frame each."""
    from pydicom.sequence import Sequence as Items
    from pydicom.uid import EnhancedCTImageStorage

    first = slices[0]
    dataset = deepcopy(first)
    dataset.SOPClassUID, dataset.NumberOfFrames = EnhancedCTImageStorage, len(slices)
    measures = item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
    orientation = item(ImageOrientationPatient=first.ImageOrientationPatient)
    shared = item(PixelMeasuresSequence=Items([measures]), PlaneOrientationSequence=Items([orientation]))
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    dataset.PerFrameFunctionalGroupsSequence = Items([_frame(one) for one in slices])
    dataset.PixelData = b"".join(one.PixelData for one in slices)
    for keyword in _OF_A_FRAME:
        delattr(dataset, keyword)
    return dataset


def item(**values: Any) -> Dataset:
    """Return a dataset, such as a sequence's item, of some attributes."""
    from pydicom.dataset import Dataset

    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def zip_folder(folder: Path) -> Path:
    """Replace a folder by a zip beside it that holds its files; the same files give the same bytes."""
    target = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            info = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=1)
    shutil.rmtree(folder)
    return target


def _frame(dataset: Dataset) -> Dataset:
    """Return what an enhanced object says of one frame."""
    from pydicom.sequence import Sequence as Items

    values = item(RescaleSlope=dataset.RescaleSlope, RescaleIntercept=dataset.RescaleIntercept, RescaleType="HU")
    position = item(ImagePositionPatient=dataset.ImagePositionPatient)
    content = item(FrameAcquisitionNumber=1)
    return item(
        PlanePositionSequence=Items([position]),
        PixelValueTransformationSequence=Items([values]),
        FrameContentSequence=Items([content]),
    )


def _save_bare(slices: Sequence[Dataset], folder: Path, vendor: Vendor, first: int) -> None:
    """Write datasets as files that begin with the first element, as before DICOM had a file format."""
    import pydicom

    folder.mkdir(parents=True, exist_ok=True)
    for index, dataset in enumerate(slices, start=first):
        del dataset.file_meta
        pydicom.dcmwrite(folder / vendor.file_name.format(index), dataset, implicit_vr=True, little_endian=True)


def _encode_jpeg_lossless(dataset: Dataset) -> None:
    """Compress by GDCM, which SimpleITK brings along: pydicom has no encoder for it. Stored values are unsigned."""
    import pydicom
    import SimpleITK as sitk

    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "slice.dcm")
        writer.SetFileName(str(path))
        writer.Execute(sitk.GetImageFromArray(dataset.pixel_array[None]))
        written = pydicom.dcmread(path)
    assert written.file_meta.TransferSyntaxUID == JPEG_LOSSLESS
    dataset.file_meta.TransferSyntaxUID = JPEG_LOSSLESS
    dataset.PixelData = written.PixelData
    dataset["PixelData"].is_undefined_length = True
