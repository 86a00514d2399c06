"""The settings of the source: where the cases come from, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from pipeline.config_networks import require

Layout = Literal["msd", "ircad", "dicom", "phantom"]
Repair = Literal["tilt", "spacing"]


@dataclass(frozen=True, kw_only=True)
class SourceConfig:
    """Where the cases come from."""

    path: Annotated[str, tyro.conf.arg(aliases=["--source"])] = ""
    """Folder of the archive. Empty for the phantom layout, which needs nothing on disk."""
    layout: Annotated[Layout, tyro.conf.arg(aliases=["--layout"])] = "msd"
    """How the folder is laid out: `msd`, `ircad` (3D-IRCADb-01 as distributed), `dicom` (a tree of DICOM files, zipped
    or not) or `phantom`."""
    labels: Annotated[str, tyro.conf.arg(aliases=["--labels"])] = ""
    """Table `volume_id, segments[, split]`; for DICOM, `series` or `accession` may stand for `volume_id`. Empty means
    `volume_labels.csv` in the source folder."""
    reports: Annotated[str, tyro.conf.arg(aliases=["--reports"])] = ""
    """Table of report texts (CSV, JSONL or Parquet) to take the labels from instead. Then `labels` may give splits."""
    unlabeled: bool = False
    """Cases that are only predicted: all are of the split `test`, whatever a table says, and without `labels` or
    `reports` every case of the source is taken, without a label (of a DICOM study one series)."""
    report_id_column: str = ""
    """Column of the report table with the volume's id. Empty takes the first usual one, such as `volume_id` or
    `accession`."""
    report_text_column: str = ""
    """Column of the report table with the text. Empty takes the first usual one, such as `text` or `report`."""
    couinaud_maps: Annotated[str, tyro.conf.arg(aliases=["--couinaud-maps"])] = ""
    """Folder of `VOLUME.nii.gz` label maps 1..8, for DICOM named as `masks` are. Empty means `couinaudTr` in the source
    folder, for DICOM none."""
    vessels: Annotated[str, tyro.conf.arg(aliases=["--vessels"])] = ""
    """Folder of `VOLUME.nii.gz` vessel masks, for DICOM named as `masks` are: 1 hepatic and 2 portal veins, or 1 for
    both undivided. Empty means `vesselsTr` in the source folder, and the organs' masks of `ircad`, for DICOM none. Read
    only by a method that uses vessels."""
    masks: Annotated[str, tyro.conf.arg(aliases=["--masks"])] = ""
    """DICOM: folder of liver masks named by volume id, series or accession (`.nii.gz`, or `.dcm` for a DICOM SEG)."""
    liver_value: int = 0
    """DICOM: the liver in masks of many organs, such as TotalSegmentator's 5. 0 means masks of 0, 1 (2: tumor). Also
    the liver of `liver_network`, if none of its labels is named `liver`."""
    liver_network: Annotated[str, tyro.conf.arg(aliases=["--liver-network"])] = ""
    """MSD, DICOM: nnU-Net v2 model folder with a label `liver`, for cases without a mask: `plans.json`, `dataset.json`
    and `fold_X/checkpoint_final.pth`. It runs where `couinaud` says that networks run."""
    liver_network_orientation: Literal["RAS", "LPS"] = "RAS"
    """As `couinaud.network_orientation`."""
    id_key: Annotated[str, tyro.conf.arg(aliases=["--id-key"])] = ""
    """DICOM: file with the site's secret for volume ids. Empty takes the environment's LIVER_ID_KEY, else a key that is
    made once in the user's settings folder; `none` makes plain hashes, for public data."""
    reidentification: str = ""
    """DICOM: table of volume ids and the identifiers behind them, outside of the run folder. Empty writes none."""
    memory_per_case_mb: int = 0
    """Memory that a case reserves on its node while it is read and divided, so that nodes with many CPUs do not take on
    more than they can hold. 0 reserves none: one case per CPU."""
    repairs: tuple[Repair, ...] = ()
    """DICOM: what may be interpolated instead of rejected: `tilt` (gantry), `spacing` (steps of different length)."""
    decoder_memory_mb: int = 4096
    """Address space of the process that reads the files of a case."""
    decoder_seconds: float = 300.0
    """Time for one case."""

    @property
    def takes_all(self) -> bool:
        """Whether cases need not be named by a table of labels or reports."""
        return self.unlabeled and not (self.labels or self.reports)

    def __post_init__(self) -> None:
        """Check ranges."""
        require(
            self.decoder_memory_mb >= 1024, f"source.decoder_memory_mb: at least 1024, got {self.decoder_memory_mb}"
        )
        require(
            not self.liver_network or self.layout in ("msd", "dicom"),
            f"source.liver_network: for the layouts msd and dicom, got {self.layout}",
        )
        memory = self.memory_per_case_mb
        require(memory >= 0, f"source.memory_per_case_mb: not negative, got {memory}")
        require(0 <= self.liver_value <= 255, f"source.liver_value: 0..255, got {self.liver_value}")
        require(self.decoder_seconds > 0, f"source.decoder_seconds: must be positive, got {self.decoder_seconds}")
