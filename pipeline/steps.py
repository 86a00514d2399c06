"""A step of a run: skipped if it is committed, refused if the settings changed, and reported at its end."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from types import TracebackType
from typing import Any, TypeVar

from pipeline.archive.site_key import NO_KEY
from pipeline.attempts import forget_attempts
from pipeline.branch_folder import BranchFolder, open_run_folder
from pipeline.config import PATH_SETTINGS, RESOURCE_SETTINGS, PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.progress import show_progress
from pipeline.run_folder import RunFolder, spell_path

T = TypeVar("T")

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_QUARANTINED = 3

_PACKAGES = ("liver-label-refinement", "ray", "torch", "nnunetv2", "SimpleITK", "pyarrow", "numpy")


class Step:
    """One job's passage over a run folder; use as `with Step.begin(...) as step`.

    A section of settings is written when the first step that uses it begins, and is the same for all steps of the
    folder; a setting that is newer than the folder was at its default. `reports/NAME.json` is written when the step is
    complete: the report is its commit. Started again, a committed step does nothing, and an unfinished one goes on.
    """

    def __init__(self, name: str, config: PipelineConfig, settings: dict[str, Any]) -> None:
        self.name = name
        self.config = config
        self.run = open_run_folder(config.run)
        self._settings = settings
        self._started = time.monotonic()
        self._new_sections: list[str] = []

    @classmethod
    def begin(cls, config: PipelineConfig, name: str, *, uses: Sequence[str] = (), needs: Sequence[str] = ()) -> Step:
        """Open the step.

        Args:
            config: Settings of the run.
            name: Name of the job.
            uses: Config sections that shape the step's result; they must not change on the same run folder.
                The seed always is one.
            needs: Jobs whose results the step reads.

        Raises:
            RefusedInputError: If a needed job has not been run, or a section differs from what the folder was made
                with; both values are quoted.
        """
        settings = {name: _spell_paths(name, plain_settings(getattr(config, name))) for name in ("seed", *uses)}
        step = cls(name, config, settings)
        for needed in needs:
            if not step.run.exists("reports", f"{needed}.json"):
                raise RefusedInputError(f"{name} needs {needed}, which has not completed on {step.run.uri}")
        step._check_settings()
        forget_attempts(step.run)
        return step

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Forget settings that are new with a step whose input was refused; an unfinished step keeps them."""
        if isinstance(value, RefusedInputError):
            for section in self._new_sections:
                self.run.remove("settings", f"{section}.json")
            if self._new_sections and not self.run.names("settings"):
                self.run.remove("settings")

    @property
    def committed(self) -> bool:
        """Whether an earlier run completed the step."""
        return self.run.exists("reports", f"{self.name}.json")

    @property
    def exit_code(self) -> int:
        """Exit code of the committed step: 0, or 3 if cases were quarantined or folders of the source not read."""
        report = self.run.read_json("reports", f"{self.name}.json")
        return EXIT_QUARANTINED if report["quarantined"] or report.get("unread_folders") else EXIT_DONE

    def progress(self, items: Iterable[T], total: int | None = None, unit: str = "item") -> Iterator[T]:
        """Give items on and show how many went by, as a bar in a terminal, as lines in a log."""
        return show_progress(items, self.name, total, unit)

    def commit(self, *, taken: int, given: int, quarantined: Mapping[str, int] | None = None, **extra: Any) -> int:
        """Write the step's report, which commits it.

        Args:
            taken: Work items that came in.
            given: Work items that came out.
            quarantined: Cases set aside, by reason code.
            extra: Further JSON values for the report; of these, `unread_folders` says that something was left out.

        Returns:
            The exit code.
        """
        report = {
            "step": self.name,
            "settings": self._settings,
            "versions": package_versions(),
            "machine": {"system": platform.system(), "cpus": os.cpu_count()},
            "taken": taken,
            "given": given,
            "quarantined": dict(quarantined or {}),
            "seconds": round(time.monotonic() - self._started, 2),
            **extra,
        }
        forget_attempts(self.run)
        self.run.write_json(report, "reports", f"{self.name}.json")
        return self.exit_code

    def _check_settings(self) -> None:
        """Refuse a section that differs from what any step of this folder used; remember the sections that are new."""
        for section, now in self._settings.items():
            path = ("settings", f"{section}.json")
            if not self.run.exists(*path):
                self._new_sections.append(section)
                continue
            before = fill_defaults({section: _spell_paths(section, self.run.read_json(*path))}, {section: now})
            for key, (old, new) in find_differences(before, {section: now}).items():
                raise RefusedInputError(
                    f"{self.name}: the run folder was made with {key} = {old!r}, now it is {new!r}; give the settings"
                    f" that it was made with (--config ...; settings/{section}.json has them) or another --run"
                )
        for section in self._new_sections:
            self.run.write_json(self._settings[section], "settings", f"{section}.json")


def plain_settings(section: Any) -> Any:
    """Return a config section as JSON values, without what says only where it runs."""
    if not dataclasses.is_dataclass(section):
        return section
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in dataclasses.asdict(section).items()  # type: ignore[arg-type]
        if key not in RESOURCE_SETTINGS
    }


def stored_settings(run: RunFolder, sections: Iterable[str]) -> dict[str, Any]:
    """Return the settings that a run folder was made with, by section.

    Args:
        run: The run folder; a branch has the settings of its parents, too.
        sections: The sections to look for; those that no step has used are left out.
    """
    found = {}
    for section in sections:
        folder: RunFolder | None = run
        while folder is not None and not folder.exists("settings", f"{section}.json"):
            folder = folder.parent if isinstance(folder, BranchFolder) else None
        if folder is not None:
            found[section] = folder.read_json("settings", f"{section}.json")
    return found


def made_with(*sections: str) -> Callable[[PipelineConfig], dict[str, Any]]:
    """Return a `base` for `run_job`: a job that only looks at results need not be told how they were made.

    Args:
        sections: Sections that are those of the run folder unless they are given.
    """
    return lambda config: stored_settings(open_run_folder(config.run), ("seed", *sections))


def _spell_paths(section: str, values: Any) -> Any:
    """Return plain settings with one spelling for each path."""
    if not isinstance(values, dict):
        return values
    return {
        key: spell_path(value) if f"{section}.{key}" in PATH_SETTINGS and value != NO_KEY else value
        for key, value in values.items()
    }


def default_settings() -> dict[str, Any]:
    """Return the defaults of all sections as JSON values."""
    config = PipelineConfig(run="")
    return {field.name: plain_settings(getattr(config, field.name)) for field in dataclasses.fields(config)}


def fill_defaults(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return earlier settings by section, each completed by what is new in `now`: it was at its default then."""
    usual = default_settings()
    return {
        section: {key: usual[section].get(key) for key in now[section]} | values
        if isinstance(values, dict) and section in usual and section in now
        else values
        for section, values in before.items()
    }


def find_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return dotted key to (before, now) for all values that differ."""
    changed: dict[str, tuple[Any, Any]] = {}
    for key in before.keys() | now.keys():
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            changed |= {f"{key}.{inner}": pair for inner, pair in find_differences(old, new).items()}
        elif old != new:
            changed[key] = (old, new)
    return dict(sorted(changed.items()))


def package_versions() -> dict[str, str]:
    """Return the versions of what shaped the result."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed as a package"
    return versions
