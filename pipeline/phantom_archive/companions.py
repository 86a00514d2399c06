"""What lies beside the CT in an examination: scouts, other phases, reformats, pages of numbers. None is to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.arrays import Int16Array
from pipeline.phantom_archive.slices import make_header, make_slice, make_slices
from pipeline.phantom_archive.tags import CANARY, PatientTags, SeriesTags
from pipeline.phantom_archive.vendors import Vendor
from pipeline.volume import Geometry

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CORONAL = (1, 0, 0, 0, 0, -1)
_PAGE = (64, 64)
_REFORMAT_STEP = 8


@dataclass(frozen=True)
class Scan:
    """What the examination was made from.

    Args:
        hu: The CT in LPS order.
        geometry: Where it lies.
        patient: Whose it is.
        vendor: Who made it.
    """

    hu: Int16Array
    geometry: Geometry
    patient: PatientTags
    vendor: Vendor


@dataclass(frozen=True)
class Companion:
    """A kind of series.

    Args:
        make: Returns its files from the scan and its series number.
        reason: Why the reader leaves it out.
        encoded: Whether its files are stored as those of the CT.
    """

    make: Callable[[Scan, int], list[Dataset]]
    reason: str
    encoded: bool = False


def make_localizer(scan: Scan, number: int) -> list[Dataset]:
    """Return two scouts from the front."""
    tags = SeriesTags(scan.patient, number, "Topogram Scout", ("ORIGINAL", "PRIMARY", "LOCALIZER"))
    plane = np.rint(scan.hu.mean(axis=1)).astype(np.int16)[::-1]
    return [_coronal(plane, index, scan, tags, 0.0) for index in range(2)]


def make_arterial(scan: Scan, number: int) -> list[Dataset]:
    """Return another phase of the same slices."""
    tags = SeriesTags(scan.patient, number, "arterial 35s")
    return make_slices((scan.hu + 15).astype(np.int16), scan.geometry, tags, scan.vendor)


def make_coronal(scan: Scan, number: int) -> list[Dataset]:
    """Return planes from front to back, computed from the axial ones."""
    tags = SeriesTags(scan.patient, number, "cor MPR", ("DERIVED", "SECONDARY", "MPR"))
    rows = range(0, scan.hu.shape[1], _REFORMAT_STEP)
    step = scan.geometry.spacing_mm[1]
    return [_coronal(scan.hu[::-1, row], k, scan, tags, row * step) for k, row in enumerate(rows)]


def make_dose_page(scan: Scan, number: int) -> list[Dataset]:
    """Return a page of numbers that calls itself a CT image."""
    tags = SeriesTags(scan.patient, number, "Exam summary", ("DERIVED", "SECONDARY", "DOSE_INFO"))
    return [make_slice(np.zeros(_PAGE, np.int16), 0, tags, scan.vendor, (0, 0, 0), _CORONAL, (1, 1))]


def make_screen_save(scan: Scan, number: int) -> list[Dataset]:
    """Return a picture of the screen, in color."""
    from pydicom.uid import SecondaryCaptureImageStorage

    tags = SeriesTags(scan.patient, number, "Screen Save", ("DERIVED", "SECONDARY"))
    dataset = make_header(tags, scan.vendor, 0)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.Rows, dataset.Columns = _PAGE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = bytes(3 * _PAGE[0] * _PAGE[1])
    return [dataset]


def make_dose_document(scan: Scan, number: int) -> list[Dataset]:
    """Return a structured report, which has no pixels."""
    from pydicom.uid import XRayRadiationDoseSRStorage

    dataset = make_header(SeriesTags(scan.patient, number, "Dose Report"), scan.vendor, 0)
    dataset.SOPClassUID, dataset.Modality = XRayRadiationDoseSRStorage, "SR"
    dataset.ContentDate, dataset.VerifyingOrganization = dataset.StudyDate, f"{CANARY} Hospital"
    return [dataset]


COMPANIONS = {
    "localizer": Companion(make_localizer, "LOCALIZER"),
    "arterial": Companion(make_arterial, "NOT_PREFERRED", encoded=True),
    "coronal": Companion(make_coronal, "REFORMATTED"),
    "dose_page": Companion(make_dose_page, "DOSE_REPORT"),
    "screen_save": Companion(make_screen_save, "SECONDARY_CAPTURE"),
    "dose_document": Companion(make_dose_document, "NOT_CT"),
}
"""By name."""


def _coronal(plane: Int16Array, index: int, scan: Scan, tags: SeriesTags, depth_mm: float) -> Dataset:
    """Return a plane seen from the front, head up."""
    geometry = scan.geometry
    z, _, x = geometry.spacing_mm
    left, front, low = geometry.origin_mm
    position = (left, front + depth_mm, low + (geometry.shape[0] - 1) * z)
    return make_slice(plane, index, tags, replace(scan.vendor, padding_hu=None), position, _CORONAL, (z, x))
