"""One patient in several splits: what is measured on a volume is too good if the training saw its patient.

Patients are told apart by a hash of their id that is never written. So each start of `ingest` compares the volumes that
the archive holds, those of earlier starts among them; a volume whose series is gone cannot be compared again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow, read_volume_rows, write_volume_row
from pipeline.volume import PATIENT_IN_SPLITS


def note_patients(run: RunFolder, patients: Mapping[str, str]) -> list[VolumeRow]:
    """Note `PATIENT_IN_SPLITS` on the volumes whose patient has volumes in several splits, and take it from others.

    Where a volume bears the note whose patient is no longer known, none loses it: that volume may be why.

    Args:
        run: Run folder.
        patients: Hash of the patient's id by volume id; empty if the patient is not known.

    Returns:
        The committed volumes.
    """
    rows, splits = read_volume_rows(run), dict[str, set[str]]()
    known = {row.volume_id: patient for row in rows if (patient := patients.get(row.volume_id))}
    for row in rows:
        splits.setdefault(known.get(row.volume_id, ""), set()).add(row.split)
    wanted = {name for name, patient in known.items() if len(splits[patient]) > 1}
    noted = {row.volume_id for row in rows if PATIENT_IN_SPLITS in row.noted}
    if noted - known.keys():
        wanted |= noted
    return [_keep_note(run, row, row.volume_id in wanted) for row in rows]


def _keep_note(run: RunFolder, row: VolumeRow, wanted: bool) -> VolumeRow:
    """Return a volume with or without the note; it is written again if that changes it."""
    if wanted == (PATIENT_IN_SPLITS in row.noted):
        return row
    others = [note for note in row.noted if note != PATIENT_IN_SPLITS]
    changed = replace(row, notes=";".join([*others, *([PATIENT_IN_SPLITS] if wanted else [])]))
    write_volume_row(run, changed)
    return changed
