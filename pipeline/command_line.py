"""The command line of every job: one config tree, a file of settings, clear refusals, exit codes.

Settings come, later ones winning, from the paper's defaults, from `--config` (a shipped configuration's name or a
TOML file with the sections of `pipeline.config.PipelineConfig`), and from the command line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import sys
import tomllib
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, TypeVar, get_type_hints

from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.setting_types import require_type
from pipeline.steps import EXIT_FAILED, EXIT_REFUSED

T = TypeVar("T")
Base = Callable[[PipelineConfig], Mapping[str, Any]]
"""Reads settings by section, and the seed, from where other settings say."""


def run_job(
    main: FunctionType,
    arguments: Sequence[str] | None = None,
    *,
    writes: bool = True,
    sections: Collection[str] = (),
    base: Base | None = None,
) -> None:
    """Parse the command line, run the job and leave with its exit code; no other job runs on its run folder meanwhile.

    Exit codes: 0 done; 1 failed; 2 bad arguments, or input that is refused at the start; 3 done, with cases
    quarantined or folders of the source not read.

    Args:
        main: The job.
        arguments: Command line; `sys.argv[1:]` if None.
        writes: Whether the job changes what other jobs read; one that does not may run while another does, though it
            may leave a file of findings, and folders of its own while it lasts.
        sections: Config sections that the job reads, which `--help` explains; it takes all others, too.
        base: As in `parse`.
    """
    name = Path(main.__code__.co_filename).stem
    program = f"python -m jobs.{name}"
    description = main.__globals__["__doc__"]
    try:
        config = parse(sys.argv[1:] if arguments is None else arguments, description, program, sections, base)
        with _explain_full_disk(config), _hold(config, name) if writes else contextlib.nullcontext():
            code = main(config)
    except RefusedInputError as refusal:
        sys.exit(_refuse(str(refusal)))
    sys.exit(code)


@contextlib.contextmanager
def _explain_full_disk(config: PipelineConfig) -> Iterator[None]:
    """Leave with a line about a full disk, if that is what went wrong; after the traceback, if it may not be."""
    try:
        yield
    except RefusedInputError:
        raise
    except Exception as error:
        from pipeline.full_disk import explain_full_disk, says_full_disk

        if not (reason := explain_full_disk(error, config.run)):
            raise
        if not says_full_disk(error):
            traceback.print_exc()
        sys.stderr.write(f"error: {reason}\n")
        sys.exit(EXIT_FAILED)


def _hold(config: PipelineConfig, name: str) -> contextlib.AbstractContextManager[None]:
    """Return what keeps other jobs out of the run folder."""
    from pipeline.run_folder import RunFolder
    from pipeline.run_lock import hold_run_folder

    return hold_run_folder(RunFolder(config.run), f"jobs.{name}")


def parse(
    arguments: Sequence[str],
    description: str = "",
    program: str = "job",
    sections: Collection[str] = (),
    base: Base | None = None,
) -> PipelineConfig:
    """Return the settings that a command line asks for.

    Args:
        arguments: The command line.
        description: What the job does.
        program: Its name.
        sections: Config sections that `--help` explains.
        base: Reads, from the settings so parsed, defaults that come before `--config` and the command line.

    Raises:
        RefusedInputError: If an option is unknown, or its value or a combination is not allowed.
    """
    name, rest = _split_config(arguments)
    config = _parse(rest, load_config(name), description, program, sections)
    if base:
        config = _parse(rest, load_config(name, base(config)), description, program, sections)
    _check_combination(config)
    return config


def _parse(
    arguments: Sequence[str], default: PipelineConfig, description: str, program: str, sections: Collection[str]
) -> PipelineConfig:
    """Return the default with what a command line changes."""
    import tyro

    kind, others = _show_sections(sections) if {"-h", "--help"} & {*arguments} else (PipelineConfig, [])
    text = f"{description}\n\n--config NAME|FILE takes a shipped configuration ({', '.join(shipped())}) or a TOML file."
    if others:
        text += f"\n\nSettings of these sections are taken, too, as one set serves all jobs: {', '.join(others)}."
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            config = tyro.cli(kind, args=arguments, default=default, description=text, prog=program)
        return build_config(PipelineConfig, dataclasses.asdict(config))  # to tyro, inf is a number
    except ValueError as error:
        raise RefusedInputError(str(error)) from error
    except SystemExit as leave:
        if leave.code in (None, 0):
            raise
        raise RefusedInputError(_one_line(complaint.getvalue())) from leave


def _show_sections(sections: Collection[str]) -> tuple[type[PipelineConfig], list[str]]:
    """Return the settings with only some sections to be seen, which is for `--help` alone, and the others' names."""
    import tyro

    hidden = {
        field.name: field
        for field in dataclasses.fields(PipelineConfig)
        if dataclasses.is_dataclass(field.default_factory) and field.name not in sections
    }
    fields = [(name, Annotated[Any, tyro.conf.Suppress], field) for name, field in hidden.items()]
    shown = dataclasses.make_dataclass("Shown", fields, bases=(PipelineConfig,), frozen=True, kw_only=True)
    return shown, list(hidden)


