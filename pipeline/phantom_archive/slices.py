"""From a volume in LPS order to the slices of a DICOM series, in one vendor's way of storing and placing them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import Int16Array
from pipeline.phantom_archive.tags import BIRTH_DATE, CANARY, STUDY_DATE, SeriesTags
from pipeline.phantom_archive.vendors import EXPLICIT, Vendor
from pipeline.volume import Geometry

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

CORNER = 1.3
"""Beyond this squared distance, in half sides of the picture, a padded image shows nothing."""
_DECIMALS = 3


def make_slices(hu: Int16Array, geometry: Geometry, tags: SeriesTags, vendor: Vendor) -> list[Dataset]:
    """Return a volume as axial slices in the vendor's order, not compressed.

    Args:
        hu: Shape (z, y, x) in LPS order.
        geometry: Its spacing and origin; its axes are the patient's.
        tags: Whose series it is.
        vendor: How it is stored.
    """
    native = to_native(hu, vendor)
    last = (np.array(geometry.shape) - 1) * geometry.spacing_mm
    first = np.array(geometry.origin_mm)[::-1] + [last[axis] if axis in vendor.flipped else 0.0 for axis in range(3)]
    step, *pixel = geometry.spacing_mm
    signs = [-1 if axis in vendor.flipped else 1 for axis in range(3)]
    orientation = [signs[2], 0, 0, 0, signs[1], 0]
    slices = []
    for k, plane in enumerate(native):
        position = [first[2], first[1], first[0] + signs[0] * k * step]
        slices.append(make_slice(plane, k, tags, vendor, position, orientation, pixel))
        slices[-1].SliceThickness = step
    return slices


def to_native(array: NDArray[Any], vendor: Vendor) -> NDArray[Any]:
    """Return a volume in LPS order as the vendor orders its slices, rows and columns."""
    return np.flip(array, vendor.flipped)


def make_slice(
    plane: Int16Array,
    index: int,
    tags: SeriesTags,
    vendor: Vendor,
    position: Sequence[float],
    orientation: Sequence[float],
    pixel_mm: Sequence[float],
) -> Dataset:
    """Return one slice.

    Args:
        plane: HU, shape (rows, columns).
        index: Its number in the series, from 0.
        tags: Whose series it is.
        vendor: How it is stored.
        position: Center of the first pixel as x, y, z (LPS).
        orientation: Direction cosines along a row, then along a column.
        pixel_mm: Distance between rows, between columns.
    """
    dataset = make_header(tags, vendor, index)
    stored = to_stored(plane, vendor)
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, vendor.bits, vendor.bits - 1
    dataset.PixelRepresentation = int(vendor.signed)
    dataset.RescaleSlope, dataset.RescaleIntercept = vendor.slope, vendor.intercept
    dataset.PixelSpacing = [round(float(value), _DECIMALS) for value in pixel_mm]
    dataset.ImageOrientationPatient = list(orientation)
    dataset.ImagePositionPatient = [round(float(value), _DECIMALS) for value in position]
    dataset.PixelData = stored.tobytes()
    return dataset


def make_header(tags: SeriesTags, vendor: Vendor, index: int) -> Dataset:
    """Return what the files of all kinds of a series have: whose they are, from what machine, and when."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage

    patient, dataset = tags.patient, Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = list(tags.image_type)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, patient.uid(tags.number, index)
    dataset.StudyDate, dataset.AcquisitionTime = STUDY_DATE, _clock(index)
    dataset.AccessionNumber = patient.accession if tags.accession else ""
    dataset.Modality, dataset.Manufacturer = "CT", vendor.manufacturer
    dataset.ReferringPhysicianName = f"{CANARY}^Doctor"
    dataset.SeriesDescription = f"{tags.description} {CANARY}"
    dataset.ManufacturerModelName = vendor.model
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = patient.name, patient.patient_id, BIRTH_DATE
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = patient.uid("study"), tags.uid
    dataset.SeriesNumber, dataset.AcquisitionNumber = tags.number, 1
    dataset.InstanceNumber = vendor.first_number + index
    dataset.FrameOfReferenceUID = patient.uid("frame")
    group, creator = vendor.private
    if creator:
        dataset.private_block(group, creator, create=True).add_new(0x10, "LO", f"{CANARY} private")
    return dataset


def to_stored(hu: Int16Array, vendor: Vendor) -> NDArray[Any]:
    """Return HU as a vendor's stored values, 16 bits each; what does not fit is cut off."""
    if vendor.padding_hu is not None:
        hu = np.where(outside_circle(*hu.shape), np.int16(vendor.padding_hu), hu)
    values = np.rint((hu - vendor.intercept) / vendor.slope)
    high = 2 ** (vendor.bits - vendor.signed) - 1
    low = -high - 1 if vendor.signed else 0
    return np.clip(values, low, high).astype("<i2" if vendor.signed else "<u2")


def outside_circle(rows: int, columns: int) -> NDArray[np.bool_]:
    """Return the corners of a picture that the scanner does not reach, `bool[rows, columns]`."""
    y, x = (np.linspace(-1, 1, side) ** 2 for side in (rows, columns))
    outside: NDArray[np.bool_] = y[:, None] + x > CORNER
    return outside


def _clock(index: int) -> str:
    """Return the time of a slice, half a second after the one before."""
    seconds = index / 2
    return f"10{30 + int(seconds // 60):02d}{seconds % 60:04.1f}"
