"""Small archives with known content, and the ways in which their files break."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pipeline.archive.catalog import list_cases, read_case
from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import CaseError

SHAPE = (6, 12, 16)
SPACING_MM = (2.5, 0.75, 0.5)
ORIGIN_MM = (-40.0, 30.0, 100.0)
DATATYPE, DATATYPE_BITS, VOX_OFFSET, QFORM_CODE, SFORM_CODE = 70, 72, 108, 252, 254
"""Byte offsets in a NIfTI-1 header."""


def make_hu(shape=SHAPE):
    """Different at every voxel, so that no flip or shift goes unnoticed; LPS order."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 500


def make_labels(shape=SHAPE):
    """A liver with a tumor near its first corner: 0, 1, 2."""
    labels = np.zeros(shape, np.uint8)
    labels[1:5, 2:10, 3:14] = 1
    labels[2:4, 3:5, 4:7] = 2
    return labels


def make_couinaud_map(shape=SHAPE):
    """Eight stripes along x inside the liver."""
    return ((make_labels(shape) > 0) * (np.arange(shape[2]) // 2 + 1)).astype(np.uint8)


def write_image(path, array, spacing=SPACING_MM, origin=ORIGIN_MM, direction=(1, 0, 0, 0, 1, 0, 0, 0, 1)):
    """Write a zyx array as NIfTI."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def write_flipped(path, array, axes):
    """Write an LPS array as a file whose named array axes (0 z, 1 y, 2 x) run the other way; the same patient."""
    origin, signs = np.array(ORIGIN_MM), np.ones(3)
    for axis in axes:
        origin[2 - axis] += (array.shape[axis] - 1) * SPACING_MM[axis]
        signs[2 - axis] = -1
    write_image(path, np.flip(array, axes), origin=origin.tolist(), direction=np.diag(signs).ravel().tolist())


def write_msd(root: Path, labels="case_01,4;5\n", names=("case_01",), couinaud=True) -> Path:
    """Write an archive of good cases of layout `msd`; return its folder."""
    for name in names:
        write_image(root / "imagesTr" / f"{name}.nii.gz", make_hu())
        write_image(root / "labelsTr" / f"{name}.nii.gz", make_labels())
        if couinaud:
            write_image(root / "couinaudTr" / f"{name}.nii.gz", make_couinaud_map())
    (root / "volume_labels.csv").write_text("volume_id,segments\n" + labels)
    return root


def configure(root: Path, layout="msd", **source) -> PipelineConfig:
    return PipelineConfig(run="unused", source=SourceConfig(path=str(root), layout=layout, **source))


def edit_header(path: Path, offset: int, code: str, *values):
    """Overwrite fields of a NIfTI header, leaving a valid gzip stream."""
    data = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<" + code, data, offset, *values)
    path.write_bytes(gzip.compress(bytes(data)))


def make_slices(array, *, rescale=(1.0, 0.0), spacing=SPACING_MM, origin=ORIGIN_MM) -> list[Dataset]:
    """Return a zyx array as axial DICOM slices, as 3D-IRCADb-01 has them: numbers from 0, masks called CT too."""
    series = generate_uid()
    return [_make_slice(plane, k, series, rescale, spacing, origin) for k, plane in enumerate(array)]


def _make_slice(plane, k, series, rescale, spacing, origin) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.Modality, dataset.SeriesInstanceUID, dataset.InstanceNumber = "CT", series, k
    dataset.PatientName, dataset.PatientID = "CANARY^Patient", "canary-17"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * plane.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(plane.dtype.kind == "i")
    dataset.PixelSpacing, dataset.ImageOrientationPatient = list(spacing[1:]), [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [origin[0], origin[1], origin[2] + k * spacing[0]]
    if rescale:
        dataset.RescaleSlope, dataset.RescaleIntercept = rescale
    dataset.PixelData = plane.tobytes()
    return dataset


def save_slices(slices: list[Dataset], folder: Path) -> None:
    """Write slices as `image_0`, `image_1`, ..., without an extension."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, dataset in enumerate(slices):
        pydicom.dcmwrite(folder / f"image_{k}", dataset, enforce_file_format=True)


def write_ircad(root: Path, number=17, tumors=("livertumor01", "livertumor02")) -> Path:
    """Write one patient; the tumor mask is shared out to the organs by slice. Returns the patient's folder."""
    patient, labels = root / f"3Dircadb1.{number}", make_labels()
    save_slices(make_slices(make_hu()), patient / "PATIENT_DICOM")
    masks = {"liver": labels > 0, "portalvein": labels > 3, "liverkyst": labels > 0, "tumor": labels == 0}
    for k, organ in enumerate(tumors):
        part = np.arange(SHAPE[0]) % len(tumors) == k
        masks[organ] = (labels == 2) & part[:, None, None]
    for organ, mask in masks.items():
        save_slices(make_slices(mask.astype(np.uint8) * 255), patient / "MASKS_DICOM" / organ)
    (root / "volume_labels.csv").write_text(f"volume_id,segments\nircad_{number},2;8\n")
    return patient


def zip_folder(folder: Path) -> Path:
    """Replace a folder by a zip of the same name that holds it, as the distribution does."""
    target = folder.parent / f"{folder.name}.zip"
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in reversed(files):
            archive.write(file, file.relative_to(folder.parent))
    for file in files:
        file.unlink()
    for empty in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        empty.rmdir()
    folder.rmdir()
    return target


def read_one(config):
    """Read the only case of a source."""
    (case,), _ = list_cases(config)
    return read_case(case, config)


def assert_rejected(config, code, *quotes):
    with pytest.raises(CaseError) as caught:
        read_one(config)
    assert caught.value.code == code
    assert caught.value.step == "read"
    assert all(quote in caught.value.message for quote in quotes), caught.value.message


def codes(rejections):
    return {rejection.volume_id: rejection.code for rejection in rejections}
