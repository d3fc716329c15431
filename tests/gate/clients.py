"""Clients that write and read facts at random, through the real client, and note each response."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from factstore.client import Fact, Put, Stack
from factstore.client.errors import (
    FactstoreError,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Refused,
    Unavailable,
)
from tests.faults.checker import Scope, canonical
from tests.faults.plain_http import revision_of
from tests.gate.recording import Operation, Outcome
from tests.gate.world import World

PROJECT = "none"  # of a service without authentication
KEYS = 20
CALLS_OF_KEY = 250
"""Requests after which another key takes the place of one, because the search for an order is long."""
REPEAT_SECONDS = 40.0  # longer than any fault


class Actor:
    """A thread that acts until it is stopped, and what it could not understand.

    :ivar complaints: errors that are none of the API, such as responses with status 500.
    """

    def __init__(self, name: str, pace: float) -> None:
        self.name = name
        self.complaints: list[str] = []
        self._pace = pace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current step."""
        self._stopping.set()

    def join(self) -> None:
        self._thread.join(90)
        assert not self._thread.is_alive(), f"{self.name} hangs"

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.step()
                self._stopping.wait(self._pace)
        except Exception as error:  # noqa: BLE001 - the test reports it
            self.complaints.append(f"{self.name}: {error!r}")

    def step(self) -> None:
        """Do one thing."""
        raise NotImplementedError


@dataclass
class Progress:
    """The requests of all clients; counts are approximate while they run."""

    operations: int = 0
    repeated: int = 0  # requests whose outcome became known when they were repeated
    outcomes: Counter[str] = field(default_factory=Counter)


class FactClient(Actor):
    """One client of one stack, which sends one request at a time."""

    def __init__(
        self, stack: Stack, scope: Scope, number: int, seed: int, pace: float, progress: Progress
    ) -> None:
        super().__init__(f"client-{number}", pace)
        self.operations: list[Operation] = []
        self._stack = stack
        self._scope = scope
        self._chance = random.Random(seed * 1000 + number)
        self._progress = progress
        self._run = seed  # clients of other runs may have used the same store
        self._known: dict[str, Fact] = {}
        self._count = 0

    def step(self) -> None:
        """Send a request."""
        self._count += 1
        self._progress.operations += 1
        what = self._chance.random()
        path = self._path()
        value = f"{self.name}/{self._count}"
        if what < 0.35:
            self._read(path)
        elif what < 0.60:
            self._put(path, value)
        elif what < 0.70:
            self._write(
                "create", path, {path: value}, self._of_fact("put", path, value, if_absent=True)
            )
        elif what < 0.80 and path in self._known:
            fact = self._known[path]
            call = self._of_fact(
                "put", path, value, if_match=fact.etag, idempotency_key=self._key(value)
            )
            expected = canonical(fact.value)
            self._write("replace", path, {path: value}, call, expected, repeatable=True)
        elif what < 0.88:
            self._write("delete", path, {}, lambda: self._stack.delete(path))
        else:
            self._batch(value)

    def _path(self) -> str:
        generation = self._progress.operations // (KEYS * CALLS_OF_KEY)
        return f"nodes/n{self._chance.randrange(KEYS)}/k{generation}"

    def _put(self, path: str, value: str) -> None:
        self._write("put", path, {path: value}, self._of_fact("put", path, value))

    def _of_fact(self, name: str, path: str, value: str, **more: Any) -> Callable[[], int]:
        def call() -> int:
            fact = getattr(self._stack, name)(path, value, **more)
            self._known[path] = fact
            return int(fact.revision)

        return call

    def _batch(self, value: str) -> None:
        puts = {self._path(): f"{value}-{number}" for number in range(self._chance.randrange(2, 6))}
        operations = [Put(path, new) for path, new in puts.items()]
        path = next(iter(puts))

        def call() -> int:
            key = self._key(value)
            return revision_of(self._stack.batch(operations, idempotency_key=key).cursor)

        self._write("batch", path, puts, call, repeatable=True)

    def _key(self, value: str) -> str:
        """Return the idempotency key of the request that writes a value, the same each time."""
        return f"{self._run}/{value}"

    def _read(self, path: str) -> None:
        seen: list[Fact | None] = []

        def call() -> None:
            try:
                seen.append(self._stack.get(path))
            except NotFound as error:
                if error.code != "contextualization.fact_not_found" and error.status != 404:
                    raise
                seen.append(None)

        started = time.monotonic()
        outcome, ended, _, _ = self._call(call)
        if outcome == "done":
            fact = seen[-1]
            if fact is not None:
                self._known[path] = fact
            value = canonical(fact.value) if fact else None
            self._note("read", path, started, ended, outcome, seen=value)

    def _write(
        self,
        kind: Any,
        path: str,
        puts: dict[str, str],
        call: Callable[[], int | None],
        expected: str | None = None,
        *,
        repeatable: bool = False,
    ) -> None:
        started = time.monotonic()
        outcome, ended, revision, request = self._call(call, repeatable=repeatable)
        self._note(
            kind,
            path,
            started,
            ended,
            outcome,
            puts={each: canonical(value) for each, value in puts.items()},
            expected=expected,
            revision=revision or 0,
            request_id=request,
        )

    def _call(
        self, call: Callable[[], int | None], *, repeatable: bool = False
    ) -> tuple[Outcome, float, int | None, str | None]:
        """Send a request; if its outcome is unknown and it has an idempotency key, repeat it."""
        outcome, revision, request = self._once(call)
        give_up = time.monotonic() + REPEAT_SECONDS
        while repeatable and outcome == "unknown" and time.monotonic() < give_up:
            again = self._once(call)
            if again[0] in (
                "done",
                "unmet",
            ):  # not "refused", which does not mean the first attempt
                outcome, revision, request = again
                self._progress.repeated += 1
        ended = math.inf if outcome == "unknown" else time.monotonic()
        self._progress.outcomes[outcome] += 1
        return outcome, ended, revision, request

    def _once(self, call: Callable[[], int | None]) -> tuple[Outcome, int | None, str | None]:
        """Send a request once."""
        outcome: Outcome
        revision, request = None, None
        try:
            revision = call()
            outcome = "done"
        except (PreconditionFailed, NotFound) as error:
            outcome, request = "unmet", error.request_id
        except (Refused, Unavailable) as error:
            outcome, request = "refused", error.request_id
        except OutcomeUnknown as error:
            outcome, request = "unknown", error.request_id
        except FactstoreError as error:
            self.complaints.append(f"{self.name}: {error!r} {error.status} {error.request_id}")
            outcome, request = "unknown", error.request_id
        if outcome in ("refused", "unknown"):
            self._stopping.wait(0.1)  # so that an outage is not spent on retries
        return outcome, revision, request

    def _note(
        self, kind: Any, path: str, started: float, ended: float, outcome: Outcome, **more: Any
    ) -> None:
        self.operations.append(
            Operation(self.name, kind, self._scope, started, ended, outcome, path=path, **more)
        )


class StackRecycler(Actor):
    """Writes facts to another stack, which it deletes again and again."""

    def __init__(self, world: World, stack: str, seed: int) -> None:
        super().__init__("recycler", 0.1)
        self._stack: Stack = world.client().stack(stack)
        self._chance = random.Random(seed)

    def step(self) -> None:
        """Write a fact, or delete the stack with all that is in it."""
        try:
            if self._chance.random() < 0.05:
                self._stack.delete_stack()
            else:
                path = f"nodes/n{self._chance.randrange(20)}"
                self._stack.put(path, self._chance.random())
        except (Refused, Unavailable, OutcomeUnknown):
            self._stopping.wait(0.1)
