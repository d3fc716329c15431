"""The two things an agent does all the time: live, and look.

The heart is a member and says so in time.  The eye waits for the context to change.  Each is told to
take one step after another, and says for how long to rest; their words tell what has happened.
"""

from __future__ import annotations

from collections.abc import Callable

from factstore.agent.agent import Parts
from factstore.agent.error_log import Troubles
from factstore.agent.errors import RETRYABLE, StackDeleted
from factstore.client import Context
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock
from factstore.client.errors import NotFound, Unauthorized
from factstore.client.transport import LONGEST_WAIT

BEATS = 3  # heartbeats in a ttl
LONGEST_PAUSE = 30.0  # seconds between attempts to reach the service
EARLY_SECONDS = (
    1.0  # of rest after an answer that came early: a stopping service lets its callers go
)

JOINED, CONTEXT, ALONE, UNAUTHORIZED = "joined", "context", "alone", "unauthorized"


class Heart:
    """Joins, and joins again; says that the member lives, and what it has applied.

    :param say: told ``joined``; ``alone`` while the service cannot be reached; ``unauthorized``.
    """

    def __init__(self, parts: Parts, troubles: Troubles, say: Callable[[str], None]) -> None:
        self._parts = parts
        self._troubles = troubles
        self._say = say
        self._interval = parts.settings.agent.ttl / BEATS
        self._backoff = Backoff(1.0, LONGEST_PAUSE)

    def step(self) -> float:
        """Live; in how many seconds to do so again.

        :raises AgentError: the agent cannot go on.
        """
        membership = self._parts.membership
        try:
            self._parts.enrol()
            if not membership.joined.is_set() or not self._parts.beat():
                self._parts.join()
                self._say(JOINED)
        except StackDeleted as error:
            if self._parts.settings.agent.end_with_stack:
                raise
            return self._wait(error)
        except (*RETRYABLE, OSError) as error:
            if isinstance(error, Unauthorized) and not self._parts.refused():
                self._say(UNAUTHORIZED)
            return self._wait(error)
        self._troubles.over("being a member")
        self._backoff.reset()
        return self._interval

    def _wait(self, error: Exception) -> float:
        self._troubles.tell("being a member", error)
        self._say(ALONE)
        pause = self._backoff.pause(getattr(error, "retry_after", None))
        return min(pause, self._interval) if self._parts.membership.joined.is_set() else pause


class Eye:
    """Waits for the context to change.

    :param known: the one that is known.
    :ivar latest: the newest one; ``context`` is said when there is another, or the same anew.
    """

    def __init__(
        self,
        parts: Parts,
        troubles: Troubles,
        clock: Clock,
        say: Callable[[str], None],
        known: Context | None,
    ) -> None:
        self.latest: Context | None = None
        self._known = known
        self._parts = parts
        self._troubles = troubles
        self._clock = clock
        self._say = say
        self._backoff = Backoff(1.0, LONGEST_PAUSE)
        self._at_once = True

    def step(self) -> float:
        """Look once, at most for as long as the service waits; in how many seconds to look again.

        :raises AgentError: the agent cannot go on.
        """
        self._parts.membership.joined.wait()
        self._parts.present.wait()
        began = self._clock.monotonic()
        wait = 0 if self._at_once else LONGEST_WAIT
        try:
            try:
                context = self._look(wait)
            except NotFound:
                self._at_once = True
                if not self._parts.doubt():
                    return 0.0
                raise
        except StackDeleted as error:
            if self._parts.settings.agent.end_with_stack:
                raise
            return self._wait(error)
        except RETRYABLE as error:
            return self._wait(error)
        self._troubles.over("watching the stack")
        self._backoff.reset()
        known, self._known = self._known, context
        news = known is None or (context.etag, context.cursor) != (known.etag, known.cursor)
        if news or self._at_once:
            self.latest = context
            self._say(CONTEXT)
        early = wait > 0 and not news and self._clock.monotonic() - began < wait - EARLY_SECONDS
        self._at_once = False
        return EARLY_SECONDS if early else 0.0

    def _look(self, wait: float) -> Context:
        name, react = self._parts.settings.agent.member, self._parts.settings.react
        if self._known is None:
            return self._parts.stack.context(member=name)
        return self._parts.stack.newer_context(
            self._known,
            member=name,
            wait=wait,
            settle=react.settle if wait else 0,
            max_settle=react.max_settle,
        )

    def _wait(self, error: Exception) -> float:
        self._troubles.tell("watching the stack", error)
        self._at_once = True
        return self._backoff.pause(getattr(error, "retry_after", None))
