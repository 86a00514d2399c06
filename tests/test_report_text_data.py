"""The figures of report reading on sentences and reports that others wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pipeline.archive.report_text.report import read_report

REPORTS = Path(os.environ.get("LIVER_DATA", "/nowhere")) / "reports"

pytestmark = pytest.mark.skipif(not REPORTS.is_dir(), reason="LIVER_DATA has no reports")


def load(name):
    return [json.loads(line) for line in (REPORTS / name).read_text(encoding="utf-8").splitlines()]


def test_segments_and_statuses_of_phrases():
    right = found = wanted = statuses = 0
    rows = load("segment_phrases.jsonl")
    for row in rows:
        reading = read_report(row["text"])
        present = set(row["segments"]) if row["status"] == "present" else set()
        right += len(present & set(reading.segments))
        found += len(reading.segments)
        wanted += len(present)
        statuses += reading.status == {"nonliver": "none"}.get(row["status"], row["status"])
    assert right / found >= 0.97
    assert right / wanted >= 0.97
    assert statuses / len(rows) >= 0.95


def test_no_segment_from_other_organs():
    rows = [row for row in load("segment_phrases.jsonl") if row["status"] == "nonliver"]
    assert rows
    assert not [row["tag"] for row in rows if any(mention.segments for mention in read_report(row["text"]).mentions)]


def test_no_segment_from_reports_that_name_none():
    assert [read_report(row["text"]).segments for row in load("mtsamples_liver_ct.jsonl")] == [()] * 14
