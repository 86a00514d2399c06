"""The report page: what the run reached, pictures to judge it by, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import PipelineConfig
from pipeline.report.curves import draw_curve, read_history
from pipeline.report.pictures import make_pictures_section
from pipeline.report.results import make_headlines, make_labels_section, make_segmenter_section
from pipeline.report.run_facts import make_quarantine_section, make_run_section, make_volume_tables, read_reports
from pipeline.report.style import STYLE
from pipeline.report.tables import escape, make_section
from pipeline.run_folder import RunFolder
from pipeline.slabs import read_volume_rows

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_TITLE = "Liver tumor segmentation from volume-level labels"


def build_report(run: RunFolder, config: PipelineConfig) -> str:
    """Return `report.html` of a run folder: one file that fetches nothing.

    Sections whose files are not there yet are left out or say so.

    Args:
        run: Run folder.
        config: Settings of the run; only the grid is used.
    """
    volumes = read_volume_rows(run)
    summary = _read_summary(run)
    sections = {
        "results": ("Results", make_headlines(run, summary, volumes)),
        "pictures": ("Pictures", make_pictures_section(run, config.grid, volumes)),
        "segmenter": ("Segmenter", make_segmenter_section(run, summary)),
        "labels": ("Weak labels", make_labels_section(run, summary)),
        "training": ("Training", _show_curves(run)),
        "run": ("Run", make_run_section(read_reports(run)) + make_volume_tables(volumes)),
        "quarantine": ("Quarantine", make_quarantine_section(run)),
    }
    links = "\n".join(f'<a href="#{name}">{escape(title)}</a>' for name, (title, body) in sections.items() if body)
    body = "\n".join(make_section(name, title, body) for name, (title, body) in sections.items() if body)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_TITLE}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{_TITLE}</h1>\n<p>For research; not a medical device.</p>\n"
        f'<nav aria-label="Sections">{links}</nav></header>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _read_summary(run: RunFolder) -> Mapping[str, Any]:
    """Return the evaluation's summary; empty before the evaluation."""
    found = run.exists("evaluation", "summary.json")
    return dict(run.read_json("evaluation", "summary.json")) if found else {}


def _show_curves(run: RunFolder) -> str:
    """Return the training curves of both networks, as far as there are histories."""
    parts = []
    for folder, title in (("couinaudnet", "CouinaudNet"), ("segmenter", "Segmenter (nnU-Net)")):
        if run.exists(folder, "history.jsonl"):
            curves = read_history(run.read_bytes(folder, "history.jsonl").decode())
            drawn = "\n".join(draw_curve(name, points) for name, points in curves.items())
            parts.append(f'<h3>{escape(title)}</h3>\n<div class="curves">\n{drawn}\n</div>')
    return "\n".join(parts)
