"""Writing one patient: the examination's files, the liver, the truth, and last the record that says it is all there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np

from pipeline.config import PhantomConfig
from pipeline.phantom import PhantomCase, render_phantom
from pipeline.phantom_archive.companions import COMPANIONS, Scan
from pipeline.phantom_archive.faults import FAULTS, Fault
from pipeline.phantom_archive.files import save, save_series, zip_folder
from pipeline.phantom_archive.masks import MASK_VALUE, make_segmentation, write_nifti
from pipeline.phantom_archive.plan import PatientPlan
from pipeline.phantom_archive.records import (
    MAPS,
    MASKS,
    QUARANTINE,
    RECORDS,
    SKIP,
    STUDIES,
    TRUTH,
    VOLUME,
    WORK,
    PatientRecord,
    SeriesRecord,
    write_record,
)
from pipeline.phantom_archive.report_texts import write_report
from pipeline.phantom_archive.slices import make_slices, to_native
from pipeline.phantom_archive.tags import PatientTags, SeriesTags
from pipeline.phantom_archive.vendors import PLAIN, VENDORS, Vendor
from pipeline.volume import Volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_CT, _MASK = 1, 90
"""Series numbers of the CT and of mask slices."""
_PLACE, _WORDS = 100, 101
"""Last keys of the random streams of place and report; the phantom has those before."""
_TABLE_MM = (-170.0, -130.0, -800.0)


def write_patient(root: Path, plan: PatientPlan, phantom: PhantomConfig, seed: int) -> None:
    """Write all of a patient aside and move it to its places, the record last; what was there before is replaced.

    Args:
        root: The archive.
        plan: The patient.
        phantom: The scan's grid and noise.
        seed: Seed of the archive.
    """
    patient = PatientTags(seed, plan.index)
    volume = _scan_patient(plan, phantom, seed)
    work = root / f"{WORK}{uuid4().hex}"
    series = _write_study(work, plan, patient, volume)
    inside, tumor = volume.liver_mask.astype(np.uint8), np.asarray(volume.reference_mask)
    write_nifti(work / TRUTH / f"{patient.accession}.nii.gz", inside + tumor.astype(np.uint8), volume.geometry)
    couinaud_map = np.asarray(volume.couinaud_map)
    write_nifti(work / MAPS / f"{patient.accession}.nii.gz", couinaud_map, volume.geometry)
    segments = tuple(int(number) for number in np.flatnonzero(volume.image_label) + 1)
    words = np.random.default_rng([seed, plan.index, _WORDS])
    report = write_report(words, patient, segments, uncertain=plan.uncertain)
    write_record(work, PatientRecord(plan, patient.accession, segments, report, series))
    for name in (STUDIES, MASKS, MAPS, TRUTH, RECORDS):
        _move_into(work / name, root / name)
    shutil.rmtree(work)


def _scan_patient(plan: PatientPlan, phantom: PhantomConfig, seed: int) -> Volume:
    """Return the phantom, somewhere in the scanner's coordinates."""
    case = PhantomCase(f"phantom_{plan.index:03d}", plan.split, plan.healthy)
    volume = render_phantom(phantom, seed, plan.index, case)
    shift = np.random.default_rng([seed, plan.index, _PLACE]).integers(-50, 51, 3)
    x, y, z = (float(base + step) for base, step in zip(_TABLE_MM, shift, strict=True))
    return replace(volume, geometry=replace(volume.geometry, origin_mm=(x, y, z)))


def _write_study(work: Path, plan: PatientPlan, patient: PatientTags, volume: Volume) -> tuple[SeriesRecord, ...]:
    """Write the examination and the liver mask; return what is to become of each series."""
    vendor, study = VENDORS[plan.vendor], work / STUDIES / patient.folder
    tags = SeriesTags(patient, _CT, vendor.description)
    slices = make_slices(volume.hu, volume.geometry, tags, vendor)
    records = _write_mask(work, plan, patient, volume, slices)
    folder = study / "PATIENT_DICOM" if plan.mask_form == "slices" else _folder(study, vendor, "CT")
    if plan.fault:
        records += _write_fault(FAULTS[plan.fault], slices, folder, tags)
        FAULTS[plan.fault].spoil_mask(work / MASKS / f"{patient.accession}.nii.gz")
    else:
        save_series(slices, folder, vendor)
        records.append(SeriesRecord(tags.uid, "ct", VOLUME, "PADDING_CLIPPED" * (vendor.padding_hu is not None)))
    records += _write_companions(Scan(volume.hu, volume.geometry, patient, vendor), study)
    if vendor.layout == "zip":
        zip_folder(study)
    return tuple(records)


def _write_mask(
    work: Path, plan: PatientPlan, patient: PatientTags, volume: Volume, slices: list[Dataset]
) -> list[SeriesRecord]:
    """Write the liver mask in its form; return the series that it adds to the archive."""
    study, liver = work / STUDIES / patient.folder, volume.liver_mask.astype(np.uint8)
    if plan.mask_form == "nifti":
        write_nifti(work / MASKS / f"{patient.accession}.nii.gz", liver, volume.geometry)
        return []
    if plan.mask_form == "segmentation":
        segmentation = make_segmentation(slices, [to_native(liver, VENDORS[plan.vendor])])
        save([segmentation], study, "liver_segmentation.dcm")
        return [SeriesRecord(segmentation.SeriesInstanceUID, "mask", SKIP, "SEGMENTATION")]
    tags = SeriesTags(patient, _MASK, "liver", accession=False)
    mask = (liver * np.int16(MASK_VALUE)).astype(np.int16)
    save(make_slices(mask, volume.geometry, tags, VENDORS[PLAIN]), study / "MASKS_DICOM" / "liver", "image_{}")
    return [SeriesRecord(tags.uid, "mask", SKIP, "NOT_LABELED")]


def _write_fault(fault: Fault, slices: list[Dataset], folder: Path, tags: SeriesTags) -> list[SeriesRecord]:
    """Write a series with a fault; return what is to become of it and of its parts."""
    fault.write(slices, folder)
    parts = [SeriesRecord(tags.uid, "part", SKIP, code) for code in fault.others]
    if fault.unlisted:
        return [SeriesRecord(tags.uid, "ct", SKIP, fault.code), *parts]
    outcome = QUARANTINE if fault.code else VOLUME
    return [SeriesRecord(tags.uid, "ct", outcome, fault.code or fault.note), *parts]


def _write_companions(scan: Scan, study: Path) -> list[SeriesRecord]:
    """Write what lies beside the CT; return what is to become of it."""
    records = []
    for number, name in enumerate(scan.vendor.companions, start=_CT + 1):
        companion = COMPANIONS[name]
        slices = companion.make(scan, number)
        plain = replace(VENDORS[PLAIN], file_name=scan.vendor.file_name)
        save_series(slices, _folder(study, scan.vendor, name.upper()), scan.vendor if companion.encoded else plain)
        records.append(SeriesRecord(slices[0].SeriesInstanceUID, name, SKIP, companion.reason))
    return records


def _folder(study: Path, vendor: Vendor, name: str) -> Path:
    """Return the folder of a series."""
    return study if vendor.layout == "flat" else study / name


def _move_into(source: Path, target: Path) -> None:
    """Move the members of a folder, if it is there, into another, in place of those of the same name."""
    if not source.exists():
        return
    target.mkdir(exist_ok=True)
    for member in sorted(source.iterdir()):
        place = target / member.name
        if place.is_dir():
            shutil.rmtree(place)
        member.rename(place)
