"""Being a member: joining, staying alive, departing; and never fighting for the name.

What a crash must not make it forget is on disk in time.  The generation is written down once the
service has told it, and taken off the disk before a new one is asked for.  So after a crash the agent
either is the incarnation that it was, or knows that it does not know: then it joins anew, which
replaces nobody but itself.  If the generation on the disk lives no more, and another one of the name
does, that is therefore somebody else: this agent was replaced, and ends.
"""

from __future__ import annotations

import contextlib
import logging
import threading

from factstore.agent.config.settings import Agent
from factstore.agent.errors import StackGone, Superseded
from factstore.agent.system.state_dir import MEMBER, StateDir
from factstore.client import MemberRecord, Stack
from factstore.client.errors import Conflict, NotFound

LOG = logging.getLogger(__name__)


class Membership:
    """This agent's part in its stack.  Threads may share it: one asks at a time.

    :ivar joined: set while, as far as is known, it is a member.
    """

    def __init__(self, stack: Stack, settings: Agent, state: StateDir) -> None:
        kept = (state.read(MEMBER) or {}).get("generation")
        self.joined = threading.Event()
        self._stack = stack
        self._settings = settings
        self._state = state
        self._member = stack.member(
            settings.member, generation=kept if isinstance(kept, str) else None
        )
        self._belonged = self._member.generation is not None
        self._lock = threading.Lock()

    @property
    def generation(self) -> str | None:
        """This incarnation; None while there is none."""
        return self._member.generation

    def join(self) -> MemberRecord:
        """Be a member: the one that it was, if that lives still, else a new one.

        :raises Superseded: another one has taken the name since.
        :raises StackGone: it was a member, and its stack went.
        :raises FactstoreError: not now.
        """
        with self._lock:
            while True:
                if self._member.generation is None:
                    if self._belonged:  # joining would make it anew
                        self._check_stack()
                    self._state.forget(MEMBER)
                try:
                    record = self._member.join(
                        self._settings.group,
                        ttl=self._settings.ttl,
                        attributes=self._settings.attributes,
                    )
                except Conflict as error:
                    if self._member.generation is None:
                        raise
                    if error.code != "contextualization.member_ttl_fixed":
                        self._check_replaced()
                    self._member.generation = None
                    continue
                self._state.keep(MEMBER, {"generation": record.generation})
                self._belonged = True
                self.joined.set()
                return record

    def beat(self, applied: str | None) -> bool:
        """Say that it lives; whether it does.

        :param applied: the cursor up to which it has applied the stack.
        :raises Superseded: another one has taken the name; StackGone: its stack went.
        :raises Gone: *applied* is of another life of the store.
        :raises FactstoreError: not now.
        """
        with self._lock:
            if not self.joined.is_set():
                return False
            try:
                self._member.heartbeat(applied=applied)
            except (NotFound, Conflict):
                self._lost()
                return False
            return True

    def set_state(self, wanted: str) -> MemberRecord:
        """Be ``ready`` or ``draining``.

        :raises NotFound, Conflict: it is no member any more.
        """
        return self._member.ready() if wanted == "ready" else self._member.drain()

    def depart(self, reason: str) -> None:
        """Go, if it is a member; that it went already is no error."""
        with self._lock:
            if self._member.generation is None:
                return
            with contextlib.suppress(NotFound, Conflict):
                self._member.depart(reason=reason)
            self.joined.clear()
            self._state.forget(MEMBER)

    def _lost(self) -> None:
        """It is no member any more, as the service says."""
        self.joined.clear()
        self._check_stack()
        self._check_replaced()
        LOG.warning("the service has given %s up for dead; it joins again", self._member.name)
        self._member.generation = None

    def _check_stack(self) -> None:
        try:
            self._stack.describe()
        except NotFound as error:
            self._member.generation = None
            raise StackGone(f"the stack {self._stack.name} is gone.") from error

    def _check_replaced(self) -> None:
        try:
            living = self._member.show()
        except NotFound:
            return
        # Who is declared and has no ttl is awaited: nobody has joined as it, and it may be this agent.
        if living.ttl is not None and living.generation != self._member.generation:
            self.joined.clear()
            raise Superseded(
                f"another agent is {self._member.name} of {self._stack.name} since "
                f"{living.joined_at}; this one gives way. If it is this one that is to live, stop "
                "the other and start this one again."
            )
