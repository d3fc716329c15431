"""Fixtures of the agent's tests: the client's stub of the service, and its clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from factstore.agent.deploy import runs
from tests.eventually import eventually
from tests.unit.client.conftest import clock, service

__all__ = ["clock", "service"]


@pytest.fixture(scope="session", autouse=True)
def ended_supervisors() -> Iterator[None]:
    """Wait for the supervisors of hooks, which end a moment after they have stored the end of a run."""
    yield
    eventually(lambda: all(child.poll() is not None for child in runs._CHILDREN))


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Restore the logging configuration, which `main` changes: its stream is closed after the test."""
    root, ours = logging.getLogger(), logging.getLogger("factstore")
    known = [(each, each.handlers[:], each.level, each.propagate) for each in (root, ours)]
    yield
    for each, handlers, level, propagate in known:
        each.handlers[:] = handlers
        each.setLevel(level)
        each.propagate = propagate
