"""The part that handlers of waiting requests share."""

from __future__ import annotations

from collections.abc import Callable

from factstore.api.identity import Authorizer
from factstore.core.ports import Clock, EventSource
from factstore.core.services.composition import Services
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.loop_waits import LoopWaits
from factstore.wsgi.fast_path.loop_writes import Ended


class WaitHandler:
    """A handler of requests that wait in the loop, with what it needs.

    :param ended: called when a request that was started has ended.
    """

    def __init__(
        self,
        services: Services,
        authorizer: Authorizer,
        events: EventSource,
        clock: Clock,
        waits: LoopWaits,
        ended: Ended,
    ) -> None:
        self._services = services
        self._authorizer = authorizer
        self._events = events
        self._clock = clock
        self._waits = waits
        self._ended = ended

    @staticmethod
    def leave(call: Call) -> None:
        """Leave a request to its view, because it cannot wait in the loop."""

    def _begin_wait(self, call: Call, seconds: float) -> Callable[[], None] | None:
        """Count a request among those that wait; return a function to call when it ends."""
        if not seconds:
            return None
        return self._services.rate_limiter.begin_wait(call.identity.project_id)
