"""The agent as it runs: one thread lives, one looks, and one does what there is to do.

The main thread collects, tells and applies, one thing after the other: so what happens while a hook
runs becomes one further run.  Signals and the other threads wake it with a word.
"""

from __future__ import annotations

import logging
import queue
import random
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType

from factstore.agent.agent import Parts
from factstore.agent.apply.reconciler import ApplyError
from factstore.agent.error_log import Troubles
from factstore.agent.errors import EXIT_OK, RETRYABLE, AgentError, Misconfigured, StackDeleted
from factstore.agent.loops import ALONE, CONTEXT, JOINED, LONGEST_PAUSE, UNAUTHORIZED, Eye, Heart
from factstore.agent.scheduler import Chore
from factstore.agent.session.connection import load_credential
from factstore.agent.system.sd_notify import notify
from factstore.client import Context
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock

LOG = logging.getLogger(__name__)

FIRST_FACTS_SECONDS = 2.0  # for which the first join waits for what there is to tell
STOP_SECONDS = 12.0  # for which the end waits for the heart
STOP, RELOAD, COLLECT = "stop", "reload", "collect"

SIGNALS: Mapping[signal.Signals, str] = {
    signal.SIGTERM: STOP,
    signal.SIGINT: STOP,
    signal.SIGHUP: RELOAD,
    signal.SIGUSR1: COLLECT,
}


class Daemon:
    """Runs an agent until it is told to stop.

    :param parts: makes the agent's parts, given what tells them to stop.
    :param reloadable: whether the agent may be started anew, as its configuration is now.
    :param jitter: numbers from 0 to 1.
    :ivar reload: whether it ended so as to be started anew, as the same member.
    """

    def __init__(
        self,
        parts: Callable[[Callable[[], bool]], Parts],
        environ: Mapping[str, str],
        clock: Clock,
        reloadable: Callable[[], bool],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.reload = False
        self._stop = False
        self._parts = parts(lambda: self._stop)
        self._settings = settings = self._parts.settings
        self._environ = environ
        self._credential = load_credential(settings, environ)
        self._clock = clock
        self._reloadable = reloadable
        self._jitter = jitter
        self._words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._first_facts = threading.Event()
        self._end: BaseException | None = None
        self._troubles = Troubles(clock)
        self._kept = self._parts.reconciler.load_context()
        self._heart = Heart(self._parts, self._troubles, self._words.put)
        self._eye = Eye(self._parts, self._troubles, clock, self._words.put, self._kept)
        self._context: Context | None = None
        self._done: str | None = None
        react = settings.react
        self._collecting = self._chore("collecting facts", self._collect)
        self._telling = self._chore("telling the service", self._tell)
        self._applying = self._chore(
            "applying the stack", self._apply, Backoff(react.retry_first, react.retry_longest)
        )
        self._renewing = self._chore("renewing the grant", self._parts.renew)

    def run(self) -> int:
        """Be the agent until a signal, or something that it cannot go on with.

        :raises AgentError: it cannot go on.
        """
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        heart = self._thread(self._live, "heart")
        self._thread(self._look, "eye")
        notify(READY="1", STATUS="looking for the service")
        self._collecting.ask()
        self._renewing.ask()
        while self._end is None and not self._stop and not self.reload:
            self._attend()
        self._stopped.set()
        if not self.reload:
            notify(STOPPING="1")
        heart.join(STOP_SECONDS)
        if isinstance(self._end, StackDeleted):
            LOG.info("ends with its stack")
            return EXIT_OK
        if self._end is not None:
            raise self._end
        if self._stop and self._settings.agent.depart_on_stop:
            self._parts.depart()
        return EXIT_OK

    # The main thread

    def _chore(
        self, what: str, action: Callable[[], float | None], backoff: Backoff | None = None
    ) -> Chore:
        return Chore(what, action, self._clock, backoff or Backoff(1.0, LONGEST_PAUSE))

    def _attend(self) -> None:
        """Do what is due, then wait for the next thing or a word."""
        chores = (self._collecting, self._telling, self._applying, self._renewing)
        for chore in chores:
            if self._stop:
                return
            try:
                if chore.attend():
                    self._troubles.over(chore.what)
            except (*RETRYABLE, ApplyError, OSError) as error:
                self._troubles.tell(chore.what, error)
            except AgentError as error:
                self._end_with(error)
        left = min(chore.due for chore in chores) - self._clock.monotonic()
        try:
            word = self._words.get(timeout=min(max(left, 0.0), 3600.0))
            while True:
                self._hear(word)
                word = self._words.get_nowait()
        except queue.Empty:
            return

    def _hear(self, word: str) -> None:
        if word == COLLECT:
            self._collecting.ask()
        elif word == JOINED:
            self._telling.ask()
        elif word == CONTEXT:
            self._on_context()
        elif word == ALONE and self._context is None and self._kept is not None:
            LOG.warning("goes on with the context of an earlier time, at %s", self._kept.cursor)
            self._context = self._kept
            self._applying.ask()
        elif word == UNAUTHORIZED:
            self.reload = self.reload or self._has_other_credential()
        elif word == RELOAD:
            self.reload = self.reload or self._reloadable()

    def _has_other_credential(self) -> bool:
        try:
            if load_credential(self._settings, self._environ) == self._credential:
                return False
        except Misconfigured as error:
            self._troubles.tell("another credential", error)
            return False
        LOG.info("there is another credential: begins anew with it")
        return True

    def _on_context(self) -> None:
        context, before = self._eye.latest, self._context
        if context is None:
            return
        self._context = context
        if context.etag == self._done:  # nothing shows of what changed: it is applied
            self._parts.reconciler.applied_cursor = context.cursor
            self._telling.ask()
        elif before is None or not self._settings.react.splay:
            self._applying.ask()
        else:
            self._applying.ask(self._settings.react.splay * self._jitter())

    def _collect(self) -> float:
        self._parts.collect()
        self._first_facts.set()
        self._telling.ask()
        return self._settings.facts.interval

    def _tell(self) -> None:
        if self._parts.membership.joined.is_set():
            self._parts.tell()
            self._parts.beat()

    def _apply(self) -> None:
        context = self._context
        if context is None or context.etag == self._done:
            return
        self._done = None  # also what was done before is not any more
        try:
            self._parts.apply(context)
            self._done = context.etag
        finally:
            self._telling.ask()
        agent = self._settings.agent
        notify(STATUS=f"{agent.member} of {agent.stack}: applied {context.cursor}")

    # The others

    def _thread(self, what: Callable[[], None], name: str) -> threading.Thread:
        def run() -> None:
            try:
                what()
            except BaseException as error:  # noqa: BLE001 - the main thread raises it
                self._end_with(error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _end_with(self, error: BaseException) -> None:
        """End for a reason, unless the agent is to wait for its stack to come back."""
        if not isinstance(error, StackDeleted) or self._settings.agent.end_with_stack:
            self._end = error
            self._words.put(STOP)

    def _live(self) -> None:
        self._first_facts.wait(FIRST_FACTS_SECONDS)
        while not self._stopped.is_set():
            self._stopped.wait(self._heart.step())

    def _look(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self._eye.step())

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        word = SIGNALS[signal.Signals(number)]
        self._stop = self._stop or word == STOP
        self._words.put(word)
