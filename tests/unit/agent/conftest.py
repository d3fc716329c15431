"""Fixtures of the agent's tests: the client's stub of the service, and its clock."""

from __future__ import annotations

from tests.unit.client.conftest import clock, service

__all__ = ["clock", "service"]
