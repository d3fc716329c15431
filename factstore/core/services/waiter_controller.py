"""Writes down what waiters came to, so that each arming has exactly one end.

Every worker finds the verdicts, at the same revisions; a guard on the arming lets one of them write.
It also starts the time of waiters anew that made progress, and marks what went from a stack, because
a state that is loaded could not tell.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from factstore.core.errors import CursorExpired, FactstoreError
from factstore.core.model.event import DELETION_MARKER, DeletionMarker
from factstore.core.model.fact import Stack
from factstore.core.model.record_key import RecordKey
from factstore.core.model.waiter import Waiter
from factstore.core.ports import Clock, Store, Transaction, WakeUp
from factstore.core.state.pending_waiters import Outcome

LOG = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0  # until what could not be written, or was not urgent, is tried again
STOP_SECONDS = 5.0


class WaiterController:
    """A thread that writes verdicts down.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    def __init__(
        self, store: Store, clock: Clock, timeout: float, new_signal: Callable[[], WakeUp]
    ) -> None:
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._new_signal = new_signal
        self._wanted = new_signal()
        self._stopping = False
        self._marked_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="referee", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the round at hand."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def notice(self) -> None:
        """There is something to write down."""
        self._wanted.set()

    def _run(self) -> None:
        left = False
        while True:
            self._wanted.wait(AGAIN_SECONDS if left else None)
            self._wanted = self._new_signal()
            if self._stopping:
                return
            try:
                left = self.round()
            except FactstoreError as error:
                LOG.info("verdicts wait: %s", error)
                left = True
            except Exception:
                LOG.exception("a verdict could not be written; it is tried again")
                left = True

    def round(self) -> bool:
        """Write down all that there is; whether something is left."""
        state = self._store.state()
        now = self._clock.monotonic()
        marks = now - self._marked_at >= AGAIN_SECONDS
        for space in state.busy():
            with state.read():
                verdicts = list(space.pendings.verdicts.values())
                advanced = list(space.pendings.advanced.values())
                space.pendings.advanced.clear()
                dropped = space.unmarked if marks else 0
                mark = space.tables["mark"].get(DELETION_MARKER.name)
            for waiter in advanced:
                self._extend(waiter)
            for verdict in verdicts:
                self._write(verdict, state.epoch)
            if dropped:
                self._marked_at = now
                known = mark.revision if mark else 0
                self._mark(space.stack, DeletionMarker(dropped), known, state.epoch)
        return bool(state.busy())

    def _extend(self, waiter: Waiter) -> None:
        with suppress(FactstoreError):  # the time goes on as it did
            self._store.renew_lease(waiter.timer, self._deadline())

    def _write(self, verdict: Outcome, epoch: str) -> None:
        waiter = verdict.waiter
        ended = replace(
            waiter,
            state=verdict.state,
            decided_at=self._clock.timestamp(),
            decided_revision=verdict.revision,
            reason=verdict.reason,
            progress=verdict.progress,
            timer=0,
        )
        commit = Transaction(
            verdict.stack,
            verdict.revision,
            epoch,
            guards={waiter.record_key: waiter.revision},
            records=(ended,),
            removes=(RecordKey("timer", waiter.name),),
        )
        if self._store.commit(commit, self._deadline()) is not None:
            with suppress(FactstoreError):  # it ends by itself
                self._store.revoke_lease(waiter.timer, self._deadline())

    def _mark(self, stack: Stack, mark: DeletionMarker, known: int, epoch: str) -> None:
        commit = Transaction(
            stack, mark.seen, epoch, guards={DELETION_MARKER: known}, records=(mark,)
        )
        with suppress(CursorExpired):
            self._store.commit(commit, self._deadline())

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._timeout
