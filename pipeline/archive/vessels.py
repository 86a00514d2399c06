"""Vessel masks as one label image: hepatic and portal veins, divided or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.archive.checks import lay_on_grid, to_labels
from pipeline.archive.nifti import read_nifti
from pipeline.errors import CaseError
from pipeline.volume import Geometry, Vessels

HEPATIC, PORTAL = 1, 2
"""Values of hepatic veins (perhaps with the vena cava) and portal vein in a mask that holds both."""
_WHAT = "the vessel mask"


def read_vessel_mask(path: Path, image: Geometry, record: Callable[[bytes], object]) -> Vessels | None:
    """Read a vessel mask on the grid of its CT; a crop of the grid will do.

    A mask of 0 and 1 is both trees undivided. One that holds 1 and 2 has hepatic veins as 1 and the portal vein as 2.
    A 2 alone is refused: it may be a portal vein, but in the labels of MSD Task08 it is a tumor.

    Args:
        path: A `.nii.gz` file.
        image: Grid of the CT.
        record: Receives the bytes of the file.

    Returns:
        The masks; None if no voxel is a vessel.

    Raises:
        CaseError: As `read_nifti`; `VESSEL_VALUES` or `VESSEL_GEOMETRY`.
    """
    values, geometry = read_nifti(path, _WHAT, record)
    labels = lay_on_grid(to_labels(values, PORTAL, "VESSEL_VALUES", _WHAT), geometry, image, _WHAT, "VESSEL_GEOMETRY")
    hepatic, portal = labels == HEPATIC, labels == PORTAL
    if not portal.any():
        return Vessels(undivided=hepatic) if hepatic.any() else None
    if not hepatic.any():
        raise CaseError("VESSEL_VALUES", f"{_WHAT} holds {PORTAL} without {HEPATIC}, expected 1, or 1 and 2")
    return Vessels(hepatic=hepatic, portal=portal)
