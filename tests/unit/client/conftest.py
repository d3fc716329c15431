"""Fixtures of the tests for the client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.client.stub import FakeClock, Service


@pytest.fixture
def service() -> Iterator[Service]:
    """A service with a script; the client must have made exactly the requests of the script."""
    with Service() as running:
        yield running
        assert not running.script, "the client never asked for the rest of the script"
        assert not running.unexpected


@pytest.fixture
def clock() -> FakeClock:
    """A clock that needs no time."""
    return FakeClock()
