"""What the agent's tests share: the client's stub of a service, and its clock."""

from __future__ import annotations

from tests.unit.client.conftest import clock, service

__all__ = ["clock", "service"]
