"""The settings of the synthetic hospital archive that `jobs.synthesize_archive` writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from pipeline.config_networks import require


@dataclass(frozen=True, kw_only=True)
class SynthesizeArchiveConfig:
    """How many patients the archive has and what is wrong with them; their scans are those of `phantom`."""

    folder: Annotated[str, tyro.conf.arg(aliases=["--archive"])] = ""
    """Local or mounted folder to write to. Patients that are there already are left as they are."""
    patients: Annotated[int, tyro.conf.arg(aliases=["--patients"])] = 8
    """Number of patients. Of every four, one is healthy and one, with tumors, is of the split `test`."""
    uncertain_rate: float = 0.0
    """Share of reports that leave open what is in the liver."""
    fault_rate: float = 0.0
    """Share of patients whose CT or liver mask has a fault; the faults take turns."""
    faults: tuple[str, ...] = ()
    """Which faults there are, such as `06_GANTRY_TILT`. Empty means all. `NAME=RATE` gives one a rate of its own, which
    comes on top of `fault_rate`."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.patients >= 1, f"synthesize_archive.patients: at least 1, got {self.patients}")
        for name in ("uncertain_rate", "fault_rate"):
            rate = getattr(self, name)
            require(0 <= rate <= 1, f"synthesize_archive.{name}: in [0, 1], got {rate}")
