"""The start of the agent, before it joins: finding out which member it is.

The agent waits while the machine has no name of its own, and while the service cannot be asked.  It
does not take the place of a living member from which its state directory was copied.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

from factstore.agent.config.settings import Settings
from factstore.agent.error_log import ErrorLog
from factstore.agent.errors import RETRYABLE, NameUnknown, Superseded, describe
from factstore.agent.scheduler import FIRST_PAUSE, LONGEST_PAUSE
from factstore.agent.session.connection import Connection, open_connection
from factstore.agent.session.copies import CopyMark
from factstore.agent.session.identity import Identity
from factstore.agent.system.machine import Machine, nameless_reason
from factstore.agent.system.sd_notify import notify
from factstore.agent.system.state_dir import StateDir
from factstore.client import MemberRecord
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock
from factstore.client.errors import NotFound, Unauthorized

LOG = logging.getLogger(__name__)

NAME_POLL_SECONDS = 1.0
"""The pause between two looks whether the machine has got its name."""
POLLS_PER_REQUEST = 10
"""After so many polls, the service is asked again whether a member was declared for the instance."""
EXPIRY_MARGIN = 5.0  # the service may delete a member so many seconds after its ttl


class Startup:
    """Identifies the agent that runs with these settings.

    :param waits: False for a single run, which does not wait for a name or the service.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        clock: Clock,
        *,
        waits: bool = True,
        machine: Machine | None = None,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._clock = clock
        self._waits = waits
        self._identity = Identity(settings, machine or Machine())
        self._error_log = ErrorLog(clock)

    def run(self) -> Settings:
        """Return the settings with the name of the member, to which the state directory is bound.

        :raises NameUnknown: this is a single run, and the machine has no name of its own.
        :raises Superseded: the member is alive on another machine.
        :raises FactstoreError: this is a single run, and the service cannot answer now.
        """
        identity, agent = self._identity, self._settings.agent
        if identity.copied_from is not None:
            LOG.warning(
                "%s was copied from another machine or directory; starting without it",
                agent.state_dir,
            )
        member = identity.known_member or self._find_member()
        settings = identity.settings_of(member)
        if identity.copied_from is not None:
            if member == identity.former_member:
                self._wait_for_expiry(settings)
            StateDir(agent.state_dir, (agent.stack, "")).clear()
        identity.store(member)
        return settings

    def _find_member(self) -> str:
        backoff, polls = Backoff(FIRST_PAUSE, LONGEST_PAUSE), 0
        while True:
            pause = NAME_POLL_SECONDS
            try:
                if polls % POLLS_PER_REQUEST == 0 or self._identity.host_name:
                    connection = self._connect("")
                    member = self._ask(connection)
                    self._error_log.succeeded("identification")
                    if member:
                        return member
            except RETRYABLE as error:
                if not self._waits:
                    raise
                self._error_log.failed("identification", error)
                pause = backoff.pause(getattr(error, "retry_after", None))
                notify(READY="1", STATUS="asking the service which member this is")
            else:
                if not self._waits:
                    raise NameUnknown(_nameless())
                if not polls:
                    LOG.warning("waiting for a name: %s", _nameless())
                notify(READY="1", STATUS="waiting for a host name")
                polls += 1
            self._clock.sleep(pause)

    def _ask(self, connection: Connection) -> str:
        enrolment = connection.enrolment
        if enrolment is not None:
            return self._identity.find_member(connection.stack, enrolment.grant_id)
        try:
            return self._identity.find_member(connection.stack, None)
        except Unauthorized as error:
            # The access rules of an application credential may permit only the member's own paths.
            LOG.debug("the service does not return declared members: %s", error)
            return self._identity.host_name

    def _wait_for_expiry(self, settings: Settings) -> None:
        """Wait until the member from which the state directory was copied has expired.

        :raises Superseded: it is still alive after its ttl.
        """
        agent = settings.agent
        connection = self._connect(agent.member)
        found = _living(connection, agent.member)
        if found is None:
            return
        ends_at = self._clock.monotonic() + (found.ttl or 0) + EXPIRY_MARGIN
        LOG.warning(
            "member %s is alive, from whose state directory %s was copied; waiting for its expiry",
            *(agent.member, agent.state_dir),
        )
        notify(READY="1", STATUS=f"waiting for another member {agent.member} to expire")
        mark = CopyMark(connection.stack, agent.member)
        try:
            mark.leave(agent.state_dir)
        except RETRYABLE as error:
            LOG.warning("the other agent cannot be notified: %s", describe(error))
        while self._clock.monotonic() < ends_at:
            self._clock.sleep(NAME_POLL_SECONDS)
            now = _living(connection, agent.member)
            if now is None:
                mark.remove()
                return
            if now.generation != found.generation:
                break
        raise Superseded(
            f"Member {agent.member} of stack {agent.stack} is alive on another machine or in another"
            f" directory, from which {agent.state_dir} was copied. Stop the other agent, or give this"
            " one a name of its own by [agent] member or by its host name. Then start this agent again."
        )

    def _connect(self, member: str) -> Connection:
        return open_connection(self._identity.settings_of(member), self._environ)


def _nameless() -> str:
    reason = nameless_reason(socket.gethostname()) or "The host had no name of its own"
    return f"{reason}, and no member is declared for it. Set the host name, or [agent] member."


def _living(connection: Connection, member: str) -> MemberRecord | None:
    """Return the member if an agent has joined as it, else None."""
    try:
        record = connection.stack.member(member).show()
    except NotFound:
        return None
    return record if record.ttl is not None else None
