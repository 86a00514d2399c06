"""Reading the files of one case of any layout, in a throw-away process: see `pipeline.archive.sandbox`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.archive import ircad, msd
from pipeline.archive.cases import CaseSource, Study
from pipeline.archive.checks import lay_on_grid, to_labels
from pipeline.archive.dicom.case import read_study as read_dicom_study
from pipeline.archive.nifti import read_nifti
from pipeline.archive.sandbox_child import Result
from pipeline.archive.vessels import read_vessel_mask
from pipeline.arrays import SEGMENT_COUNT, UInt8Array
from pipeline.volume import Geometry, Vessels

VESSELS = ("hepatic", "portal", "undivided")
"""Names of the arrays that a case's vessels come in."""
_READ = {"msd": msd.read_study, "ircad": ircad.read_study}


def decode_case(case: Mapping[str, Any], inputs: Sequence[str], liver_value: int, repairs: Sequence[str]) -> Result:
    """Read one case.

    Args:
        case: A row of `CaseSource.to_row`; any layout that lies on disk.
        inputs: What to read beside CT and masks, of `pipeline.couinaud.methods.OPTIONAL_INPUTS`, if the case has it.
        liver_value: As in `pipeline.config.SourceConfig`.
        repairs: As in `pipeline.config.SourceConfig`.

    Returns:
        `geometry`, `notes`, `sha256` (of the files in the order of reading: image, masks, Couinaud map, vessels);
        arrays `hu`, `liver_mask` and, where there are any, `reference_mask`, `couinaud_map` and those of `VESSELS`.

    Raises:
        CaseError: As `pipeline.archive.catalog.read_case`.
    """
    source, content = CaseSource.from_row(dict(case)), hashlib.sha256()
    record = content.update
    if source.layout == "dicom":
        study = read_dicom_study(source, record, liver_value, repairs)
    else:
        study = _READ[source.layout](source, record)
    read_map, read_vessels = "couinaud_map" in inputs, "vessels" in inputs
    couinaud_map = _read_couinaud_map(source, study.geometry, record) if read_map else None
    vessels = _read_vessels(source, study.geometry, record) if read_vessels else None
    values = {"geometry": vars(study.geometry), "notes": study.notes, "sha256": content.hexdigest()}
    return values, _name_arrays(study, couinaud_map, vessels or Vessels())


def _name_arrays(study: Study, couinaud_map: UInt8Array | None, vessels: Vessels) -> dict[str, Any]:
    """Return the arrays that a case has."""
    arrays = {
        "hu": study.hu,
        "liver_mask": study.liver_mask,
        "reference_mask": study.reference_mask,
        "couinaud_map": couinaud_map,
        **{name: getattr(vessels, name) for name in VESSELS},
    }
    return {name: array for name, array in arrays.items() if array is not None}


def _read_couinaud_map(case: CaseSource, image: Geometry, record: Callable[[bytes], object]) -> UInt8Array | None:
    """Read the Couinaud map of a case on the grid of its CT, or None if it has none; a crop of the grid will do."""
    if not case.couinaud_map:
        return None
    what = "the Couinaud map"
    values, geometry = read_nifti(Path(case.couinaud_map), what, record)
    labels = to_labels(values, SEGMENT_COUNT, "COUINAUD_LABEL", what)
    return lay_on_grid(labels, geometry, image, what, "COUINAUD_GEOMETRY")


def _read_vessels(case: CaseSource, image: Geometry, record: Callable[[bytes], object]) -> Vessels | None:
    """Read the vessels of a case on the grid of its CT: its vessel mask, else what its masks hold; perhaps None."""
    if case.vessels:
        return read_vessel_mask(Path(case.vessels), image, record)
    return ircad.read_vessels(case, image, record) if case.layout == "ircad" else None
