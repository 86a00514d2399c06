"""Masks as DICOM SEG, written with highdicom: binary, every slice a frame, each frame with the image that it lies on.

A segmentation goes back to the archive that its CT came from, so that it carries the patient's and the study's
attributes, as they stand in the CT. The same mask on the same CT gives the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline import __version__
from pipeline.archive.dicom.attributes import dicom_errors
from pipeline.archive.dicom.geometry import slice_normal
from pipeline.archive.dicom.seg_segments import Code, Content, Segment
from pipeline.arrays import Float64Array, UInt8Array

if TYPE_CHECKING:
    import highdicom
    import pydicom

NAME = "liver-label-refinement"
"""Manufacturer, model and algorithm."""
PATIENT_KEYWORDS = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod", "StudyDate",
    "StudyTime", "StudyID", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""What a segmentation takes over as it stands in the CT, valid or not: the archive files it by these."""


@dataclass(frozen=True)
class Source:
    """The CT that a segmentation refers to.

    Args:
        images: One dataset per slice, or an enhanced object of these slices, as `pipeline.archive.dicom.sources`
            prepares them.
        frames: Number of each slice among the frames of the enhanced object's file; empty for other files.
        patient: Dataset with the attributes of `PATIENT_KEYWORDS`.
    """

    images: Sequence[pydicom.Dataset]
    frames: Sequence[int]
    patient: pydicom.Dataset


@dataclass(frozen=True)
class Mask:
    """One label image.

    Args:
        volume_id: Our id.
        labels: 0 and the values of the content's segments, shape (slices, rows, columns) in the order of the CT.
        content: What it is about.
        created: When it was made: year to second, 14 digits.
        method: Method by which it was made, or empty.
    """

    volume_id: str
    labels: UInt8Array
    content: Content
    created: str
    method: str = ""


def encode_seg(mask: Mask, source: Source) -> bytes:
    """Return a mask as a DICOM SEG file.

    A segment without a voxel is left out, as viewers are known to hang on those; the others are numbered from 1.

    Args:
        mask: Label image with at least one voxel above 0.
        source: Its CT.

    Raises:
        ValueError: If highdicom finds fault with the CT's headers.
    """
    import pydicom

    segments = [item for item in mask.content.segments if (mask.labels == item.value).any()]
    identity = _identify(mask, source)
    seg = _build(mask, segments, source, identity)
    _order_frames(seg, source, mask.labels, segments)
    _settle(seg, mask.created, _derive_uid(identity, "dimensions"))
    _take_over(seg, source.patient)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, seg, enforce_file_format=True)
    return stream.getvalue()


def _identify(mask: Mask, source: Source) -> uuid.UUID:
    """Return what its UIDs are made from: it follows from volume, mask, CT and version, but not from the time."""
    images = [str(image.SOPInstanceUID) for image in source.images]
    about = (mask.volume_id, mask.content.label, mask.method, __version__, *images)
    digest = hashlib.sha256("\n".join(about).encode())
    digest.update(np.ascontiguousarray(mask.labels).data)
    return uuid.UUID(bytes=digest.digest()[:16], version=5)


def _derive_uid(identity: uuid.UUID, what: str) -> str:
    """Return one of a segmentation's UIDs."""
    return f"2.25.{uuid.uuid5(identity, what).int}"


def _build(mask: Mask, segments: Sequence[Segment], source: Source, identity: uuid.UUID) -> highdicom.seg.Segmentation:
    """Return highdicom's segmentation."""
    import highdicom

    content = mask.content
    numbers = np.zeros(256, np.uint8)
    numbers[[item.value for item in segments]] = np.arange(1, len(segments) + 1)
    return highdicom.seg.Segmentation(
        source_images=source.images,
        pixel_array=numbers[mask.labels],
        segmentation_type="BINARY",
        segment_descriptions=[_describe(number, item, mask.method) for number, item in enumerate(segments, start=1)],
        omit_empty_frames=False,
        series_instance_uid=_derive_uid(identity, "series"),
        series_number=content.series_number,
        series_description=content.description,
        sop_instance_uid=_derive_uid(identity, "instance"),
        instance_number=1,
        content_label=content.label,
        content_date=mask.created[:8],
        content_time=mask.created[8:],
        manufacturer=NAME,
        manufacturer_model_name=NAME,
        software_versions=__version__,
        device_serial_number="0",
        specific_character_set=None,
    )