def shipped() -> list[str]:
    """Return the names of the configurations that come with the package."""
    files = resources.files("pipeline").joinpath("configurations").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load_config(name: str, base: Mapping[str, Any] | None = None) -> PipelineConfig:
    """Return the settings of a shipped configuration or of a TOML file; `run` may be left open.

    Args:
        name: Configuration or file; empty for none.
        base: Defaults by section.

    Raises:
        RefusedInputError: If there is no such file, or it names an unknown setting or a value that one cannot take.
    """
    import tyro

    if not name:
        data = b""
    elif name in shipped():
        data = resources.files("pipeline").joinpath("configurations", f"{name}.toml").read_bytes()
    elif Path(name).is_file():
        data = Path(name).read_bytes()
    else:
        raise RefusedInputError(f"--config {name}: neither a file nor one of {', '.join(shipped())}")
    try:
        values = tomllib.loads(data.decode())
        config = build_config(PipelineConfig, {"run": "", **overlay(base or {}, values)})
    except ValueError as error:
        raise RefusedInputError(f"--config {name}: {error}" if name else str(error)) from error
    return config if "run" in values else dataclasses.replace(config, run=tyro.MISSING)


def overlay(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings, and the defaults of those that are not there.

    Example:
        >>> overlay({"seed": 1, "grid": {"height": 2, "width": 2}}, {"grid": {"width": 3}})
        {'seed': 1, 'grid': {'height': 2, 'width': 3}}
    """
    merged = {**defaults, **values}
    for key in defaults.keys() & values.keys():
        if isinstance(defaults[key], Mapping) and isinstance(values[key], Mapping):
            merged[key] = overlay(defaults[key], values[key])
    return merged


def build_config(kind: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Build a config dataclass from nested mappings.

    Raises:
        ValueError: If a key is unknown, or its setting cannot take the value; both sides are quoted.
    """
    types = get_type_hints(kind)
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ValueError(f"unknown setting {prefix}{unknown[0]}, known are {', '.join(sorted(types))}")
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        require_type(f"{prefix}{key}", types[key], value)
        if dataclasses.is_dataclass(types[key]):
            arguments[key] = build_config(types[key], value, f"{prefix}{key}.")  # type: ignore[arg-type]
        else:
            arguments[key] = tuple(value) if isinstance(value, list) else value
    return kind(**arguments)


def _split_config(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Take `--config NAME` out of a command line."""
    rest = list(arguments)
    for index, argument in enumerate(rest):
        if argument == "--config":
            if index + 1 == len(rest):
                raise RefusedInputError("--config needs a name or a file")
            return rest[index + 1], rest[:index] + rest[index + 2 :]
        if argument.startswith("--config="):
            return argument.removeprefix("--config="), rest[:index] + rest[index + 1 :]
    return "", rest


def _one_line(text: str) -> str:
    """Squeeze a boxed message of several lines into one."""
    words = re.sub(r"\x1b\[[0-9;]*m|[─-╿]", " ", text)
    words = re.sub(r"For full helptext.*", "", words, flags=re.DOTALL)
    return re.sub(r"\s+", " ", words).strip() or "the arguments could not be parsed"


def _check_combination(config: PipelineConfig) -> None:
    """Refuse settings that contradict each other.

    Raises:
        RefusedInputError: In one line that quotes both.
    """
    source = config.source
    if source.layout == "phantom" and source.path:
        raise RefusedInputError(f"--layout phantom needs nothing on disk, but --source is {source.path}")


def _refuse(message: str) -> int:
    """Say why in one line."""
    sys.stderr.write(f"error: {message}\n")
    return EXIT_REFUSED
