"""Who the patients of the synthetic archive are: identifiers that cannot be mistaken for anything else."""

from __future__ import annotations

from dataclasses import dataclass

CANARY = "CANARY"
"""Every name, id and text of a patient holds this, in capitals or not."""
BIRTH_DATE, STUDY_DATE = "19431231", "20250914"
BIRTH_DATE_WRITTEN, STUDY_DATE_WRITTEN = "12/31/1943", "09/14/2025"
"""The same dates as a report has them."""
UID_ROOT = "1.2.826.0.1.3680043.8.498."
"""What all instance UIDs begin with: pydicom's own root."""
SECRETS = ("canary", BIRTH_DATE, STUDY_DATE, BIRTH_DATE_WRITTEN, STUDY_DATE_WRITTEN, UID_ROOT)
"""Texts, in lower case, that must never be found outside of the archive."""


def derive_uid(*words: object) -> str:
    """Return a UID that depends on some words alone."""
    from pydicom.uid import generate_uid

    return str(generate_uid(prefix=UID_ROOT, entropy_srcs=["/".join(map(str, words))]))


@dataclass(frozen=True)
class PatientTags:
    """One patient.

    Args:
        seed: Seed of the archive.
        index: Number of the patient, from 0.
    """

    seed: int
    index: int

    @property
    def name(self) -> str:
        """The name."""
        return f"{CANARY}^Jane"

    @property
    def patient_id(self) -> str:
        """The hospital's number of the patient."""
        return f"{CANARY}-{self.index:06d}"

    @property
    def accession(self) -> str:
        """The number of the examination, of at most 16 characters."""
        return f"{CANARY}{self.index:06d}"

    @property
    def folder(self) -> str:
        """The folder that the examination lies in."""
        return f"{CANARY}_Jane_{self.index:06d}"

    def uid(self, *words: object) -> str:
        """Return a UID of this patient's own."""
        return derive_uid(self.seed, self.index, *words)


@dataclass(frozen=True)
class SeriesTags:
    """One series of a patient.

    Args:
        patient: Whose it is.
        number: Series number, different for all series of the patient.
        description: Words of the technician.
        image_type: What the image is, in the words of the standard.
        accession: Whether the series names its examination.
    """

    patient: PatientTags
    number: int
    description: str = ""
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    accession: bool = True

    @property
    def uid(self) -> str:
        """Its series instance UID."""
        return self.patient.uid("series", self.number)
