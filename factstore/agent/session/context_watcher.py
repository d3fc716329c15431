"""Watching the context: a mirror of it, and long polls that return when it has changed.

The first context settles, as changes do: other instances may be booting, too, and publish their facts.
"""

from __future__ import annotations

from collections.abc import Callable

from factstore.agent.config.settings import Settings
from factstore.agent.session.membership import Membership
from factstore.agent.session.read_set import ReadSetUpload
from factstore.client import Context, Stack
from factstore.client.clock import Clock
from factstore.client.errors import Conflict, NotFound
from factstore.client.transport import LONGEST_WAIT

EARLY_SECONDS = 1.0
"""The pause after a poll that returned early without a change: a stopping server ends its requests."""

APPLY_SECONDS = 1.0
"""The pause after a change.  Once it is applied, the next poll begins, and reports that."""


class ContextWatcher:
    """Polls the context of a member.

    :param read_set: whose changes the polls wait for.
    :param applied: returns the cursor of the context that was applied, which the polls report.
    :param known: the context that is stored on disk.
    :param on_change: called with the new context and the one before, which is None at first.
    :ivar latest: the newest context; None until the service has returned one.
    :ivar polling: True while a poll waits, which reports what was applied when it began.
    """

    def __init__(
        self,
        settings: Settings,
        stack: Stack,
        membership: Membership,
        read_set: ReadSetUpload,
        applied: Callable[[], str | None],
        clock: Clock,
        known: Context | None,
        on_change: Callable[[Context, Context | None], None],
    ) -> None:
        self.latest: Context | None = None
        self.polling = False
        self._membership = membership
        self._read_set = read_set
        self._applied = applied
        self._clock = clock
        self._mirror = stack.mirror(
            member=settings.agent.member,
            settle=settings.react.settle,
            max_settle=settings.react.max_settle,
            known=known,
            first_settles=True,
        )
        self._on_change = on_change
        self._without_waiting = True

    def poll(self) -> float | None:
        """Wait for a change; return the seconds until the next poll, or None if not a member.

        :raises AgentError: the agent was superseded, or the stack has been deleted.
        :raises FactstoreError: the service cannot answer now.
        """
        started, known = self._clock.monotonic(), self._mirror.context
        # The first poll, and one after a failure, report a known context even if it has not changed.
        without_waiting, self._without_waiting = self._without_waiting and known is not None, True
        wait = 0 if without_waiting else LONGEST_WAIT
        self.polling = True  # from here on, what is applied comes too late for this poll
        try:
            applied = self._read_set.reportable(self._applied())
            context = self._mirror.update(
                wait,
                self._read_set.digest,
                applied=applied,
                generation=self._membership.generation,
            )
        except (NotFound, Conflict):
            if self._membership.heartbeat(None):
                raise
            return None
        finally:
            self.polling = False
        self._without_waiting = False
        if context is not known or without_waiting:
            previous, self.latest = self.latest, context
            self._on_change(context, previous)
            return APPLY_SECONDS
        if self._clock.monotonic() - started < wait - EARLY_SECONDS:
            return EARLY_SECONDS
        return 0.0
