"""Shared fixtures: one Ray cluster for the whole test run. No example of a property has a time limit of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from pipeline.config import RayConfig

settings.register_profile("default", deadline=None)
settings.load_profile("default")


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local cluster with two CPUs; jobs called in the test process join it."""
    from pipeline.stages.session import ray_session

    with ray_session(RayConfig(cpus=2, object_store_mb=300)):
        yield
