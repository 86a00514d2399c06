"""Progress in a log: what is done, how fast, and a line even while nothing is done."""

import doctest
import re
import time

import pytest

from pipeline import progress
from pipeline.progress import Progress, show_progress


def slowly(count, seconds):
    for item in range(count):
        time.sleep(seconds)
        yield item


def test_log_has_a_line_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL_S", 0.05)
    assert list(show_progress(slowly(4, 0.1), "ingest", 4, "volume")) == [0, 1, 2, 3]
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ingest: 0 of 4 volumes in 0 min", lines[0])
    assert any(re.search(r"ingest: [123] of 4 volumes in 0 min, .* a second, 0 min left", line) for line in lines)


def test_nothing_is_written_after_the_end(monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL_S", 0.05)
    shown = Progress("tune")
    shown.close()
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_interrupted_loop_shows_no_more(monkeypatch, capsys):
    monkeypatch.setattr(progress, "INTERVAL_S", 0.05)
    with pytest.raises(KeyError):
        list(show_progress(({}[item] for item in range(3)), "ingest"))
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


def test_short_work_leaves_the_log_alone(capsys):
    assert list(show_progress(range(3), "ingest")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_examples_hold():
    assert doctest.testmod(progress).failed == 0