def _describe(number: int, segment: Segment, method: str) -> highdicom.seg.SegmentDescription:
    """Return a segment's name, codes, color and algorithm."""
    import highdicom
    from pydicom.sr.codedict import codes

    family = codes.cid7162.ArtificialIntelligence
    parameters = {"method": method} if method else None
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=_concept(segment.category),
        segmented_property_type=_concept(segment.kind),
        algorithm_type="AUTOMATIC",
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            NAME, family, __version__, parameters=parameters
        ),
        anatomic_regions=[_concept(segment.region)] if segment.region else None,
        display_color=highdicom.color.CIELabColor.from_rgb(*segment.rgb),
    )


def _concept(code: Code) -> highdicom.sr.CodedConcept:
    """Return a concept of SNOMED CT."""
    import highdicom

    value, meaning = code
    return highdicom.sr.CodedConcept(value, "SCT", meaning)


def _order_frames(seg: pydicom.Dataset, source: Source, labels: UInt8Array, segments: Sequence[Segment]) -> None:
    """Put the frames of each segment in the order of the CT's slices.

    highdicom's run against the slices' normal: readers that take frames as they come, such as SimpleITK, would give an
    image whose axes are left-handed.
    """
    (shared,) = seg.SharedFunctionalGroupsSequence
    normal = slice_normal(tuple(map(float, shared.PlaneOrientationSequence[0].ImageOrientationPatient)))
    groups, count = list(seg.PerFrameFunctionalGroupsSequence), len(labels)
    ordered = []
    for start in range(0, len(groups), count):
        block = sorted(groups[start : start + count], key=lambda group: _position(group) @ normal)
        for index, group in enumerate(block, start=1):
            content = group.FrameContentSequence[0]
            content.DimensionIndexValues = [content.DimensionIndexValues[0], index]
            if source.frames:
                group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber = source.frames[index - 1]
        ordered += block
    seg.PerFrameFunctionalGroupsSequence = ordered
    seg.PixelData = _pack(labels, [item.value for item in segments])


def _position(group: pydicom.Dataset) -> Float64Array:
    """Return where a frame lies."""
    return np.array(group.PlanePositionSequence[0].ImagePositionPatient, np.float64)


def _pack(labels: UInt8Array, values: Sequence[int]) -> bytes:
    """Return the frames of all segments, one bit per pixel; a frame may end inside a byte."""
    packed, rest = [], np.zeros(0, bool)
    for value in values:
        for plane in labels:
            bits = np.concatenate([rest, (plane == value).ravel()])
            whole = bits.size - bits.size % 8
            packed.append(np.packbits(bits[:whole], bitorder="little").tobytes())
            rest = bits[whole:]
    data = b"".join(packed) + np.packbits(rest, bitorder="little").tobytes()
    return data + bytes(len(data) % 2)


def _settle(seg: pydicom.Dataset, created: str, dimensions: str) -> None:
    """Replace what differs from one export to the next, the clock and a random UID, and add what must be there."""
    seg.ContentCreatorName = ""
    seg.InstanceCreationDate, seg.InstanceCreationTime = created[:8], created[8:]
    for equipment in seg.ContributingEquipmentSequence:
        equipment.ContributionDateTime = created
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions


def _take_over(seg: pydicom.Dataset, patient: pydicom.Dataset) -> None:
    """Give a segmentation the patient and the study of its CT."""
    for keyword in PATIENT_KEYWORDS:
        with suppress(*dicom_errors()):  # absent, or its bytes do not decode
            seg.add(patient[keyword])
