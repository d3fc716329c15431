"""The service of the functional tests."""

from __future__ import annotations

from tests.functional.conftest import one_worker

__all__ = ["one_worker"]
