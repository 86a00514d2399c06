"""What the arms are compared on, and where the results go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from pipeline.config import PipelineConfig, SourceConfig
from pipeline.errors import RefusedInputError
from pipeline.run_folder import RunFolder

DATA_VARIABLE = "LIVER_DATA"
CASES_APART = {"ircadb": ("ircadb_12",), "phantom": ()}
"""Training volumes that the tables also leave out, by benchmark: a tumor that cannot be told from the liver."""


@dataclass(frozen=True)
class Benchmark:
    """One benchmark, its places found.

    Args:
        name: `ircadb` or `phantom`.
        sources: Where its cases come from.
        results: Folder of the results.
        page: Markdown page with a section for the tables, or None.
    """

    name: str
    sources: tuple[SourceConfig, ...]
    results: Path
    page: Path | None

    @classmethod
    def of(cls, config: PipelineConfig) -> Benchmark:
        """Return the benchmark that the settings name.

        Raises:
            RefusedInputError: If its data cannot be found, or the page is not there.
        """
        asked, real = config.reproduce, config.reproduce.benchmark == "ircadb"
        published = real and asked.budget == "standard"
        results = Path(asked.results or Path("docs", "results", asked.benchmark))
        if not published and not asked.results:
            results = RunFolder(config.run).local("results")
        page = {"auto": Path("docs", "results.md") if published else None, "": None}.get(asked.page, Path(asked.page))
        if page is not None and not page.is_file():
            raise RefusedInputError(f"reproduce.page: no file {str(page)!r}; --reproduce.page '' writes no page")
        sources = _find_volumes(config) if real else (replace(config.source, path="", layout="phantom"),)
        return cls(asked.benchmark, sources, results, page)


def _find_volumes(config: PipelineConfig) -> tuple[SourceConfig, ...]:
    """Return the sources of 3D-IRCADb and LiTS.

    Raises:
        RefusedInputError: If no folder is named, or one of the two is not in it.
    """
    data = config.reproduce.data or os.environ.get(DATA_VARIABLE, "")
    if not data:
        raise RefusedInputError(
            f"benchmark ircadb needs a folder with ircadb and lits: --reproduce.data or the variable {DATA_VARIABLE}"
        )
    folders = [Path(data).expanduser().absolute() / name for name in ("ircadb", "lits")]
    missing = [folder.name for folder in folders if not folder.is_dir()]
    if missing:
        raise RefusedInputError(f"benchmark ircadb needs the folders ircadb and lits, {data!r} has no {missing[0]}")
    return tuple(replace(config.source, path=str(folder), layout="msd") for folder in folders)


def default_config(arguments: Sequence[str]) -> list[str]:
    """Return the `--config` of a command line that names none: the shipped settings of its budget.

    Example:
        >>> default_config(["--budget", "smoke", "--run", "r"]), default_config(["--config", "mine.toml"])
        (['--config', 'reproduce_smoke'], [])
    """
    words = [word for argument in arguments for word in argument.split("=", 1)]
    if "--config" in words:
        return []
    budgets = [value for option, value in pairwise(words) if option.endswith("budget")]
    return ["--config", "reproduce_smoke" if budgets[-1:] == ["smoke"] else "reproduce"]
