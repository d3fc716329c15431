"""The running agent: its tasks, in workers that do not wait for each other.

The main worker collects facts, publishes them and applies contexts, one after the other: hooks never
overlap, and all changes during a hook result in one further run.  The session worker sends heartbeats
and renews the grant, also while a hook runs.  The watch worker waits for the context to change.  The
turn worker waits for the turn to run hooks, if they need one.  Further workers run configurations and
actions.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType

from factstore.agent.agent import Agent
from factstore.agent.apply.errors import ApplyError, FilesSettling
from factstore.agent.deploy.deployers import make_deployers
from factstore.agent.error_log import ErrorLog
from factstore.agent.errors import EXIT_OK, RETRYABLE, Misconfigured, StackDeleted
from factstore.agent.scheduler import LONGEST_PAUSE, Worker
from factstore.agent.session.context_watcher import ContextWatcher
from factstore.agent.session.credential import choose_credential
from factstore.agent.session.membership import HEARTBEATS_PER_TTL
from factstore.agent.session.turn import give_back_abandoned
from factstore.agent.system.sd_notify import notify
from factstore.client import Context
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock
from factstore.client.errors import Unauthorized
from factstore.client.transport import LONGEST_WAIT

LOG = logging.getLogger(__name__)

FIRST_FACTS_SECONDS = 2.0  # the join waits this long for the first facts, to publish them at once
STOP_SECONDS = 12.0  # the agent waits this long for a heartbeat before it departs
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Daemon:
    """Runs an agent until it is stopped.

    :param make_agent: returns the agent; its argument returns True if programs are to be terminated.
    :param can_reload: returns True if the configuration on disk is valid.
    :param jitter: returns numbers from 0 to 1.
    :ivar reload: True if the program is to be executed again, as the same member.
    """

    def __init__(
        self,
        make_agent: Callable[[Callable[[], bool]], Agent],
        environ: Mapping[str, str],
        clock: Clock,
        can_reload: Callable[[], bool],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.reload = False
        self._stop = False
        self._error: BaseException | None = None
        self._agent = agent = make_agent(lambda: self._stop)
        self._settings = settings = agent.settings
        self._environ = environ
        self._credential = choose_credential(settings, environ)
        self._can_reload = can_reload
        self._jitter = jitter
        self._stored = agent.reconciler.load_context()
        self._fallback: Context | None = None  # the stored context, during an outage at the start
        self._watcher = ContextWatcher(
            settings,
            agent.stack,
            agent.membership,
            agent.read_set,
            lambda: agent.reconciler.applied_cursor,
            clock,
            self._stored,
            self._on_change,
        )

        error_log = ErrorLog(clock)
        retryable: tuple[type[Exception], ...] = (*RETRYABLE, ApplyError, OSError)
        if not settings.agent.end_with_stack:
            retryable += (StackDeleted,)
        self._main, self._session, self._watch, self._turn = (
            Worker(clock, error_log, retryable) for _ in range(4)
        )
        react = settings.react
        self._reload_task = self._main.add("reload", self._reload)
        self._collect_task = self._main.add("fact collection", self._collect)
        self._publish_task = self._main.add("publication", self._publish)
        self._apply_task = self._main.add(
            "reconciliation", self._apply, Backoff(react.retry_first, react.retry_longest)
        )
        self._full_render_task = self._main.add("full render", self._render_fully)
        self._interval = settings.agent.ttl / HEARTBEATS_PER_TTL
        self._heartbeat_task = self._session.add(
            "heartbeat", self._heartbeat, longest_pause=min(self._interval, LONGEST_PAUSE)
        )
        self._renewal_task = self._session.add("grant renewal", agent.renew_grant)
        self._watch_task = self._watch.add("context watch", self._poll)
        self._turn_task = self._turn.add("turn", self._wait_for_turn)
        self._deploying = []
        for name, deployer in make_deployers(
            settings, agent.stack, lambda: agent.is_present, clock
        ):
            worker = Worker(clock, error_log, retryable)
            worker.request(worker.add(name, deployer.step))
            self._deploying.append(worker)

    def run(self) -> int:
        """Run until a signal or an error ends the agent; return the exit status.

        :raises AgentError: the agent cannot continue.
        """
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        session = threading.Thread(target=self._run, args=[self._session], daemon=True)
        others = [
            threading.Thread(target=self._run, args=[worker], daemon=True)
            for worker in (self._watch, self._turn, *self._deploying)
        ]
        self._main.request(self._collect_task)
        if self._settings.react.full_render:
            self._main.request(self._full_render_task, self._full_render_pause)
        self._session.request(self._heartbeat_task, FIRST_FACTS_SECONDS)
        self._session.request(self._renewal_task)
        session.start()
        for other in others:
            other.start()
        notify(READY="1", STATUS="connecting to the service")
        self._run(self._main)
        if not self.reload:
            notify(STOPPING="1")
        self._session.stop()
        session.join(STOP_SECONDS)
        if isinstance(self._error, StackDeleted):
            LOG.info("%s The agent ends with its stack.", self._error)
            return EXIT_OK
        if self._error is not None:
            raise self._error
        if self._stop and self._settings.agent.depart_on_stop:
            self._agent.depart()
        else:
            self._agent.end_turn()
        return EXIT_OK

    def _run(self, worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - run() raises it in the main thread
            self._error = self._error or error
            self._main.stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._main.request(self._collect_task)
        elif number == signal.SIGHUP:
            self._main.request(self._reload_task)
        else:
            self._stop = True
            self._main.stop()

    # The session worker

    def _heartbeat(self) -> float:
        try:
            if self._agent.keep_alive():
                self._main.request(self._publish_task)
                self._watch.request(self._watch_task)
        except (*RETRYABLE, OSError, StackDeleted) as error:
            if isinstance(error, Unauthorized) and not self._agent.discard_rejected_grant():
                self._check_credential()
            if self._fallback is None and self._watcher.latest is None and self._stored:
                LOG.warning("continuing with the stored context %s", self._stored.cursor)
                self._fallback = self._stored
                self._main.request(self._apply_task)
            raise
        return self._interval

    def _check_credential(self) -> None:
        """Reload if another credential has been configured."""
        try:
            if choose_credential(self._settings, self._environ) == self._credential:
                return
        except Misconfigured as error:
            LOG.debug("the credential was not reloaded: %s", error)
            return
        LOG.info("reloading, because the credential has changed")
        self.reload = True
        self._main.stop()

    # The watch worker

    def _poll(self) -> float | None:
        # After the agent has joined again, the watch is requested again.
        if not self._agent.is_present:
            return None
        try:
            return self._watcher.poll()
        except (*RETRYABLE, OSError):
            self._agent.grace.request_failed()
            raise

    def _on_change(self, context: Context, previous: Context | None) -> None:
        self._agent.grace.request_succeeded()  # before the context is applied
        splayed = previous is not None and previous.etag != context.etag
        delay = self._settings.react.splay * self._jitter() if splayed else 0.0
        self._main.request(self._apply_task, delay)

    # The turn worker

    def _wait_for_turn(self) -> float | None:
        turn = self._agent.turn
        pause = turn.poll(LONGEST_WAIT) if turn is not None else None
        if pause is None:
            self._main.request(self._apply_task)
        return pause

    # The main worker

    def _reload(self) -> None:
        if self._can_reload():
            self.reload = True
            self._main.stop()

    def _collect(self) -> float:
        first = not self._agent.has_collected
        self._agent.collect()
        self._give_back_abandoned_turns()
        self._agent.check_for_copies()
        if first:
            self._session.request(self._heartbeat_task)
        if self._agent.reconciler.drifted():
            self._main.request(self._apply_task)
        self._main.request(self._publish_task)
        return self._settings.facts.interval

    def _give_back_abandoned_turns(self) -> None:
        generation, options = self._agent.membership.generation, self._settings.agent
        if generation is None or not self._agent.membership.joined:
            return
        # A hook of a killed agent may still run in the group's turn until a context was applied.
        applied = self._agent.reconciler.applied_cursor is not None
        own = () if applied else (options.group,)
        give_back_abandoned(self._agent.stack, options, generation, except_for=own)

    def _publish(self) -> None:
        self._agent.publish()
        if not self._agent.membership.joined:
            return
        if self._watcher.polling:
            self._session.request(self._heartbeat_task)  # reports the applied cursor
        else:  # the next poll reports it
            self._watch.request(self._watch_task)

    @property
    def _full_render_pause(self) -> float:
        # Spread over time, because many agents are started at once.
        return self._settings.react.full_render * (0.5 + self._jitter())

    def _render_fully(self) -> float:
        if self._agent.reconciler.applied_cursor is not None:
            self._apply(fully=True)
        return self._full_render_pause

    def _apply(self, *, fully: bool = False) -> None:
        context = self._watcher.latest or self._fallback
        if context is None:
            return
        pause = self._agent.rejoin_pause(context)
        if pause:
            self._agent.end_turn()
            self._main.request(self._apply_task, pause)
            self._main.request(self._publish_task)
            notify(STATUS="waiting for members to join again")
            return
        try:
            if not self._agent.apply(context, fully=fully):
                self._turn.request(self._turn_task)
                return
        except FilesSettling as settling:
            self._main.request(self._apply_task, settling.pause)
            return
        finally:
            self._main.request(self._publish_task)
        agent = self._settings.agent
        notify(STATUS=f"{agent.member} of {agent.stack}: applied {context.cursor}")
