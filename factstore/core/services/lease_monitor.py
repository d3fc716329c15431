"""Ends monitored leases whose pulse has stopped, unless they were renewed in time after all.

etcd revokes the lease of a pulse when its time is over, and then the member, fact or timer has to go.
But a leader of etcd that was paused, and continues, revokes leases of whose renewals it does not know.
This can only happen to leases that were created before the last election.  So if the term is still the
one in which a pulse was created, it has really stopped.  Otherwise each worker restores the pulses that
it has renewed in time, and answers for the revision up to which it has done so.  It waits for the
results of renewals that are under way.  No worker ends a lease before all others have answered.  A
worker that does not answer may have been lost, with all that it knew: then the lease ends once that
worker has been silent for the lease's time, or the pulse has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from factstore.core.errors import FactstoreError, StorageFull, Unavailable
from factstore.core.lease_store import OtherWorker
from factstore.core.model.counts import counted
from factstore.core.model.cursor import Cursor
from factstore.core.model.fact import Scope
from factstore.core.model.pulse import pulse_lease
from factstore.core.operations.pulses import EndPulses, RestorePulses
from factstore.core.operations.transactor import Transactor
from factstore.core.ports import Clock, Store, WakeUp
from factstore.core.services.control_loop import ControlLoop
from factstore.core.services.expired_pulses import revoke_expired_pulses
from factstore.core.services.stopped_leases import (
    Seen,
    Stopped,
    StoppedLeases,
    find_stopped,
    in_turns,
    still_stopped,
)
from factstore.core.state.stack_leases import Stop

LOG = logging.getLogger(__name__)

PERIOD = 0.5  # seconds between rounds
GRACE_SECONDS = 2.5  # in which renewals end that were under way
RESTORED_PER_SECOND = 20  # at least, by each worker
NEW_WORKER_SECONDS = 60  # at most, in which a new worker waits for the renewals that it missed
SIGN_SECONDS = 1.0  # between signs of life
SILENCE_MARGIN = 5.0  # seconds for which a worker may pass on renewals after its last sign of life
FORGET_SECONDS = 300.0
SHORTEST_PAUSE = 0.05  # seconds between rounds that take long
LEASES = 50  # in one transaction, with two guards for each
AT_ONCE = 2  # transactions: one is decided while etcd revokes the leases of another
BURST = (
    200  # stopped pulses at once, after which etcd may be late; it revokes up to 500 leases at once
)


class LeaseMonitor(ControlLoop):
    """A thread that ends the monitored leases of members and facts.

    :param timeout: seconds after which a call to the store counts as failed.
    """

    name = "lease-monitor"
    delayed = "no lease is ended yet"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        timeout: float,
        transactor: Transactor,
        new_wake_up: Callable[[], WakeUp],
    ) -> None:
        super().__init__(new_wake_up, PERIOD)
        self._store = store
        self._clock = clock
        self._timeout = timeout
        self._transactor = transactor
        self._stopped_since: dict[tuple[int, int], Seen] = {}
        self._sign_at = 0.0
        self._epoch = ""
        self._answered = -1
        self._others: list[OtherWorker] | None = None
        self._most = 0  # leases that were stopped at a time, since none was
        self._started_at = 0.0
        self._forget_at = 0.0

    def start(self) -> None:
        """Start the thread."""
        with suppress(FactstoreError):  # it is repeated
            self._sign(self._clock.monotonic())
        super().start()

    def run_round(self) -> float:
        """Restore and end what is due, and return the seconds until the next round."""
        began = self._clock.monotonic()
        self.run_once()
        return max(SHORTEST_PAUSE, PERIOD - (self._clock.monotonic() - began))

    def run_once(self) -> None:
        """Restore the pulses that were renewed in time, and end the leases that were not."""
        state, now = self._store.state(), self._clock.monotonic()
        if state.epoch != self._epoch:
            self._begin(state.epoch, now)
        self._sign(now)
        with state.read():
            revision = state.revision
            found = find_stopped(state)
            if now >= self._forget_at:
                self._forget_at = now + FORGET_SECONDS
                used = [stack_state.leases.owners for stack_state in state.all_stacks()]
                self._store.forget_renewals(set().union(*used))
        since = self._stopped_since
        self._stopped_since = {
            each.key: since.get(each.key, Seen(now, revision))
            for _, stopped in found
            for each in stopped
        }
        self._most = max(self._most, len(self._stopped_since)) if found else 0
        if not found:
            return
        # Their results are not known yet, and count once they are.
        under_way = self._store.renewals_under_way()
        term = self._store.term(now + self._timeout)
        complete = self._settle_all(found, under_way, term, now)
        asked = max(
            (e.stop.at for _, stopped in found for e in stopped if e.term != term), default=-1
        )
        if complete and asked > self._answered:
            self._store.answer_roll(Cursor(state.epoch, revision), now + self._timeout)
            self._answered = revision
        if len(self._stopped_since) >= BURST:
            scopes = [scope for scope, _ in found]
            revoke_expired_pulses(self._store, self._clock, scopes, term, self._timeout)

    def _begin(self, epoch: str, now: float) -> None:
        """Be a new worker of a store, which may be one that was restored from a backup."""
        self._epoch, self._started_at, self._sign_at = epoch, now, 0.0
        self._stopped_since, self._answered, self._most = {}, -1, 0

    def _sign(self, now: float) -> None:
        if now >= self._sign_at:
            self._store.sign_roll(now + self._timeout)
            self._sign_at = now + SIGN_SECONDS

    def _settle_all(
        self, found: Sequence[StoppedLeases], under_way: Collection[int], term: int, now: float
    ) -> bool:
        """Restore or end the leases of all stacks that are due.

        :param under_way: leases with a renewal whose result is not known.
        :return: False if some leases are left for the next round.
        """
        self._others = None

        def settle(part: StoppedLeases) -> bool:
            scope, _ = part
            stopped = still_stopped(self._store.state(), part)
            ready = [
                each
                for each in stopped
                if each.key in self._stopped_since and each.lease not in under_way
            ]
            try:
                self._settle(scope, ready, term, now)
            except FactstoreError as error:
                if error.code == Unavailable.code:
                    raise
                LOG.info("no lease of stack %s is ended yet: %s", scope.stack, error)
                return False
            return len(ready) == len(stopped)

        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix=self.name) as pool:
            return all(list(pool.map(settle, in_turns(found, LEASES))))

    def _settle(self, scope: Scope, stopped: Sequence[Stopped], term: int, now: float) -> None:
        """Restore or end the leases of a stack that are due."""
        renewed: list[int] = []
        due: list[Stopped] = []
        revoked: list[int] = []
        for each in stopped:
            if self._clock.monotonic() - self._store.last_renewal(each.lease) < each.ttl:
                renewed.append(each.lease)
            elif each.ended:
                # Its worker is revoking it, unless that has been stopped.
                revoked += [each.lease] if self._has_waited(each, now) else []
            elif each.term == term or (self._has_waited(each, now) and self._is_silent(each, now)):
                due.append(each)
        # The lease of a pulse whose record could not be written is renewed nevertheless.
        both = [lease for each in due for lease in (each.lease, pulse_lease(each.lease))]
        ages = self._store.seconds_since_renewals(both, self._clock.monotonic() + self._timeout)
        silent: dict[int, Stop] = {}
        for each, late in zip(due, map(min, ages[::2], ages[1::2]), strict=True):
            if late < each.ttl:
                renewed.append(each.lease)
            else:
                silent[each.lease] = each.stop
        if renewed:
            # Without an election, somebody else has revoked them, or a request has replaced them.
            elected = any(each.term != term for each in stopped if each.lease in renewed)
            LOG.log(
                logging.WARNING if elected else logging.INFO,
                "restored %s of stack %s, renewed in time, but revoked%s",
                counted(len(renewed), "lease"),
                scope.stack,
                " by a former leader of etcd" if elected else "",
            )
            self._transactor.run(RestorePulses(scope, renewed), self._epoch)
        if silent:
            try:
                ended = self._transactor.run(EndPulses(scope, silent), self._epoch).outcome
                if ended:
                    LOG.info(
                        "%d leases of stack %s were not renewed; they end", len(ended), scope.stack
                    )
                revoked += ended
            except StorageFull:
                revoked += silent  # nothing can be written, but leases can be revoked
        # Not before that was decided: a pulse that a heartbeat has restored meanwhile must not stop.
        if revoked and self._store.state().epoch == self._epoch:
            # First those of the pulses, so that no renewal succeeds any more.
            for leases in (list(map(pulse_lease, revoked)), revoked):
                self._store.revoke_leases(leases, self._clock.monotonic() + self._timeout)

    def _has_waited(self, stopped: Stopped, now: float) -> bool:
        """Return True if renewals that were under way when a pulse stopped have ended."""
        is_new = now - self._started_at < min(stopped.ttl, NEW_WORKER_SECONDS)
        return not is_new and now - self._stopped_since[stopped.key].instant >= GRACE_SECONDS

    def _is_silent(self, stopped: Stopped, now: float) -> bool:
        """Return True if no worker, not even one that was lost, can have renewed a lease in time."""
        seen = self._stopped_since[stopped.key]
        # Workers that do not answer have time to restore all pulses that stopped together.
        longest = max(stopped.ttl, self._most / RESTORED_PER_SECOND)
        if now - seen.instant >= longest + GRACE_SECONDS:
            return True
        if self._others is None:
            self._others = self._store.other_workers(self._clock.monotonic() + self._timeout)
        return all(
            other.answered >= (stopped.stop.at or seen.revision)
            or other.silent_seconds >= stopped.ttl + SILENCE_MARGIN
            for other in self._others
        )
