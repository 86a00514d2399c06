"""What of a space goes with a run's settings, told before the first trial instead of by each trial that fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from pipeline.config import PipelineConfig
from pipeline.errors import RefusedInputError
from pipeline.sweep.config_file import replace_settings
from pipeline.sweep.points import Choice, Range, Settings, Space, grid_points


def narrow_space(config: PipelineConfig, space: Space, search: str) -> tuple[Space, list[str]]:
    """Return a space without the values that no point can have, and a line about each of them.

    Args:
        config: Settings of the run.
        space: The space.
        search: `grid` tries the points of the grid; other searches draw from ranges, of which both ends are tried.

    Raises:
        RefusedInputError: If nothing is left to compare, or what is left holds a point that no run can have.
    """
    tried = {name: values if search == "grid" else _take_ends(values) for name, values in space.items()}
    faults = [(point, _find_fault(config, point)) for point in grid_points(tried)]
    possible = [point for point, fault in faults if not fault]
    if not possible:
        raise RefusedInputError(f"tune: nothing is left to compare: {_describe(*faults[0])}")
    dropped = {
        name: [value for value in values.grid if all(point[name] != value for point in possible)]
        for name, values in tried.items()
        if values is space[name]  # an end of a range is no value that could be left out
    }
    lines = [
        f"{_describe({name: value}, _find_fault(config, {**possible[0], name: value}))}; it is left out"
        for name, values in dropped.items()
        for value in values
    ]
    left = [item for item in faults if not any(item[0].get(name) in values for name, values in dropped.items())]
    if lines and len(left) < 2:
        raise RefusedInputError(f"tune: nothing is left to compare: {'; '.join(lines)}")
    for point, fault in left:
        if fault:
            raise RefusedInputError(f"tune: values of the space do not go together: {_describe(point, fault)}")
    return {name: _drop(values, dropped.get(name, ())) for name, values in space.items()}, lines


def _take_ends(values: Range) -> Choice:
    """Return the ends of a range, or the values of a choice."""
    return values if isinstance(values, Choice) else Choice((values.low, values.high))


def _drop(values: Range, dropped: Collection[Any]) -> Range:
    """Return a range without some of its values."""
    kept = tuple(value for value in values.grid if value not in dropped)
    return Choice(kept) if isinstance(values, Choice) else dataclasses.replace(values, grid=kept)


def _find_fault(config: PipelineConfig, point: Settings) -> str:
    """Return why a run cannot have some settings; empty if it can."""
    try:
        replace_settings(config, point)
    except ValueError as error:
        return str(error)
    return ""


def _describe(point: Settings, fault: str) -> str:
    """Return settings, their values and what is wrong with them."""
    return f"{', '.join(f'{name} {value}' for name, value in point.items())}: {fault}"
