"""The turn in which the agent runs its hooks, in the queue of its group.

Two threads use it: one waits for the turn, and the other applies contexts when it is held.
"""

from __future__ import annotations

import logging
import threading

from factstore.agent.config.settings import Settings
from factstore.agent.errors import RETRYABLE, describe
from factstore.agent.session.membership import Membership
from factstore.agent.session.turn import MemberTurn
from factstore.agent.system.state_dir import StateDir
from factstore.client import Stack, TurnRecord
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

EARLY_SECONDS = 1.0
"""The pause after a request that returned early, and while another process uses the turn."""


class HookTurn:
    """A turn that is requested, waited for, held and given back, again and again.

    :param max_parallel: how many members of the group run their hooks at a time.
    """

    def __init__(
        self, turn: MemberTurn, membership: Membership, max_parallel: int, clock: Clock
    ) -> None:
        self._turn = turn
        self._membership = membership
        self._max_parallel = max_parallel
        self._clock = clock
        self._lock = threading.Lock()
        self._requested = False
        self._polling = False
        self._generation = ""
        self._held: TurnRecord | None = None

    @property
    def held(self) -> bool:
        """True from when the turn was reported as held until its end."""
        return self._held is not None

    @property
    def waiting(self) -> bool:
        """True while the turn is requested and not held."""
        return self._requested and self._held is None

    def request(self) -> None:
        """Let the next :meth:`poll` take the turn."""
        with self._lock:
            self._requested = True

    def poll(self, wait: float) -> float | None:
        """Wait for the turn if it is requested; return the seconds until the next call.

        :param wait: seconds.
        :return: None if the turn is held, or no longer requested.
        :raises FactstoreError: the service cannot answer now, or the agent is no longer a member.
        """
        with self._lock:
            if not self.waiting:
                return None
            self._polling = True
        try:
            return self._poll(wait)
        finally:
            with self._lock:
                self._polling = False
                unwanted = not self._requested
            if unwanted:
                self._give_back()

    def _poll(self, wait: float) -> float | None:
        generation = self._membership.generation
        if generation is None or not self._membership.joined or not self._turn.try_lock():
            return EARLY_SECONDS
        self._generation = generation
        started = self._clock.monotonic()
        taken = self._turn.take(generation, max_parallel=self._max_parallel, wait=wait)
        with self._lock:
            if taken.holds and self._requested:
                self._held = taken
            if self._held is not None or not self._requested:
                return None
        early = self._clock.monotonic() - started < wait - EARLY_SECONDS
        return EARLY_SECONDS if early else 0.0

    def is_confirmed(self) -> bool:
        """Return True if the service confirms that the turn is held.

        :raises FactstoreError: the service cannot answer now.
        """
        held = self._held
        return held is not None and self._turn.is_held(held)

    def end(self) -> None:
        """Give the turn back, or stop waiting for it."""
        with self._lock:
            self._requested, self._held = False, None
            if self._polling:
                return  # the poll gives the turn back
        self._give_back()

    def _give_back(self) -> None:
        if self._turn.handle is None:
            return
        try:
            self._turn.give_back(self._generation)
        except RETRYABLE as error:
            LOG.warning("the turn cannot be given back now: %s", describe(error))


def make_hook_turn(
    settings: Settings, stack: Stack, membership: Membership, state: StateDir, clock: Clock
) -> HookTurn | None:
    """Return the turn in which hooks run; None if they need no turn."""
    limit, agent = settings.react.max_parallel, settings.agent
    if limit is None:
        return None
    return HookTurn(MemberTurn(stack, agent.member, agent.group, state), membership, limit, clock)
