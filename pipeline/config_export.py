"""The settings of the way back: masks for the archive that the images came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What `jobs.export_masks` writes, and where."""

    output: Annotated[Literal["auto", "dicom-seg", "nifti"], tyro.conf.arg(aliases=["--output"])] = "auto"
    """`dicom-seg`: DICOM segmentations that refer to the source's images and name their patient. `nifti`: the masks as
    they are, by our ids; the source is not read. `auto`: `dicom-seg` for a run of layout `dicom`, else `nifti`."""
    destination: Annotated[str, tyro.conf.arg(aliases=["--destination"])] = ""
    """Folder of the files, outside of the run folder and the source; required."""
