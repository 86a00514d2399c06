"""The headers of a CT as a segmentation needs them: what it refers to, where the slices lie, whose they are.

Only listed attributes are read. Geometry is that of our own checks: where files differ by less than their tolerance, or
name a step that is not the distance of their slices, the segmentation says what is true of the volume.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.archive.dicom.attributes import parse, quiet, text_of
from pipeline.archive.dicom.geometry import Series
from pipeline.archive.dicom.seg_writer import PATIENT_KEYWORDS, Source
from pipeline.archive.source_tree import SourceTree
from pipeline.errors import CaseError

if TYPE_CHECKING:
    import pydicom

_REFERENCES = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_SOURCE_KEYWORDS = (
    *_REFERENCES, "FrameOfReferenceUID", "PositionReferenceIndicator", "Modality", "Rows", "Columns", "NumberOfFrames",
    "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient", "LossyImageCompression",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_EXPECTED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber",
)  # fmt: skip
"""Left empty for highdicom, which checks them; a segmentation takes them over unchecked."""
_CT_CLASSES = {"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"}
"""CT, enhanced CT, and legacy CT converted to it."""


@quiet()
def read_source(tree: SourceTree, series: Series, what: str) -> Source:
    """Read what a segmentation of a series refers to.

    Args:
        tree: The archive.
        series: Its slices, without repairs.
        what: The series in words.

    Raises:
        CaseError: `REFERENCE_INVALID` if files lack the UIDs that a segmentation refers to them by, or share one;
            `MULTIFRAME` if the slices are frames of several files.
    """
    names = list(dict.fromkeys(header.member.name for header in series.slices))
    images = []
    for name in names:
        with tree.open(name) as stream:
            images.append(parse(stream, what, _SOURCE_KEYWORDS))
    with tree.open(names[0]) as stream:
        patient = parse(stream, what, PATIENT_KEYWORDS)
    _require_references(images, what)
    frames: list[int] = []
    if "PerFrameFunctionalGroupsSequence" in images[0]:
        if len(images) > 1:
            message = f"{what} lies in {len(images)} files of several frames, a segmentation refers to one"
            raise CaseError("MULTIFRAME", message)
        frames = [header.index + 1 for header in series.slices]
        _reduce(images[0], series)
    for image in images:
        _prepare(image, images[0], series)
    return Source(images, frames, patient)


def _require_references(images: Sequence[pydicom.Dataset], what: str) -> None:
    """Check that a segmentation can refer to the files."""
    lacking = [name for name in _REFERENCES if not all(text_of(image, name) for image in images)]
    if lacking:
        message = f"{what} lacks {' and '.join(lacking)}, by which a segmentation refers to it"
        raise CaseError("REFERENCE_INVALID", message)
    instances = {image.SOPInstanceUID for image in images}
    if len(instances) != len(images):
        raise CaseError("REFERENCE_INVALID", f"{what} has {len(instances)} instance UIDs for {len(images)} files")
    if not {image.SOPClassUID for image in images} <= _CT_CLASSES:
        raise CaseError("REFERENCE_INVALID", f"{what} has files of a SOP class other than CT and enhanced CT")


def _reduce(image: pydicom.Dataset, series: Series) -> None:
    """Reduce an enhanced object to the slices of one volume, in order, whose geometry is what its frames share."""
    import highdicom

    first, frames = series.slices[0], image.PerFrameFunctionalGroupsSequence
    image.PerFrameFunctionalGroupsSequence = [frames[header.index] for header in series.slices]
    image.NumberOfFrames = len(series.slices)
    (shared,) = image.SharedFunctionalGroupsSequence
    shared.PlaneOrientationSequence = highdicom.PlaneOrientationSequence("PATIENT", first.orientation)
    shared.PixelMeasuresSequence = highdicom.PixelMeasuresSequence(
        first.pixel_spacing_mm, slice_thickness=series.step_mm, spacing_between_slices=series.step_mm
    )


def _prepare(image: pydicom.Dataset, first: pydicom.Dataset, series: Series) -> None:
    """Make the header of one file one that highdicom takes.

    A CT that names no frame of reference is given one, the same for all of its segmentations: readers insist on it.
    """
    from pydicom.valuerep import format_number_as_ds

    for keyword in _EXPECTED:
        setattr(image, keyword, "")
    if not text_of(image, "FrameOfReferenceUID"):
        image.FrameOfReferenceUID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, image.SeriesInstanceUID).int}"
    if "ImageOrientationPatient" in first:
        step = format_number_as_ds(series.step_mm)
        image.ImageOrientationPatient, image.PixelSpacing = first.ImageOrientationPatient, first.PixelSpacing
        image.SpacingBetweenSlices = image.SliceThickness = step
