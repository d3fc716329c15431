"""The steps of the lease machine, and what they promise."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from factstore.core.errors import Conflict, NotFound, Unavailable
from factstore.core.model.fact import Put
from factstore.core.model.pulse import Pulse, has_pulse, pulse_key, pulse_lease
from factstore.core.operations.idempotency import Idempotency
from factstore.core.services.lease_monitor import GRACE_SECONDS, NEW_WORKER_SECONDS, SILENCE_MARGIN
from factstore.core.state.state import State
from factstore.store.etcd_leases import LEASE_MARGIN
from factstore.store.keyspace import Keyspace
from tests.contract.lease_world import HeldWorker, Leases
from tests.contract.membership import join
from tests.contract.stepwise_calls import Killed, StepwiseCall
from tests.contract.world import TIMEOUT, author, new_scope
from tests.patient_client import PatientClient
from tests.unit.core.factories import ManualClock

NAMES = ("a", "b")
PATHS = ("f", "g")
MEMBER_TTL = 20
LONGEST_TTL = 30
WORKERS = 3
KEY = Idempotency("k" * 64, "f" * 64)
_values = itertools.count(1)


class Promise:
    """The promises about one member or fact.

    :ivar until: the instant until which it does not end.
    :ivar changes: begun and ended, of those that replace it.
    """

    def __init__(self) -> None:
        self.until = -math.inf
        self.generation = ""
        self.values: set[str] = set()
        self.changes = 0
        self.running = 0
        self.begun = 0
        self.is_repeatable = False

    def replace(self) -> None:
        """Promise nothing any more, because something replaces or may have replaced it."""
        self.changes += 1
        self.until = -math.inf

    def renew(self, changes: int, until: float) -> None:
        """Promise more, unless something else has begun since so many changes."""
        if self.changes == changes and not self.running:
            self.until = max(self.until, until)


class LeaseSite:
    """An etcd with workers, which many machines use one after the other."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.clock = ManualClock()
        self.clock.now = time.monotonic() + 10_000
        self.keys = Keyspace(f"/test/lease-machine-{time.time_ns()}")
        self.raw = PatientClient([endpoint], HeldWorker.credentials)
        self.leases = Leases(self.clock, self.raw)
        self.observer = self.worker()
        self.workers = [self.worker() for _ in range(WORKERS)]

    def worker(self) -> HeldWorker:
        return HeldWorker(self.endpoint, self.keys, self.clock, self.leases)

    def close(self) -> None:
        for worker in (self.observer, *self.workers):
            worker.stop()
        self.leases.forget_all()
        self.raw.close()


