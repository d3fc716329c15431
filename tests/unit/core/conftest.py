"""Fixtures that several modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sealing_keys import make_keys
from tests.unit.core.service import Service


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A repository of keys."""
    return make_keys(tmp_path / "keys")


@pytest.fixture
def service() -> Iterator[Service]:
    """A service with one fact; all faults that a test names must have happened at its end."""
    made = Service()
    made.put("p", 0)
    yield made
    assert made.store.faults == [], "a write that was to fail was not made"
