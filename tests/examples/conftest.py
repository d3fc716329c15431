"""A service for the examples."""

from __future__ import annotations

import pytest

from tests.service import ApiServer


@pytest.fixture
def api(two_workers: ApiServer) -> ApiServer:
    """The API with two workers, so that no example depends on reaching the same one again."""
    return two_workers


@pytest.fixture
def environ(api: ApiServer) -> dict[str, str]:
    """Return the environment variables for the service."""
    return {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": api.url}
