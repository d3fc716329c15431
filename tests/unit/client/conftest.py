"""What the client's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.client.stub import FakeClock, Service


@pytest.fixture
def service() -> Iterator[Service]:
    """A service that does as it is told, and must have been asked for that and no more."""
    with Service() as running:
        yield running
        assert not running.script, "the client never asked for the rest of the script"
        assert not running.unexpected


@pytest.fixture
def clock() -> FakeClock:
    """A clock that needs no time."""
    return FakeClock()
