"""Fixtures that several modules share."""

from __future__ import annotations

import pytest

from tests.unit.core.service import Service


@pytest.fixture
def service() -> Service:
    made = Service()
    made.put("p", 0)
    return made
