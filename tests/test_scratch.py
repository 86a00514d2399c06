"""What a killed look at a cluster left in the run folder goes a day later, and nothing else does."""

import os
import time

import pytest

from pipeline.cluster import schedule
from pipeline.cluster.schedule import measure_rows
from pipeline.cluster.storage_probe import StorageProbe
from pipeline.run_folder import RunFolder

from .couinaudnet_cases import write_case


def leave(run, name, *hours):
    """A folder of files that were written so many hours ago, the folders between them as the first."""
    for number, age in enumerate(hours):
        run.write_bytes(b"", name, "volumes", f"{number}.parquet")
        os.utime(run.local(name, "volumes", f"{number}.parquet"), (0, time.time() - 3600 * age))
    for folder in ((name, "volumes"), (name,)):
        os.utime(run.local(*folder), (0, time.time() - 3600 * hours[0]))


@pytest.mark.parametrize("look", [lambda run: StorageProbe.begin(run).end(), measure_rows])
def test_what_killed_jobs_left_is_swept_a_day_later(tmp_path, monkeypatch, look):
    monkeypatch.setattr(schedule, "_ROWS", 1)
    run = RunFolder(str(tmp_path))
    write_case(run, "a")
    for name in ("probe-old", "rows-old", "slices-old"):
        leave(run, name, 25)
    leave(run, "probe-new", 23)
    leave(run, "rows-in-use", 25, 1)
    before = set(run.names())
    look(run)
    assert before - set(run.names()) == {"probe-old", "rows-old"}
