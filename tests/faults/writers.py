"""Writers that never stop: random changes with unique values, on any server, every answer noted."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence

from tests.faults.checker import Scope
from tests.faults.ledger import Attempt, Ledger
from tests.faults.plain_http import Caller, Hung, Lost, fact_url, revision_of

PROJECT = "none"  # the one project of a service without authentication
PACE = 0.03  # seconds between two requests of a writer; servers start meanwhile on the same cores
PAUSE = 0.03  # after a failure, so that an outage is not spent on retries

DONE = {200, 201, 204}
REFUSED = {404, 409, 412, 503}
UNKNOWN = {504}

FOLDERS = [f"nodes/n{number}" for number in (1, 2, 10)]


class Writers:
    """Threads of random requests to the stacks ``alpha`` and ``beta``; beta is often deleted.

    Half of them begin with the last server, the others with the first; whose server does not answer
    goes to the next.
    """

    def __init__(self, servers: Sequence[str], count: int, seed: int) -> None:
        self.ledger = Ledger()
        self.complaints: list[str] = []
        self._servers = list(servers)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, seed), name=f"writer-{number}")
            for number in range(count)
        ]

    @property
    def done(self) -> int:
        """The number of acknowledged writes."""
        return self.ledger.done

    def start(self) -> None:
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} hangs"

    def _run(self, number: int, seed: int) -> None:
        chance = random.Random(seed * 100 + number)
        at = -1 if number % 2 else 0
        caller = Caller(self._servers[at])
        readers = [Caller(server) for server in self._servers]
        count = 0
        try:
            while not self._stopping.is_set():
                count += 1
                try:
                    status = self._one(caller, chance, f"{number}-{count}")
                    if status in {200, 201} and count % 3 == 0:
                        self._read_back(chance.choice(readers))
                except Lost:
                    caller.close()
                    at = (at + 1) % len(self._servers)
                    caller = Caller(self._servers[at])
                    status = 0
                self._stopping.wait(PACE if status in DONE | {404} else PAUSE)
        except Hung as error:
            self.complaints.append(repr(error))
        finally:
            for each in (caller, *readers):
                each.close()

    def _one(self, caller: Caller, chance: random.Random, value: str) -> int:
        what = chance.random()
        path = f"{chance.choice(FOLDERS)}/k{chance.randrange(8)}"
        if what < 0.5:
            return self._put(caller, "alpha", path, value)
        if what < 0.65:
            return self._delete(caller, "alpha", path)
        if what < 0.80:
            return self._batch(caller, chance, value)
        if what < 0.85:
            return self._put(caller, "alpha", f"leased/l{chance.randrange(4)}", value, ttl=5)
        if what < 0.86:
            return self._put(caller, "alpha", "quiet/q", value)
        if what < 0.99:
            return self._put(caller, "beta", f"b/{chance.randrange(20)}", value)
        return self._send(caller, "beta", {}, (), "DELETE", "/v1/stacks/beta")

    def _read_back(self, caller: Caller) -> None:
        """A read on any server is no older than a write that was acknowledged before it."""
        last = self.ledger.latest()
        path = next(iter(last.puts))
        try:
            answer = caller.call("GET", fact_url(last.scope.stack, path))
        except Lost:
            return
        if answer.status == 200 and answer.json()["revision"] < last.revision:
            self.complaints.append(f"stale: {answer.body!r} after {last}")
        elif answer.status not in {200, 404, 503}:
            self.complaints.append(f"GET {path}: {answer.status} {answer.body[:300]!r}")

    def _put(self, caller: Caller, stack: str, path: str, value: str, **more: object) -> int:
        body = {"value": value, **more}
        return self._send(caller, stack, {path: value}, (), "PUT", fact_url(stack, path), body)

    def _delete(self, caller: Caller, stack: str, path: str) -> int:
        return self._send(caller, stack, {}, (path,), "DELETE", fact_url(stack, path))

    def _batch(self, caller: Caller, chance: random.Random, value: str) -> int:
        paths = chance.sample(range(12), chance.randrange(2, 7))
        puts = {f"batched/{number % 3}/p{number}": f"{value}-{number}" for number in paths}
        operations = [{"put": {"path": path, "value": new}} for path, new in puts.items()]
        body = {"operations": operations}
        return self._send(caller, "alpha", puts, (), "POST", "/v1/stacks/alpha/batch", body)

    def _send(
        self,
        caller: Caller,
        stack: str,
        puts: Mapping[str, object],
        deletes: tuple[str, ...],
        method: str,
        url: str,
        body: object = None,
    ) -> int:
        scope = Scope(PROJECT, stack)
        try:
            answer = caller.call(method, url, body)
        except (Lost, Hung):
            self.ledger.note(Attempt(scope, puts, deletes, "unknown"))
            raise
        if answer.status in DONE:
            cursor = answer.headers.get("factstore-cursor", ".0")
            self.ledger.note(Attempt(scope, puts, deletes, "done", revision_of(cursor)))
        elif answer.status in REFUSED:
            self.ledger.note(Attempt(scope, puts, deletes, "refused"))
        elif answer.status in UNKNOWN:
            self.ledger.note(Attempt(scope, puts, deletes, "unknown"))
        else:
            self.complaints.append(f"{method} {url}: {answer.status} {answer.body[:300]!r}")
        return answer.status
