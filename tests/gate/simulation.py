"""A recording of a service that keeps its promises, made up without one, for tests of the checkers."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from factstore.store.keyspace import Keyspace
from tests.faults.checker import Bookmark, RawChange, Resumed, Scope, Segment, Told, canonical
from tests.gate.recording import Copy, Followed, Life, Operation, Recording, Renewal

SCOPE = Scope("p", "s")
KEYS = Keyspace("/root")
STACK = "S1"
TTL = 5.0


class Simulation:
    """Requests that take effect one after the other, although their times overlap."""

    def __init__(self, chance: random.Random, requests: int = 150) -> None:
        self.recording = Recording(KEYS)
        self._chance = chance
        self._now = 0.0
        self._revision = 0
        self._facts: dict[str, str] = {}
        self._step(RawChange(KEYS.stack("p", "s"), json.dumps({"id": STACK}).encode()))
        for number in range(requests):
            self._now += chance.uniform(0.01, 0.1)
            self._request(number)
            if number % 10 == 9:
                self._waiter(number)
            if number % 20 == 19:
                self._swing(9 * (number % 40 > 20))
            if number % 30 == 29:
                self._member(number)
        self._follow()

    def _request(self, number: int) -> None:
        chance, path = self._chance, f"k{self._chance.randrange(3)}"
        value = canonical(f"v{number}")
        kind = chance.choice(["put", "create", "replace", "delete", "batch", "read", "read"])
        stood = self._facts.get(path)
        expected = (
            chance.choice([stood or value, canonical("other")]) if kind == "replace" else None
        )
        unmet = {
            "create": stood is not None,
            "replace": stood is None or stood != expected,
            "delete": stood is None,
        }.get(kind, False)
        lost = kind != "read" and not unmet and chance.random() < 0.1
        fields: dict[str, Any] = {"path": path, "expected": expected}
        if kind == "read":
            fields["seen"] = stood
        elif kind == "batch":
            fields["puts"] = {f"k{at}": canonical(f"v{number}-{at}") for at in range(2)}
        elif kind != "delete":
            fields["puts"] = {path: value}
        if not unmet and kind != "read" and not (lost and chance.random() < 0.5):
            fields["revision"] = self._write(kind, path, fields.get("puts", {}), f"r{number}")
        outcome = "unmet" if unmet else "unknown" if lost else "done"
        if kind == "delete" or lost:
            fields.pop("revision", None)
        self.recording.operations.append(
            Operation(
                f"c{number % 4}",
                kind,
                SCOPE,
                self._now - chance.uniform(0.001, 0.2),
                math.inf if lost else self._now + chance.uniform(0.001, 0.2),
                outcome,
                request_id=f"r{number}",
                **fields,
            )
        )

    def _write(self, kind: str, path: str, puts: dict[str, str], request: str) -> int:
        if kind == "delete":
            del self._facts[path]
            act = {"stack_id": STACK, "paths": [path], "request_id": request}
            gone = RawChange(KEYS.fact("p", STACK, path), None)
            return self._step(gone, RawChange(KEYS.act(1), json.dumps(act).encode()))
        self._facts |= puts
        head = json.dumps({"request_id": request})
        return self._step(
            *(
                RawChange(KEYS.fact("p", STACK, path), f"{head}\n{value}".encode())
                for path, value in puts.items()
            )
        )

    def _waiter(self, number: int) -> None:
        """Arm a waiter, write the fact that it waits for, and end it."""
        path, key = f"w{number}", f"/root/data/p/{STACK}/waiters/w{number}".encode()
        definition = json.dumps({"success": {"facts": path, "equals": "go"}})
        fields = {"state": "pending", "definition": definition, "armed_at": str(number)}
        self._step(RawChange(key, json.dumps(fields).encode()))
        at = self._write("put", path, {path: canonical("go")}, f"go{number}")
        fields |= {"state": "met", "decided_revision": at}
        self._step(RawChange(key, json.dumps(fields).encode()))

    def _swing(self, load: int) -> None:
        """Change the fact that an alarm watches, and the alarm after it."""
        at = self._write("put", "load", {"load": canonical(load)}, f"load{load}-{self._revision}")
        condition = {"aggregate": {"facts": "load", "function": "max", "at_least": 5}}
        fields = {
            "definition": json.dumps({"condition": condition}),
            "state": "alarm" if load else "ok",
            "decided_revision": at,
        }
        key = f"/root/data/p/{STACK}/alarms/a".encode()
        self._step(RawChange(key, json.dumps(fields).encode()))

    def _member(self, number: int) -> None:
        """Let a member join, send heartbeats, and expire."""
        key, lease = f"/root/data/p/{STACK}/members/m{number}".encode(), number
        born = self._step(RawChange(key, json.dumps({"state": "joining"}).encode(), lease))
        began = self._now
        beats = [Renewal(began + each, began + each + 0.05) for each in (0.0, 2.0, 4.0)]
        self._now += 4.0 + TTL + self._chance.uniform(0.1, 1)
        self._step(RawChange(key, None))
        self.recording.lives.append(Life(SCOPE, f"member:m{number}", TTL, born, beats))

    def _step(self, *changes: RawChange) -> int:
        self._revision += 1
        self.recording.steps.append((self._revision, changes))
        self.recording.known.append((self._now + 0.001, self._revision))
        return self._revision

    def _follow(self) -> None:
        history, chance = self.recording.history(), self._chance
        for name, prefix in (("all", ""), ("k0", "k0")):
            segment = Segment(0)
            for revision, changes in history.expected(SCOPE, prefix).items():
                if chance.random() < 0.1:
                    segment.items.append(Bookmark(revision - 1))
                if chance.random() < 0.1:
                    segment.items.append(Resumed(segment.position))
                segment.items.append(Told(revision, changes))
            watcher = Followed(name, SCOPE, prefix, [segment], self._revision)
            self.recording.watchers.append(watcher)
        facts = {path: held.value for path, held in history.state(SCOPE).items()}
        copy = Copy("copy", SCOPE, self._revision, facts, self._now, self._now + 1)
        self.recording.copies.append(copy)
