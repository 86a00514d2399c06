"""Livers, tumors and segments of a patient in the forms in which sites keep them: NIfTI, DICOM SEG, mask slices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays import UInt8Array
from pipeline.phantom_archive.files import item
from pipeline.phantom_archive.tags import derive_uid
from pipeline.phantom_archive.vendors import EXPLICIT
from pipeline.volume import Geometry, to_native_image

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

FORMS = ("nifti", "segmentation", "slices")
"""Forms of a liver mask."""
MASK_VALUE = 255
"""What the inside is in mask slices."""
_FRACTIONAL_MAXIMUM, _FRACTIONAL_INSIDE = 200, 150


def write_nifti(path: Path, labels: UInt8Array, geometry: Geometry) -> None:
    """Write labels in LPS order as `.nii.gz`, making the folder."""
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_native_image(labels, geometry), str(path), useCompression=True)


def make_segmentation(
    slices: Sequence[Dataset],
    masks: Sequence[NDArray[Any]],
    labels: Sequence[str] = ("Liver",),
    kind: str = "BINARY",
) -> Dataset:
    """Return a DICOM SEG of one mask per label, the last slice first; empty frames are left out.

    Args:
        slices: Slices of the CT, not of an enhanced object.
        masks: One 0/1 array per label, ordered as the slices.
        labels: Names of the segments.
        kind: `BINARY` or `FRACTIONAL`.
    """
    from pydicom.pixels import pack_bits
    from pydicom.sequence import Sequence as Items

    seg, first = _make_empty(slices[0], kind), slices[0]
    segments = [item(SegmentNumber=number, SegmentLabel=text) for number, text in enumerate(labels, start=1)]
    seg.SegmentSequence = Items(segments)
    measures = item(PixelSpacing=list(first.PixelSpacing))
    orientation = item(ImageOrientationPatient=list(first.ImageOrientationPatient))
    shared = item(PixelMeasuresSequence=Items([measures]), PlaneOrientationSequence=Items([orientation]))
    seg.SharedFunctionalGroupsSequence = Items([shared])
    frames, groups = [], []
    for number, mask in enumerate(masks, start=1):
        for k in reversed(np.flatnonzero(mask.any(axis=(1, 2)))):
            frames.append(mask[k])
            position = item(ImagePositionPatient=list(slices[k].ImagePositionPatient))
            segment = item(ReferencedSegmentNumber=number)
            group = item(PlanePositionSequence=Items([position]), SegmentIdentificationSequence=Items([segment]))
            groups.append(group)
    seg.PerFrameFunctionalGroupsSequence, seg.NumberOfFrames = Items(groups), len(frames)
    stack = np.array(frames, np.uint8)
    seg.PixelData = pack_bits(stack) if kind == "BINARY" else (stack * _FRACTIONAL_INSIDE).tobytes()
    return seg


def _make_empty(first: Dataset, kind: str) -> Dataset:
    """Return a segmentation of a series without its segments and frames."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.sequence import Sequence as Items
    from pydicom.uid import SegmentationStorage

    seg = item(SOPClassUID=SegmentationStorage, Modality="SEG", SegmentationType=kind)
    seg.file_meta = FileMetaDataset()
    seg.file_meta.TransferSyntaxUID = EXPLICIT
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "StudyInstanceUID", "AccessionNumber"):
        setattr(seg, keyword, first.get(keyword, ""))
    seg.SOPInstanceUID = derive_uid(first.SeriesInstanceUID, "segmentation")
    seg.SeriesInstanceUID = derive_uid(first.SeriesInstanceUID, "segmentation series")
    seg.ReferencedSeriesSequence = Items([item(SeriesInstanceUID=first.SeriesInstanceUID)])
    seg.Rows, seg.Columns = first.Rows, first.Columns
    seg.SamplesPerPixel, seg.PhotometricInterpretation, seg.PixelRepresentation = 1, "MONOCHROME2", 0
    bits = 1 if kind == "BINARY" else 8
    seg.BitsAllocated, seg.BitsStored, seg.HighBit = bits, bits, bits - 1
    if kind == "FRACTIONAL":
        seg.MaximumFractionalValue = _FRACTIONAL_MAXIMUM
    return seg
