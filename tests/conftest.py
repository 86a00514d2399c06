"""Shared fixtures: one Ray cluster for the whole test run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.config import RayConfig


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local cluster with two CPUs; jobs called in the test process join it."""
    from pipeline.stages.session import ray_session

    with ray_session(RayConfig(cpus=2, object_store_mb=300)):
        yield