class LeaseMachine:
    """One run of steps."""

    def __init__(self, site: LeaseSite) -> None:
        self.site = site
        self.clock, self.leases, self.workers = site.clock, site.leases, site.workers
        self.clock.now = max(self.clock.now, time.monotonic()) + 10_000
        self.scope = new_scope()
        self.promises = {name: Promise() for name in (*NAMES, *PATHS)}
        self.renewed: dict[int, tuple[str, int, float]] = {}  # owners, their changes, and the ends
        self.started: list[tuple[HeldWorker, Any, Callable[[bool], object]]] = []
        self.log: list[str] = []
        self.calls: list[tuple[StepwiseCall, HeldWorker]] = []
        self._running: tuple[StepwiseCall, HeldWorker] | None = None
        self._began = self.clock.now
        self.leases.renewed = self._note_renewal
        for worker in self.workers:
            worker.renew_monitor()
            worker.lease_monitor.run_once()
        self.clock.advance(NEW_WORKER_SECONDS + 1)
        for worker in self.workers:
            self._adopt(worker)
        self.workers[0].put(self.scope, "seed")
        for name in NAMES:
            self.join(0, name, "key")
        self.put(1, PATHS, False, MEMBER_TTL)
        # A former leader has seen no renewal but the first, and calls all leases over.
        self.elect()
        self.advance(MEMBER_TTL / 2 + 1)
        for name in NAMES:
            self.heartbeat(0, name, True)
        self.put(0, PATHS, True, MEMBER_TTL)
        # The promises are over, but what is renewed now is renewed in time.
        self.advance(MEMBER_TTL + LEASE_MARGIN / 2)
        self.see_all()

    def _adopt(self, worker: HeldWorker) -> None:
        worker.client.point = lambda name: self._point(worker, name)
        worker.backend.hold(worker.store.refresh(self.deadline()).revision)

    def close(self) -> None:
        self.leases.renewed = lambda lease: None
        while self.calls:
            with suppress(Exception):  # one that has failed already
                self.resume(0, None)
        for worker in self.workers:
            worker.client.point = lambda name: None
            worker.client.started.clear()
            worker.backend.see(math.inf)
        self.leases.forget_all()
        self.site.observer.stacks.delete(self.scope, author())

    # Running

    def run(self, step: Sequence[Any], points: int | None = None) -> None:
        """Take a step; a call of a worker stops after so many points, unless it ends before."""
        self.log.append(f"{self.clock.now - self._began:.1f} {step} {points}")
        action = getattr(self, step[0])
        if step[0] in _CALLS:
            worker = self.workers[step[1]]
            others = [call for call, of in self.calls if of is worker]
            # A call that waits for a write of its own worker would wait forever.
            if others and (worker.writes or step[0] != "round" or len(others) > 1):
                return
            call = StepwiseCall(lambda: action(*step[1:]))
            self._resume(call, worker, None if others else points)
        else:
            action(*step[1:])
        self.check()

    def resume(self, number: int, points: int | None) -> None:
        """Let a call continue."""
        if number < len(self.calls):
            self._resume(*self.calls.pop(number), points)

    def _resume(self, call: StepwiseCall, worker: HeldWorker, points: int | None) -> None:
        self._running = call, worker
        try:
            call.resume(points)
        finally:
            self._running = None
        if call.at:
            self.log.append(f"  stopped at {call.at}")
            self.calls.append((call, worker))

    def _point(self, worker: HeldWorker, name: str) -> None:
        if worker not in self.workers:
            raise Killed
        if self._running is not None and self._running[1] is worker:
            self._running[0].point(name)
            if worker not in self.workers:
                raise Killed

    # Steps

    def heartbeat(self, w: int, name: str, stated: bool) -> None:
        promise = self.promises[name]
        generation = promise.generation if stated else None
        worker = self.workers[w]
        self._renew(
            promise,
            lambda: worker.members.heartbeat(self.scope, name, generation, None),
            MEMBER_TTL,
        )

    def _renew(self, promise: Promise, request: Callable[[], object], ttl: int) -> None:
        began, changes = self.clock.now, promise.changes
        due = promise.until
        try:
            request()
        except (NotFound, Conflict) as refused:
            self.log.append(f"  refused: {refused}")
            if promise.changes == changes and not promise.running:
                assert max(due, promise.until) <= self.clock.now, "a promise was broken"
            return
        except Unavailable as error:
            self.log.append(f"  failed: {error}")
            return
        promise.renew(changes, began + ttl)

    def start_heartbeat(self, w: int, name: str) -> None:
        worker, promise = self.workers[w], self.promises[name]
        began, changes = self.clock.now, promise.changes
        count = len(worker.client.started)

        def ended(done: bool) -> None:
            self.log.append(f"  answered: {done}")
            if done:
                promise.renew(changes, began + MEMBER_TTL)

        if worker.members.start_heartbeat(self.scope, name, None, None, ended):
            assert len(worker.client.started) == count + 1
            self.started.append((worker, worker.client.started[-1], ended))

    def arrive(self, i: int) -> None:
        if i < len(self.started):
            self.started[i][1].arrive()

    def answer(self, i: int) -> None:
        if i < len(self.started):
            _, renewal, _ = self.started.pop(i)
            renewal.answer()

    def put(self, w: int, paths: Sequence[str], same: bool, ttl: int) -> None:
        worker, puts = self.workers[w], []
        began = self.clock.now
        for path in paths:
            promise = self.promises[path]
            value = min(promise.values) if same and len(promise.values) == 1 else str(next(_values))
            puts.append(Put.of(path, int(value), "observed", ttl))
            promise.values.add(value)
            promise.begun += 1
            promise.running += 1
        # Of writes that overlap, nobody knows which was the last one.
        begun = [
            self.promises[path].begun if self.promises[path].running == 1 else -1 for path in paths
        ]
        try:
            done = worker.facts.batch(self.scope, puts, [], author())
        except (Conflict, Unavailable) as error:
            self.log.append(f"  failed: {error}")
            done = None
        finally:
            for path in paths:
                self.promises[path].running -= 1
        self.log.append(f"  {done and [(r.outcome, r.path) for r in done.results]}")
        for put, number in zip(puts, begun, strict=True):
            promise = self.promises[put.path]
            if done is not None:
                promise.until = max(promise.until, began + ttl)
                if not promise.running and promise.begun == number:
                    promise.values = {put.text}

    def join(self, w: int, name: str, how: str) -> None:
        worker, promise = self.workers[w], self.promises[name]
        if how == "generation":
            self._renew(
                promise,
                lambda: join(
                    worker, self.scope, name, ttl=MEMBER_TTL, generation=promise.generation
                ),
                MEMBER_TTL,
            )
            return
        began, repeats = self.clock.now, how == "key" and promise.is_repeatable
        if not repeats:
            promise.replace()
        promise.running += not repeats
        due, changes = promise.until, promise.changes
        try:
            joined = join(
                worker, self.scope, name, ttl=MEMBER_TTL, key=KEY if how == "key" else None
            )
        except (Unavailable, Killed) as error:
            self.log.append(f"  failed: {error!r}")
            promise.replace()
            return
        finally:
            promise.running -= not repeats
        self.log.append(f"  {joined.outcome}")
        if promise.changes != changes:
            promise.replace()  # nobody knows which of them was the last one
            return
        if joined.outcome != "unchanged":
            assert due <= self.clock.now, "a promise was broken"
            promise.replace()
            promise.generation = joined.member.generation or ""
            promise.is_repeatable = how == "key"
        promise.until = max(promise.until, began + MEMBER_TTL)

    def round(self, w: int, fresh: bool) -> None:
        worker = self.workers[w]
        if fresh:
            worker.store.refresh(self.deadline())
        worker.lease_monitor.run_once()

    def see(self, w: int, revisions: int) -> None:
        worker = self.workers[w]
        if not revisions:
            worker.store.refresh(self.deadline())
            return
        wanted = worker.store.state().revision + revisions
        worker.backend.see(wanted)
        end = time.monotonic() + 0.02
        while worker.store.state().revision < wanted and time.monotonic() < end:
            time.sleep(0.001)

    def see_all(self) -> None:
        for w in range(WORKERS):
            self.see(w, 0)

    def former_leader(self, number: int) -> None:
        leases = [*self._leases(self._state()).values()]
        if number < len(leases):
            done = self.leases.former_leader_revokes(pulse_lease(leases[number]))
            self.log.append(f"  revoked: {done}")

    def expire(self) -> None:
        self.leases.expire()

    def elect(self) -> None:
        self.leases.elect()

    def advance(self, seconds: float) -> None:
        while seconds > 0:
            self.clock.advance(min(seconds, 1.0))
            seconds -= 1.0
            for worker in self.workers:
                worker.lease_monitor._sign(self.clock.now)

    def live(self, seconds: float) -> None:
        """Let time pass, while all workers that do nothing else run rounds."""
        while seconds > 0:
            self.advance(min(seconds, GRACE_SECONDS + 0.5))
            seconds -= GRACE_SECONDS + 0.5
            for w in range(WORKERS):
                self.run(("round", w, True))

    def kill(self, w: int) -> None:
        killed = self.workers[w]
        self.started = [each for each in self.started if each[0] is not killed]
        self.workers[w] = worker = self.site.worker()
        for call, of in [each for each in self.calls if each[1] is killed]:
            self.calls.remove((call, of))
            self._resume(call, of, None)
        killed.stop()
        worker.renew_monitor()
        worker.lease_monitor.run_once()
        self._adopt(worker)

    def deadline(self) -> float:
        return self.clock.now + TIMEOUT

    # What is promised

    def _state(self) -> State:
        return self.site.observer.store.refresh(self.deadline())

    def _leases(self, state: State) -> dict[str, int]:
        """Return the leases of the members and facts that exist and have not been chosen to end."""
        found: dict[str, int] = {}
        for name in NAMES:
            member = state.member(self.scope, name)
            if member is not None:
                found[name] = member.lease
        for path in PATHS:
            fact = state.fact(self.scope, path)
            if fact is not None:
                found[path] = fact.lease
        return {key: lease for key, lease in found.items() if not self._is_ending(state, lease)}

    def _is_ending(self, state: State, lease: int) -> bool:
        pulse = state.record(self.scope, pulse_key(lease))
        return isinstance(pulse, Pulse) and pulse.ended

    def _note_renewal(self, pulse: int) -> None:
        if not has_pulse(pulse):
            return
        for key, lease in self._leases(self._state()).items():
            if pulse_lease(lease) == pulse:
                until = self.clock.now + MEMBER_TTL
                self.renewed[lease] = key, self.promises[key].changes, until

    def check(self) -> None:
        state, now = self._state(), self.clock.now
        found = self._leases(state)
        for lease, (key, changes, until) in list(self.renewed.items()):
            promise = self.promises[key]
            replaced = key in NAMES and (promise.changes != changes or promise.running)
            if until <= now or replaced:
                del self.renewed[lease]
            else:
                assert key in found, f"{key} was renewed in time, but has ended"
        for key, promise in self.promises.items():
            if promise.until <= now:
                continue
            assert key in found, f"{key} has ended early"
            if key in NAMES:
                member = state.member(self.scope, key)
                assert member is not None
                assert member.generation == promise.generation
            else:
                fact = state.fact(self.scope, key)
                assert fact is not None
                assert fact.text in promise.values, f"{key} has lost a value"

    def all_ends(self) -> None:
        """Let nothing be renewed any more, and all workers run rounds."""
        while self.calls:
            self.run(("resume", 0, None))
        for _, renewal, _ in self.started:
            renewal.lose()
        self.started.clear()
        self.renewed.clear()  # without an answer, a worker cannot know that etcd has renewed a lease
        for _ in range(4):
            self.expire()
            for w in range(WORKERS):
                self.round(w, True)
            self.check()
            self.advance(LONGEST_TTL + max(GRACE_SECONDS, SILENCE_MARGIN) + 1)
        state = self._state()
        left = [name for name in NAMES if state.member(self.scope, name)]
        left += [path for path in PATHS if state.fact(self.scope, path)]
        assert not left, f"{left} do not end"


_CALLS = ("heartbeat", "put", "join", "round")
