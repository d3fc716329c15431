"""Membership in the stack: joining, heartbeats, departing, and giving way to another agent.

The generation is written to disk after the service has returned it, and deleted from disk before a new
one is requested.  An agent that restarts after a crash is therefore either the incarnation on its disk,
or has no generation and joins again, which replaces only its own former incarnation.  If the generation
on disk has expired and another one is alive, another agent uses the name: this agent gives way.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

from factstore.agent.config.settings import AgentOptions
from factstore.agent.errors import StackDeleted, Superseded
from factstore.agent.system.state_dir import MEMBER, StateDir
from factstore.client import MemberRecord, Stack
from factstore.client.errors import Conflict, NotFound

LOG = logging.getLogger(__name__)

HEARTBEATS_PER_TTL = 3


class Membership:
    """This agent's membership in its stack.  Several threads may use it.

    :param boot_id: returns the id of the current boot, of which an incarnation is part.
    :ivar joined: True while the agent is a member, as far as it knows.
    :ivar member: the member at the service.
    """

    def __init__(
        self, stack: Stack, options: AgentOptions, state: StateDir, boot_id: Callable[[], str]
    ) -> None:
        document = state.read(MEMBER) or {}
        stored, self._boot = document.get("generation"), boot_id()
        self.joined = False
        self._stack = stack
        self._options = options
        self._state = state
        self.member = stack.member(
            options.member, generation=stored if isinstance(stored, str) else None
        )
        self._was_member = self.member.generation is not None
        if document.get("boot", self._boot) != self._boot:
            # Services have stopped. And this may be a copy of a machine that is alive: if it continued
            # the same incarnation, neither agent would notice the other.
            LOG.info(
                "the machine has booted since member %s joined; joining as a new incarnation, to which "
                "an agent that is this member on a copy of the machine gives way",
                options.member,
            )
            self.member.generation = None
        self._inherited = self.member.generation
        self._lock = threading.Lock()

    @property
    def generation(self) -> str | None:
        """The generation of this incarnation; None if the agent is not a member."""
        return self.member.generation

    @property
    def inherited(self) -> bool:
        """True if an earlier process has joined as this incarnation."""
        return self.member.generation == self._inherited

    def join(self) -> MemberRecord:
        """Join the stack: as the stored incarnation if that is alive, else as a new one.

        :raises Superseded: another agent has joined under this name.
        :raises StackDeleted: the agent was a member, and its stack has been deleted.
        :raises FactstoreError: the service cannot answer now.
        """
        with self._lock:
            while True:
                if self.member.generation is None:
                    if self._was_member:
                        self._check_stack()  # joining would create the stack again
                    self._state.delete(MEMBER)
                try:
                    record = self.member.join(
                        self._options.group,
                        ttl=self._options.ttl,
                        attributes=self._options.attributes,
                    )
                except Conflict as error:
                    if self.member.generation is None:
                        raise
                    if error.code != "contextualization.member_ttl_fixed":
                        self._check_superseded()
                    self.member.generation = None
                    continue
                self._state.try_write(MEMBER, {"generation": record.generation, "boot": self._boot})
                self._was_member = self.joined = True
                return record

    def heartbeat(self, applied: str | None) -> bool:
        """Send a heartbeat; return False if the agent is not a member, or no longer.

        :param applied: the cursor of the context that was applied, if it is known.
        :raises Superseded: another agent has joined under this name.
        :raises StackDeleted: the stack has been deleted.
        :raises Gone: *applied* is a cursor of another store.
        :raises FactstoreError: the service cannot answer now.
        """
        with self._lock:
            if not self.joined:
                return False
            try:
                self.member.heartbeat(applied=applied)
            except (NotFound, Conflict):
                self._leave_expired_incarnation()
                return False
            return True

    def set_state(self, state: str) -> MemberRecord:
        """Set the state to ``ready`` or ``draining``.

        :raises NotFound: the member has departed or expired.
        :raises Conflict: the member has another generation.
        """
        return self.member.ready() if state == "ready" else self.member.drain()

    def depart(self, reason: str) -> None:
        """Depart from the stack, if the agent is a member."""
        with self._lock:
            if self.member.generation is None:
                return
            with contextlib.suppress(NotFound, Conflict):  # it has expired
                self.member.depart(reason=reason)
            self.joined = False
            self._state.delete(MEMBER)

    def _leave_expired_incarnation(self) -> None:
        self.joined = False
        self._check_stack()
        self._check_superseded()
        LOG.warning("member %s has expired; joining again", self.member.name)
        self.member.generation = None

    def _check_stack(self) -> None:
        """Raise StackDeleted if the stack does not exist."""
        try:
            self._stack.describe()
        except NotFound as error:
            self.member.generation = None
            raise StackDeleted(f"Stack {self._stack.name} has been deleted.") from error

    def _check_superseded(self) -> None:
        """Raise Superseded if another agent has joined under this name."""
        try:
            current = self.member.show()
        except NotFound:
            return
        # A member without a ttl was declared by an owner, and no agent has joined as it yet.
        if current.ttl is not None and current.generation != self.member.generation:
            self.joined = False
            raise Superseded(
                f"Another agent has been member {self.member.name} of stack {self._stack.name} "
                f"since {current.joined_at}; this agent gives way. If this agent is to be the "
                "member, stop the other one and start this one again."
            )
