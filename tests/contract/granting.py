"""Grants at later times, on the workers of the contract tests."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from factstore.core.model.quota import no_quotas
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.keyring import NoKeyring
from factstore.core.operations.transactor import Transactor
from factstore.core.services.grants import GrantService
from factstore.wsgi.clock import SystemClock
from tests.contract.world import Worker

DAY = 24 * 3600


class ShiftedClock(SystemClock):
    """A clock with another date but the same speed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def timestamp(self) -> str:
        moment = datetime.now(UTC) + timedelta(seconds=self.seconds)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def later(
    worker: Worker,
    seconds: float,
    encryption: Encryption = Encryption(NoKeyring()),  # noqa: B008
) -> GrantService:
    """Return the service with the clock of a machine whose date differs."""
    clock = ShiftedClock(seconds)
    transactor = Transactor(worker.store, clock, no_quotas, lambda: uuid.uuid4().hex, 10.0)
    return GrantService(worker.store, clock, 10.0, transactor, encryption)
