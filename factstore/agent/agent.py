"""The agent: its parts, put together as configured, and the steps that combine them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from factstore.agent.apply.composition import build_reconciler
from factstore.agent.apply.errors import ApplyError, TurnRequired
from factstore.agent.apply.sensitive_facts import SensitiveFacts
from factstore.agent.config.settings import Settings
from factstore.agent.errors import RETRYABLE, describe
from factstore.agent.publish.command_facts import CommandFacts
from factstore.agent.publish.publisher import Publisher
from factstore.agent.publish.sources import CollectedFacts, FactCollector
from factstore.agent.session.connection import Connection
from factstore.agent.session.copies import CopyMark
from factstore.agent.session.grant_renewal import GrantRenewal
from factstore.agent.session.hook_turn import make_hook_turn
from factstore.agent.session.membership import HEARTBEATS_PER_TTL, Membership
from factstore.agent.session.read_set import ReadSetUpload
from factstore.agent.session.rejoin_grace import RejoinGrace
from factstore.agent.status import Status
from factstore.agent.system.host_facts import boot_id
from factstore.agent.system.state_dir import StateDir
from factstore.client import Context
from factstore.client.clock import BootClock, Clock
from factstore.client.errors import Gone

LOG = logging.getLogger(__name__)

COMMAND_SOURCE = "factstore-agent put"


class Agent:
    """One agent.  Several threads may use it, but only one may collect and apply.

    :param should_stop: returns True if running programs are to be terminated.
    :param boot_id: returns the id of the current boot.
    :param elapsed: returns seconds that also pass while the machine is suspended; None for the
        system's clock.
    """

    def __init__(
        self,
        settings: Settings,
        connection: Connection,
        clock: Clock,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        boot_id: Callable[[], str] = boot_id,
        elapsed: Callable[[], float] | None = None,
    ) -> None:
        options, react = settings.agent, settings.react
        self.settings = settings
        self.clock = clock
        self._elapsed = elapsed or BootClock().monotonic
        self.stack = connection.stack
        state = StateDir(options.state_dir, (options.stack, options.member))
        state.create()
        self.command_facts = CommandFacts(state, boot_id)
        self.membership = Membership(self.stack, options, state, boot_id)
        self.publisher = Publisher(self.stack, options.member, self.membership, state)
        self._collected_since = False  # the last context that changed something
        self._collector = FactCollector(
            settings.facts,
            clock,
            lambda line: LOG.info("%s", line),
            should_stop,
            connection.local_address,
        )
        sensitive = SensitiveFacts(self.stack)
        self.read_set = ReadSetUpload(self.membership)
        self.reconciler = build_reconciler(
            settings, sensitive, state, clock, self.read_set, boot_id, should_stop
        )
        self.turn = make_hook_turn(settings, self.stack, self.membership, state, clock)
        self._copy_mark = CopyMark(self.stack, options.member)
        self._enrolment = connection.enrolment
        self._renewal: tuple[str, GrantRenewal] | None = None
        self._collected: CollectedFacts | None = None
        self.grace = RejoinGrace(
            react.rejoin_grace,
            options.ttl / HEARTBEATS_PER_TTL,
            self._elapsed,
            self.reconciler.load_context(),
        )
        self.status = Status(
            self.reconciler, self.publisher, self.turn, self.grace, lambda: self.publish()
        )
        self._published_state: tuple[str | None, str] | None = None
        self._publishing = threading.Lock()
        self._facts_sent = False

    @property
    def has_collected(self) -> bool:
        """True after the first collection."""
        return self._collected is not None

    @property
    def is_present(self) -> bool:
        """True while the agent is a member whose facts were sent, so that the context contains them."""
        return self._facts_sent and self.membership.joined

    def collect(self) -> None:
        """Collect the facts for the next :meth:`publish`."""
        collected = self._collector.collect()
        for source in sorted(collected.problems.keys() - self.status.source_problems.keys()):
            LOG.warning("skipping %s, which %s", source, collected.problems[source])
        self.status.source_problems = dict(collected.problems)
        self._collected, self._collected_since = collected, True

    def check_for_copies(self) -> None:
        """Find out whether another agent was started with a copy of this agent's state directory."""
        self.status.copied_to = self._copy_mark.check() if self.membership.joined else None

    def keep_alive(self) -> bool:
        """Send a heartbeat, or join if the agent is not a member; return True if it has joined.

        :raises AgentError: the agent was superseded, or the stack has been deleted.
        :raises FactstoreError: the service cannot answer now.
        """
        self._enrol()
        if self.send_heartbeat():
            return False
        self.join()
        return True

    def join(self) -> None:
        """Join the stack and publish the collected facts.

        :raises AgentError: the agent was superseded, or the stack has been deleted.
        :raises FactstoreError: the service cannot answer now.
        """
        self._facts_sent = False
        self._enrol()
        record = self.membership.join()
        if (
            not record.unchanged
        ):  # this member has expired or is new, so that others may have expired
            self.grace.begin()
        LOG.info(
            "member %s joined stack %s in group %s%s",
            record.name,
            self.stack.name,
            record.group,
            " as before" if record.unchanged else "",
        )
        try:
            self.publish()
        except RETRYABLE as error:  # the facts are published later
            LOG.debug("the facts could not be published: %s", error)
        self._facts_sent = True

    def send_heartbeat(self) -> bool:
        """Send a heartbeat with the applied cursor; return False if the agent is not a member.

        :raises AgentError: the agent was superseded, or the stack has been deleted.
        :raises FactstoreError: the service cannot answer now.
        """
        try:
            applied = self.read_set.reportable(self.reconciler.applied_cursor)
            if not self.membership.heartbeat(applied):
                return False
            self.grace.heartbeat_succeeded()
            return True
        except Gone:
            LOG.warning("the service was restored from a backup; reading the context again")
            self.reconciler.applied_cursor = None
            self.grace.begin()
            raise
        except (*RETRYABLE, OSError):
            self.grace.request_failed()
            raise

    def publish(self) -> None:
        """Publish changed facts, results and the member's state, if the agent is a member.

        :raises FactstoreError: the service cannot answer now, or the agent is no longer a member.
        """
        with self._publishing:
            if not self.membership.joined:
                return
            if self._collected is not None:  # else it is not known which facts were withdrawn
                facts = self._collected.with_source(COMMAND_SOURCE, self.command_facts.facts)
                self.publisher.set_facts(facts)
            self.publisher.set_results({**self.command_facts.results, **self.status.results()})
            self.publisher.publish()
            if self.publisher.problems:
                self.publisher.set_results(self.status.results())
                self.publisher.publish()
            self._publish_state()
            if self._collected_since:
                self.publisher.cause = None

    def apply(self, context: Context, *, fully: bool = False, settle: bool = True) -> bool:
        """Apply a context; return False if that has to wait for the turn, which is then requested.

        If the turn is held, the newest context is applied, because the members that had their turn
        before may have changed it just now, and the turn is given back afterwards.

        :param fully: render also if nothing that is read has changed.
        :param settle: False to write files at once that are to settle first.
        :raises ApplyError: a file or hook failed.
        :raises FilesSettling: a file is held back.
        :raises FactstoreError: a sensitive fact cannot be fetched now, or the turn not be confirmed.
        """
        if not fully and self.reconciler.skip(context):
            return True
        try:
            if self.turn is not None and self.turn.held:
                newest = self.newest_context(context)
                if not self.grace.pause(newest):
                    context = newest
            self.grace.applied(context)
            try:
                self.reconciler.store_context(context)
            except OSError as error:
                raise ApplyError("state", describe(error)) from error
            with self.status.applying():
                changed = self.reconciler.apply(context, self.turn, settle=settle)
        except TurnRequired:
            assert self.turn is not None  # noqa: S101 - else none is required
            self.turn.request()
            return False
        except BaseException as error:
            if isinstance(error, ApplyError):
                self.status.apply_error = error
            self.end_turn()
            raise
        self.status.apply_error = None
        self.end_turn()
        if changed:
            # What is collected next may follow from what was applied.
            self.publisher.cause, self._collected_since = context.cursor, False
        LOG.log(logging.INFO if changed else logging.DEBUG, "applied context %s", context.cursor)
        return True

    def rejoin_pause(self, context: Context) -> float:
        """Return the seconds until a context may be applied; 0 if it may be applied now.

        After an interruption, a context must not be applied before the members that the last one had
        can have joined again.
        """
        return 0.0 if self.reconciler.skip(context) else self.grace.pause(context)

    def newest_context(self, known: Context | None) -> Context:
        """Read the context now, as changes of a known one.

        :raises FactstoreError: the service cannot answer now.
        """
        return self.stack.mirror(member=self.settings.agent.member, known=known).update()

    def end_turn(self) -> None:
        """Give the turn back, or stop waiting for it."""
        if self.turn is not None:
            self.turn.end()

    def renew_grant(self) -> float | None:
        """Renew the grant if that is due; return the seconds until the next call, if there is a grant.

        :raises FactstoreError: the service cannot answer now.
        """
        self._enrol()
        if self._enrolment is None:
            return None
        token = self._enrolment.token
        if self._renewal is None or self._renewal[0] != token:
            grant = self.stack.grant(self._enrolment.grant_id)
            self._renewal = token, GrantRenewal(grant, self._elapsed)
        return self._renewal[1].renew_if_due()

    def discard_rejected_grant(self) -> bool:
        """Return True if another grant can be obtained after the service has rejected this one."""
        return self._enrolment is not None and self._enrolment.discard_rejected_grant()

    def depart(self) -> None:
        """Depart from the stack.  If the service cannot be reached, the member expires instead."""
        try:
            self.membership.depart("stopped")
            LOG.info("member %s departed", self.settings.agent.member)
        except RETRYABLE as error:
            LOG.warning("the member could not depart and will expire: %s", error)

    def _enrol(self) -> None:
        if self._enrolment is not None:
            self._enrolment.ensure()

    def _publish_state(self) -> None:
        state = self.command_facts.requested_state
        if state is None:
            if self.settings.agent.ready != "applied" or self.reconciler.applied_cursor is None:
                return
            state = "ready"
        current = (self.membership.generation, state)
        if self._published_state != current:
            self.membership.set_state(state)
            self._published_state = current
            LOG.info("member %s is %s", self.settings.agent.member, state)
