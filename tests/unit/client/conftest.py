"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.client.stub import FakeClock, Service


@pytest.fixture
def service() -> Iterator[Service]:
    """A scripted service; the test fails unless the client has requested all answers."""
    with Service() as running:
        yield running
        assert not running.script, "the client never asked for the rest of the script"
        assert not running.unexpected


@pytest.fixture
def clock() -> FakeClock:
    """A clock whose sleep returns at once."""
    return FakeClock()
