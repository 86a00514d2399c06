"""Training curves as inline SVG: no script, no image, readable in light and dark."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.report.tables import escape

_WIDTH, _HEIGHT = 320, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 10, 26, 30
_NOT_CURVES = ("epoch", "step", "seconds", "time", "learning_rate", "lr", "worker")

Points = list[tuple[float, float]]


def read_history(text: str) -> dict[str, Points]:
    """Return the curves of a training's history.

    Args:
        text: Lines of JSON, each with `epoch` and numbers. After a resumed training the last line of an epoch counts.

    Returns:
        Name to (epoch, value), ascending; values that are not finite numbers are left out.
    """
    epochs = {}
    for line in text.splitlines():
        if line.strip():
            entry = json.loads(line)
            epochs[entry["epoch"]] = entry
    curves: dict[str, Points] = {}
    for epoch in sorted(epochs):
        for name, value in epochs[epoch].items():
            if name not in _NOT_CURVES and _is_finite_number(value):
                curves.setdefault(name, []).append((float(epoch), float(value)))
    return curves


def draw_curve(name: str, points: Points) -> str:
    """Return one curve over the epochs as an SVG element; its vertical axis includes zero."""
    epochs, values = [epoch for epoch, _ in points], [value for _, value in points]
    low, high = min(0.0, *values), max(0.0, *values)
    span_x, span_y = (epochs[-1] - epochs[0]) or 1.0, (high - low) or 1.0
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    places = [
        (_LEFT + width * (epoch - epochs[0]) / span_x, _TOP + height * (high - value) / span_y)
        for epoch, value in points
    ]
    description = f"{name} over {len(points)} epochs, from {values[0]:.4g} to {values[-1]:.4g}"
    return "\n".join(
        [
            f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-label="{escape(description)}">',
            f'<text x="{_LEFT}" y="16" class="title">{escape(name)}</text>',
            f'<text x="{_WIDTH - _RIGHT}" y="16" text-anchor="end">last {values[-1]:.4g}</text>',
            *_axes(low, high, epochs),
            _line(places),
            "</svg>",
        ]
    )


def _axes(low: float, high: float, epochs: Sequence[float]) -> list[str]:
    """Return the frame, with lowest and highest value and first and last epoch."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    return [
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" class="axis"/>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{high:.3g}</text>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{_LEFT}" y="{bottom + 18}">{epochs[0]:g}</text>',
        f'<text x="{(_LEFT + right) / 2:g}" y="{bottom + 18}" text-anchor="middle">epoch</text>',
        f'<text x="{right}" y="{bottom + 18}" text-anchor="end">{epochs[-1]:g}</text>',
    ]


def _line(places: Sequence[tuple[float, float]]) -> str:
    """Return the curve, or a dot where there is a single epoch."""
    if len(places) == 1:
        return f'<circle cx="{places[0][0]:.1f}" cy="{places[0][1]:.1f}" r="3" class="dot"/>'
    return '<polyline class="curve" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + '"/>'


def _is_finite_number(value: object) -> bool:
    """Tell whether a JSON value can be drawn."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
