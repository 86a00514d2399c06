"""Shared fixtures: one Ray cluster and one run of the whole method.

Properties see the same examples in each run, without a time limit. HYPOTHESIS_PROFILE=explore looks for new ones: what
they find is a matter of its own, not of the change under test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pipeline.config import RayConfig

from .whole_run import Interruption, run_with_interruptions

settings.register_profile("default", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local cluster with two CPUs; jobs called in the test process join it."""
    from pipeline.stages.session import ray_session

    with ray_session(RayConfig(cpus=2, object_store_mb=300)):
        yield


@pytest.fixture(scope="session")
def interrupted_run(tmp_path_factory: pytest.TempPathFactory) -> Interruption:
    """The whole method on a tiny phantom cohort, with a driver and a training worker killed on the way."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("finds the worker through /proc")
    return run_with_interruptions(tmp_path_factory.mktemp("interrupted"))
