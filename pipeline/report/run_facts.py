"""How the run was made: its steps, versions and settings, and the cases that were set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.archive.quarantine import read_rejections
from pipeline.config import PATH_SETTINGS
from pipeline.couinaud.tables import count_maps
from pipeline.report.tables import make_details, make_note, make_table
from pipeline.run_folder import RunFolder
from pipeline.slabs import VolumeRow, count_notes

STEPS = (
    "ingest",
    "construct_couinaud",
    "refine_image_labels",
    "train_couinaudnet",
    "predict_tumors",
    "refine_pixel_labels",
    "train_segmenter",
    "predict_segmentation",
    "evaluate",
)
"""The method's order; other reports follow in the order of their names."""

_STEP_COLUMNS = {
    "step": "Step",
    "taken": "In",
    "given": "Out",
    "quarantined": "Quarantined",
    "seconds": "Seconds",
    "more": "More counts",
}
_KNOWN_MEMBERS = {"step", "settings", "versions", "machine", "taken", "given", "quarantined", "seconds"}


def read_reports(run: RunFolder) -> list[dict[str, Any]]:
    """Return the reports of the committed steps in the method's order."""
    names = [name.removesuffix(".json") for name in run.names("reports")]
    order = [name for name in STEPS if name in names] + [name for name in names if name not in (*STEPS, "report")]
    return [dict(run.read_json("reports", f"{name}.json")) for name in order]


def make_run_section(reports: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of steps, versions and settings; empty without reports."""
    if not reports:
        return ""
    seeds = sorted({str(report["settings"]["seed"]) for report in reports if "seed" in report.get("settings", {})})
    total = sum(report["seconds"] for report in reports)
    versions = _merge(report.get("versions", {}) for report in reports)
    settings = _merge(_flatten(report.get("settings", {})) for report in reports)
    pairs = {"name": "Setting", "value": "Value"}
    return "\n".join(
        [
            make_note(f"Seed {', '.join(seeds) or 'unknown'}. {total:,.0f} seconds in all."),
            make_table("Steps", _STEP_COLUMNS, [_describe_step(report) for report in reports]),
            make_table("Versions", {"name": "Package", "value": "Version"}, _to_rows(versions)),
            make_details("Settings", make_table("Settings of the run", pairs, _to_rows(settings))),
        ]
    )


def make_volume_tables(volumes: Sequence[VolumeRow]) -> str:
    """Return the tables of what is noted about volumes, how their Couinaud maps were made and what is doubtful about
    these; empty if nothing is known.
    """
    methods, flags = count_maps((volume.couinaud_method, volume.couinaud_flags) for volume in volumes)
    tables = [
        make_table(caption, {"name": heading, "volumes": "Volumes"}, _count_rows(counts))
        for caption, heading, counts in (
            ("Notes on volumes", "Note", count_notes(volumes)),
            ("Couinaud maps", "Made by", methods),
            ("Doubtful maps", "Flag", flags),
        )
        if counts
    ]
    return "\n".join(tables)


def _count_rows(counts: Counter[str]) -> list[dict[str, Any]]:
    """Return counts as rows of a table, the largest first."""
    return [{"name": name, "volumes": count} for name, count in counts.most_common()]


def make_quarantine_section(run: RunFolder) -> str:
    """Return the table of cases that were set aside, or a sentence that there are none."""
    rejections = read_rejections(run)
    if not rejections:
        return make_note("No case was set aside.")
    columns = {"volume_id": "Case", "code": "Reason", "step": "Step", "message": "What was found"}
    return make_table("Cases that were not used", columns, [vars(rejection) for rejection in rejections])


def _describe_step(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of the steps' table."""
    more = {
        key: value for key, value in report.items() if key not in _KNOWN_MEMBERS and not isinstance(value, (dict, list))
    }
    return {
        **report,
        "quarantined": sum(report["quarantined"].values()),
        "more": ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in more.items()),
    }


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings as dotted names, without the folders of the archive."""
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif f"{prefix}{key}" not in PATH_SETTINGS:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def _merge(parts: Any) -> dict[str, str]:
    """Join mappings; where steps differ, all values are given."""
    values: dict[str, list[str]] = {}
    for part in parts:
        for name, value in part.items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return {name: ", then ".join(found) for name, found in values.items()}


def _to_rows(pairs: Mapping[str, str]) -> list[dict[str, str]]:
    """Return names and values as rows of a table."""
    return [{"name": name, "value": value} for name, value in pairs.items()]
