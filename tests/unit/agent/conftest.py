"""Fixtures of the agent's tests: the client's stub of the service, and its clock."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.unit.client.conftest import clock, service

__all__ = ["clock", "service"]


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
