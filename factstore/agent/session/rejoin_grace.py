"""The grace period after an interruption: time for other members to join again.

An interruption that lets this member expire lets others expire, too.  When it is over, they join again
one after the other.  Until then the context lacks members that never failed, and must not be applied.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from factstore.client import Context

LOG = logging.getLogger(__name__)

SHORTEST_INTERRUPTION = 3.0
"""Seconds after which a member may have expired: of the shortest ttl, 5 s, a third may have passed."""
LONGEST_WAIT_FACTOR = 3
"""Limits the wait, in grace periods, if one interruption follows the other."""
_NAMED = 5  # members that a message names


class _Known(NamedTuple):
    """The members of a context, and those of them that had facts."""

    members: frozenset[str]
    with_facts: frozenset[str]

    def plus(self, other: _Known) -> _Known:
        return _Known(self.members | other.members, self.with_facts | other.with_facts)

    def without(self, names: frozenset[str]) -> _Known:
        return _Known(self.members - names, self.with_facts - names)


class RejoinGrace:
    """Finds the members that the last context had, and that have not joined again yet.

    One thread may apply contexts while others report requests.

    :param seconds: the length of the grace period, which begins at the end of an interruption.
    :param heartbeat_interval: seconds between two requests without an interruption.
    :param elapsed: returns seconds that also pass while the machine is suspended.
    :param last: the last context that was applied.
    """

    def __init__(
        self,
        seconds: float,
        heartbeat_interval: float,
        elapsed: Callable[[], float],
        last: Context | None,
    ) -> None:
        self._seconds = seconds
        self._longest_gap = 2 * heartbeat_interval
        self._elapsed = elapsed
        self._last = _known(last.document if last is not None else {})
        self._expected = _Known(frozenset(), frozenset())
        self._failing_since: float | None = None
        self._succeeded_at: float | None = None
        self._ends_at: float | None = None
        self._waiting_since: float | None = None
        self.missing: tuple[str, ...] = ()
        """The members for which the agent waits."""

    def begin(self) -> None:
        """Begin the grace period, because an interruption has ended.

        The members that are expected are those from before the interruption.
        """
        expected = self._expected if self._ends_at is not None else self._last
        self._expected = expected.plus(self._last)
        self._ends_at = self._elapsed() + self._seconds

    def request_failed(self) -> None:
        """Note that the service could not be used."""
        if self._failing_since is None:
            self._failing_since = self._elapsed()

    def request_succeeded(self) -> None:
        """Note that the service answered, which may end an interruption."""
        failing_since, self._failing_since = self._failing_since, None
        if failing_since is not None and self._elapsed() - failing_since >= SHORTEST_INTERRUPTION:
            self.begin()

    def heartbeat_succeeded(self) -> None:
        """Note that the service accepted a heartbeat."""
        self.request_succeeded()
        if self._has_slept:
            self.begin()
        self._succeeded_at = self._elapsed()

    @property
    def _has_slept(self) -> bool:
        """True from the end of an interruption without failures until the next heartbeat."""
        # No request fails while the machine is suspended, or while this process is stopped.
        before = self._succeeded_at
        return before is not None and self._elapsed() - before > self._longest_gap

    def pause(self, context: Context) -> float:
        """Return the seconds until a context may be applied; 0 if it may be applied now."""
        if self._has_slept:
            self.begin()  # the context has arrived before the first heartbeat
        if self._ends_at is None:
            return 0.0
        self._expected = self._expected.without(_draining(context.document))
        now, missing = self._elapsed(), _missing(self._expected, context.document)
        since = now if self._waiting_since is None else self._waiting_since
        left = min(self._ends_at, since + LONGEST_WAIT_FACTOR * self._seconds) - now
        if missing and left > 0:
            if self._waiting_since is None:
                LOG.warning(
                    "not applying context %s yet: after an interruption, %s did not join again so far; "
                    "waiting for at most %.0f s",
                    context.cursor,
                    _listed(missing),
                    left,
                )
            self._waiting_since, self.missing = since, missing
            return left
        if missing:
            LOG.warning("applying context %s without %s", context.cursor, _listed(missing))
        elif self._waiting_since is not None:
            LOG.info("all members of the last context have joined again")
        if left <= 0:
            self._ends_at = None
        self._waiting_since, self.missing = None, ()
        return 0.0

    def applied(self, context: Context) -> None:
        """Remember the members of a context that is applied."""
        self._last = _known(context.document)

    @property
    def problems(self) -> dict[str, str]:
        """The problem for the member's results, while members are missing."""
        if not self.missing:
            return {}
        return {"members": f"waiting for {_listed(self.missing)} to join again"}


def _known(document: Mapping[str, Any]) -> _Known:
    names = frozenset(_members(document))
    return _Known(names, names & _with_facts(document)).without(_draining(document))


def _draining(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the members that are about to depart."""
    members = _members(document).items()
    return frozenset(name for name, each in members if each.get("state") == "draining")


def _missing(known: _Known, document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the known members that a document lacks, or whose facts it lacks."""
    absent = known.members - _members(document).keys()
    return tuple(sorted(absent | (known.with_facts - _with_facts(document))))


def _members(document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    members: Mapping[str, Mapping[str, Any]] = document.get("members") or {}
    return members


def _with_facts(document: Mapping[str, Any]) -> set[str]:
    """Return the members that have facts."""
    nodes = (document.get("facts") or {}).get("nodes")
    return {name for name, facts in nodes.items() if facts} if isinstance(nodes, dict) else set()


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _NAMED
    text = ", ".join(names[:_NAMED])
    return f"{text} and {more} more" if more > 0 else text
