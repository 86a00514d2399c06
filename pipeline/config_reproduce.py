"""The settings of the comparison that `jobs.reproduce` makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from pipeline.config_networks import require


@dataclass(frozen=True, kw_only=True)
class ReproduceConfig:
    """Which arms are trained and evaluated on what, and where the results go."""

    benchmark: Annotated[Literal["ircadb", "phantom"], tyro.conf.arg(aliases=["--benchmark"])] = "ircadb"
    """`ircadb`: 3D-IRCADb-01 in the paper's roles, with LiTS volumes for validation; `phantom`: synthetic."""
    arms: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--arms"])] = ()
    """Arms of `pipeline/reproduce/arms.toml`. Empty means its main ones: none, ilr, plr, ilr_plr, supervised,
    image_level, synthetic, supervised_synthetic and beyond."""
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(aliases=["--seeds"])] = (0,)
    """Each arm is trained once per seed."""
    budget: Annotated[Literal["standard", "smoke"], tyro.conf.arg(aliases=["--budget"])] = "standard"
    """Which shipped settings the arms start from where no `--config` is given: `reproduce` or `reproduce_smoke`."""
    data: str = ""
    """Folder with `ircadb` and `lits`. Empty means the environment's LIVER_DATA."""
    results: str = ""
    """Folder of the results, `ARM_SEED.json`. Empty means `docs/results/ircadb` here, or `results` in the run folder
    for the phantom and the budget `smoke`."""
    page: str = "auto"
    """Markdown page with a section for the tables. `auto` means `docs/results.md` here, or none for the phantom and the
    budget `smoke`; empty means none."""
    side_by_side: int = 0
    """Trainings at the same time, of one thread each. 0 means as many as there are CPUs."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(bool(self.seeds), "reproduce.seeds: at least one")
        require(min(self.seeds) >= 0, f"reproduce.seeds: not negative, got {self.seeds}")
        require(self.side_by_side >= 0, f"reproduce.side_by_side: not negative, got {self.side_by_side}")
