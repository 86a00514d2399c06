"""Whether a value that comes from a file is one that its setting can take: Python itself never looks at type hints."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

_WORDS = {bool: "true or false", int: "a whole number", float: "a finite number", str: "a text"}


def require_type(name: str, kind: Any, value: Any) -> None:
    """Check a value against the type of its setting.

    Args:
        name: Dotted name of the setting.
        kind: `bool`, `int`, `float` (a whole number will do), `str`, a `Literal` of texts, a tuple of any number of one
            of these (a list will do), or the config dataclass of a section.
        value: The value; what is inside a section is not looked at.

    Raises:
        ValueError: If it does not fit; the setting, what it takes and the value are quoted.

    Example:
        >>> require_type("tune.search", Literal["grid", "random"], "gird")
        Traceback (most recent call last):
        ValueError: tune.search: expected grid or random, got 'gird'
    """
    if not _fits(kind, value):
        raise ValueError(f"{name}: expected {_describe(kind)}, got {value!r}")


def _fits(kind: Any, value: Any) -> bool:
    """Tell whether a setting of a type can take a value."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(get_args(kind)[0], item) for item in value)
    if dataclasses.is_dataclass(kind):
        return isinstance(value, Mapping)
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


def _describe(kind: Any) -> str:
    """Say what a type takes, for a person."""
    if get_origin(kind) is Literal:
        *others, last = get_args(kind)
        return f"{', '.join(others)} or {last}" if others else last
    if get_origin(kind) is tuple:
        return f"a list, each item {_describe(get_args(kind)[0])}"
    return "a table of settings" if dataclasses.is_dataclass(kind) else _WORDS[kind]
