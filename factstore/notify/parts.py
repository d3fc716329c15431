"""The parts that the deliveries of a notifier share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Protocol

from factstore.core.errors import SealBroken
from factstore.core.model.fact import Scope
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.subscription import Subscription
from factstore.core.model.unnamed import unnamed_scope
from factstore.core.operations.encryption import Encryption
from factstore.core.operations.subscription_secrets import clear_challenge, signing_secrets
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, EventSource, Store
from factstore.core.state.stack_state import StackState
from factstore.notify.concurrency import Concurrency
from factstore.notify.event_reader import Listen
from factstore.notify.journal import SavePace
from factstore.notify.messages import Render
from factstore.notify.notifier_lease import NotifierLease
from factstore.notify.targets.base import Surroundings


class Observer(Protocol):
    """Receives numbers for metrics."""

    def attempted(self, kind: str, outcome: str, seconds: float) -> None:
        """Count an attempt to deliver a message: ``delivered``, ``failed`` or ``gone``."""

    def delivered_events(self, count: int) -> None:
        """Count events that were delivered."""

    def ended(self, state: str) -> None:
        """Count a subscription that was ``suspended`` or ``disabled``."""


@quick_dataclass(frozen=True, slots=True)
class Parts:
    """The parts.

    :param name: of the notifier.
    :param suspend_after: seconds of failures after which a subscription is suspended.
    :param changed: called when a delivery has ended.
    """

    name: str
    store: Store
    events: EventSource
    listen: Listen
    transactor: Transactor
    encryption: Encryption
    clock: Clock
    concurrency: Concurrency
    surroundings: Surroundings
    render: Render
    observer: Observer
    lease: NotifierLease
    suspend_after: float
    changed: Callable[[], object]
    pace: SavePace = field(default_factory=SavePace)

    def secrets(self, project_id: str, subscription: Subscription, now: str) -> tuple[str, ...]:
        """Return the secrets with which messages are signed at a moment. Raises SealBroken."""
        return signing_secrets(self.encryption, self._project(project_id), subscription, now)

    def challenge(self, project_id: str, subscription: Subscription) -> str:
        """Return the challenge of a pending subscription; empty if it cannot be opened."""
        try:
            return clear_challenge(self.encryption, self._project(project_id), subscription)
        except SealBroken:
            return ""  # the attempt to send it fails, because the secrets cannot be opened either

    def _project(self, project_id: str) -> StackState:
        found = self.store.state().stack_state(self._scope(project_id))
        assert found is not None  # noqa: S101 - an unnamed stack with records exists
        return found

    @staticmethod
    def _scope(project_id: str) -> Scope:
        return unnamed_scope(project_id)
