"""The parts of the agent, put together as its configuration says, and what they do together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from factstore.agent.apply.files import file_specs
from factstore.agent.apply.hooks import Hooks
from factstore.agent.apply.reconciler import ApplyError, Reconciler
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.settings import Settings
from factstore.agent.errors import RETRYABLE
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.publish.publisher import Publisher
from factstore.agent.publish.sources import CollectedFacts, FactCollector
from factstore.agent.session.connection import Connection
from factstore.agent.session.grant_renewal import GrantRenewal
from factstore.agent.session.membership import Membership
from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.state_dir import StateDir
from factstore.client import Context
from factstore.client.clock import Clock
from factstore.client.errors import Gone

LOG = logging.getLogger(__name__)

BY_COMMAND = "factstore-agent put"


class Parts:
    """One agent.

    :param stopping: whether programs that run are to be ended.
    :param boot: the id of this boot.
    :ivar present: set once it has joined and told what it knew, so that it sees itself whole.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        clock: Clock,
        *,
        stopping: Callable[[], bool] = lambda: False,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        agent, react = settings.agent, settings.react
        stack = connection.stack
        self.settings = settings
        self.stack = stack
        self.state = StateDir(agent.state_dir, (agent.stack, agent.member))
        self.state.create()
        self.said = CommandFacts(self.state, boot)
        self.membership = Membership(stack, agent, self.state)
        self.publisher = Publisher(stack, agent.member, self.membership, self.state)
        self.collector = FactCollector(
            settings.facts, clock, lambda line: LOG.info("%s", line), stopping
        )
        self._collected: CollectedFacts | None = None
        self.sensitive = SensitiveFacts(stack)
        hooks = Hooks(
            react.hooks, react.hook_timeout, self.state, clock, self.sensitive.redact, stopping
        )
        self.reconciler = Reconciler(
            settings, file_specs(settings), hooks, self.sensitive, self.state, boot
        )
        self._enrolment = connection.enrolment
        self._renewal: tuple[str, GrantRenewal] | None = None
        self._problems: Mapping[str, str] = {}
        self._not_applied: ApplyError | None = None
        self._member_is: tuple[str | None, str] | None = None
        self._telling = threading.Lock()
        self.present = threading.Event()

    def collect(self) -> None:
        """Find out what is to be told."""
        collected = self.collector.collect()
        for source in sorted(collected.problems.keys() - self._problems.keys()):
            LOG.warning("%s is passed over: it %s", source, collected.problems[source])
        self._problems = dict(collected.problems)
        self._collected = collected

    def join(self) -> bool:
        """Be a member, and tell what is known; whether nobody was woken by it.

        :raises FactstoreError: not now.
        """
        self.present.clear()
        self.enrol()
        record = self.membership.join()
        LOG.info(
            "%s is a member of %s, %s",
            record.name,
            self.stack.name,
            "as before" if record.unchanged else f"in the group {record.group}",
        )
        try:
            self.tell()
        except RETRYABLE as error:  # it is told later
            LOG.debug("facts could not be told: %s", error)
        self.present.set()
        return record.unchanged

    def tell(self) -> None:
        """Tell what changed, and which state the member is in.

        :raises FactstoreError: not now, or it is no member any more.
        """
        with self._telling:
            if self._collected is not None:  # else it is not known what to take back
                self.publisher.set_facts(self._collected.with_source(BY_COMMAND, self.said.facts))
            self.publisher.set_results({**self.said.results, **self._report()})
            self.publisher.publish()
            if self.publisher.problems.keys():
                self.publisher.set_results(self._report())
                self.publisher.publish()
            self._tell_state()

    def beat(self) -> bool:
        """Say that it lives, and what is applied; whether it does live.

        :raises FactstoreError: not now.
        """
        try:
            return self.membership.heartbeat(self.reconciler.applied_cursor)
        except Gone:  # the store was restored: its cursors mean nothing any more
            LOG.warning("the service has another store than before; the context is read anew")
            self.reconciler.applied_cursor = None
            raise

    def doubt(self) -> bool:
        """Whether it is a member still, after an answer that says that it is not.

        :raises FactstoreError: not now.
        """
        return self.membership.heartbeat(None)

    def apply(self, context: Context) -> None:
        """Bring the instance in line with a context.

        :raises ApplyError: it could not be.
        :raises FactstoreError: a sealed fact cannot be had now.
        """
        try:
            self.reconciler.store_context(context)
        except OSError as error:
            self._not_applied = ApplyError("state", f"{error.filename}: {error.strerror}")
            raise self._not_applied from error
        try:
            ran = self.reconciler.apply(context)
        except ApplyError as error:
            self._not_applied = error
            raise
        self._not_applied = None
        LOG.log(logging.INFO if ran else logging.DEBUG, "applied the stack at %s", context.cursor)

    def renew(self) -> float | None:
        """Renew the grant if it is time to; in how many seconds to look again, if ever.

        :raises FactstoreError: not now.
        """
        self.enrol()
        if self._enrolment is None:
            return None
        shown = self._enrolment.token
        if self._renewal is None or self._renewal[0] != shown:
            grant = self.stack.grant(self._enrolment.grant_id)
            self._renewal = shown, GrantRenewal(grant, time.time)
        return self._renewal[1].renew_if_due()

    def enrol(self) -> None:
        """Have a grant of this member's own, if that which was given is its group's.

        :raises FactstoreError: not now, or somebody else is known by this name.
        """
        if self._enrolment is not None:
            self._enrolment.ensure()

    def refused(self) -> bool:
        """What was shown does not hold; whether another grant can be got with the group's."""
        return self._enrolment is not None and self._enrolment.discard_rejected_grant()

    def depart(self) -> None:
        """Go, if the service can be told; else it finds out when the ttl is over."""
        try:
            self.membership.depart("stopped")
            LOG.info("%s departed", self.settings.agent.member)
        except RETRYABLE as error:
            LOG.warning("the service could not be told that it departs: %s", error)

    def _tell_state(self) -> None:
        wanted = self.said.requested_state
        if wanted is None:
            if self.settings.agent.ready != "applied" or self.reconciler.applied_cursor is None:
                return
            wanted = "ready"
        now = (self.membership.generation, wanted)
        if self._member_is != now:
            self.membership.set_state(wanted)
            self._member_is = now
            LOG.info("%s is %s", self.settings.agent.member, wanted)

    def _report(self) -> dict[str, Any]:
        """What others may see of how it goes; nothing while nothing went.

        The state is a fact of its own, so that a waiter can test it.
        """
        if (
            self.reconciler.applied_cursor is None
            and self._not_applied is None
            and not self._problems
        ):
            return {}
        problems = {**self._problems, **self.publisher.problems}
        if self._not_applied is not None:
            problems[self._not_applied.source] = self._not_applied.reason
            state = "failed"
        else:
            state = "applied" if self.reconciler.applied_cursor is not None else "starting"
        return {"agent/state": state, "agent/problems": problems}
