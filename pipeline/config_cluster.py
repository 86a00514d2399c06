"""The settings of the Ray cluster, and of the schedule on clusters that there are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from pipeline.config_networks import require


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    """The Ray cluster."""

    address: str = ""
    """Cluster to join, such as `auto`. Empty joins the cluster of a submitted job, else starts one on this machine."""
    cpus: int = 0
    """CPUs of a cluster started here; 0 means all, and at least 2."""
    object_store_mb: int = 0
    """Object store of a cluster started here; 0 leaves it to Ray."""
    grows_to_cpus: int = 0
    """CPUs of a joined cluster once its autoscaler has added what it may; 0: it does not grow."""
    grows_to_gpus: int = 0
    """Its GPUs then."""
    attempts_per_case: int = 3
    """A case is set aside when so many workers died with it in hand, of whatever cause."""
    allow_open: Annotated[bool, tyro.conf.arg(aliases=["--force"])] = False
    """`check_cluster`: accept a cluster that runs anybody's code."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.attempts_per_case >= 1, f"ray.attempts_per_case: at least 1, got {self.attempts_per_case}")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """`size_cluster`: an archive and clusters to extrapolate a run to."""

    cases: int = 100_000
    """CT volumes of the archive."""
    slices: int = 300
    """Slices of each."""
    nodes: tuple[int, ...] = (10, 100, 1000)
    """Sizes of clusters."""
    cpus_per_node: int = 16
    """CPUs of each of their nodes."""
    source_mb_per_slice: float = 0.53
    """Size of a slice in the archive; 512 x 512 of 16 bits, not compressed, unless you know better."""
    storage_mb_per_second: float = 2000.0
    """What the shared storage gives to all nodes together."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("cases", "slices", "cpus_per_node", "source_mb_per_slice", "storage_mb_per_second"):
            require(getattr(self, name) > 0, f"schedule.{name}: must be positive, got {getattr(self, name)}")
        require(bool(self.nodes) and min(self.nodes) > 0, f"schedule.nodes: positive numbers, got {self.nodes}")
