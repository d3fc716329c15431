"""A stack as plain dicts with a naive evaluation of its waiters, to compare the service with.

Totals and outcomes are not updated by changes; they are computed from scratch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

Line = tuple[str, str]
"""A change in an event: its type, and the path or name of its subject."""


@dataclass
class ModelFact:
    text: str
    ttl: int | None = None
    member: str | None = None
    lease: int = 0


@dataclass
class ModelMember:
    """A living member. A declared member that has not joined has a number instead of a lease."""

    group: str
    state: str
    lease: int
    declared: str | None = None
    number: int = 0

    @property
    def generation(self) -> str:
        return f"{self.number or self.lease:x}"

    @property
    def declared_only(self) -> bool:
        return not self.lease


@dataclass
class Arming:
    """A waiter since it was last armed.

    :ivar decided: the outcome and its revision (0 if unknown), or None until it is decided.
    """

    text: str
    timer: int
    state: str = "pending"
    over: bool = False
    decided: tuple[str, int] | None = None


@dataclass
class Model:
    """One stack, which may not exist."""

    lives: bool = False
    facts: dict[str, ModelFact] = field(default_factory=dict)
    members: dict[str, ModelMember] = field(default_factory=dict)
    declarations: dict[str, ModelMember] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)
    waiters: dict[str, Arming] = field(default_factory=dict)
    signals: dict[str, dict[str, str]] = field(default_factory=dict)
    target: int = 0
    moved: bool = False

    # Changes, each with the line of its event

    def put(self, path: str, fact: ModelFact) -> Line:
        self.facts[path] = fact
        self._touch(path)
        return "fact.put", path

    def drop(self, path: str, kind: str) -> Line:
        del self.facts[path]
        self._touch(path)
        return kind, path

    def _touch(self, path: str) -> None:
        self.moved = self.moved or path.split("/")[0] != "results"

    def join(self, name: str, member: ModelMember) -> Line:
        known = self.members.get(name)
        self.members[name] = member
        self.moved = True
        if known is not None and known.generation == member.generation:
            return "member.change", name
        self.applied.pop(name, None)
        same = known is not None and (known.declared_only or member.declared_only)
        return "member.change" if same else "member.join", name

    def note(self, name: str, declared: str) -> Line:
        self.members[name] = replace(self.members[name], declared=declared)
        return "member.change", name

    def leave(self, name: str, kind: str) -> Line:
        awaited = self.declarations.get(name)
        if awaited is not None and kind == "member.expire":
            return self.join(name, awaited)
        self.declarations.pop(name, None)
        del self.members[name]
        self.applied.pop(name, None)
        self.moved = True
        return kind, name

    def arm(self, name: str, arming: Arming) -> None:
        self.waiters[name] = arming
        self.signals[name] = {}

    def on(self, lease: int) -> list[str]:
        """Return the paths of the facts that are attached to a lease."""
        return sorted(path for path, fact in self.facts.items() if lease and fact.lease == lease)

    # Evaluation

    def settle(self, revision: int) -> None:
        """Evaluate the waiters once a revision is complete.

        :param revision: 0 if no event reported it.
        """
        if self.moved:
            self.target, self.moved = revision, False
        for name, waiter in self.waiters.items():
            if waiter.state == "pending" and waiter.decided is None:
                state = self._evaluate(name, waiter)
                if state is not None:
                    waiter.decided = state, revision

    def _evaluate(self, name: str, waiter: Arming) -> str | None:
        definition = json.loads(waiter.text)
        success, failure = definition["success"], definition["failure"]
        refused = "FAILURE" in self.signals[name].values() and '"signals"' in json.dumps(success)
        if refused or (failure is not None and self._holds(failure, name)):
            return "failed"
        if self._holds(success, name):
            return "met"
        return "timed_out" if waiter.over else None

    def _holds(self, condition: dict[str, Any], waiter: str) -> bool:
        if "all" in condition:
            return all(self._holds(part, waiter) for part in condition["all"])
        if "any" in condition:
            return any(self._holds(part, waiter) for part in condition["any"])
        if "signals" in condition:
            status = list(self.signals[waiter].values())
            return status.count("SUCCESS") >= condition["signals"]
        if "converged" in condition:
            names = self._of(condition["converged"])
            return bool(names) and all(self.applied.get(n, 0) >= self.target for n in names)
        if "every_member" in condition:
            inner = condition["every_member"]
            names = self._of(inner)
            passing = [n for n in names if self._passes(f"nodes/{n}/{inner['fact']}", inner)]
            return len(passing) == len(names) >= inner["at_least"]
        matching = [path for path in self.facts if _matches(path, condition["facts"])]
        return sum(self._passes(path, condition) for path in matching) >= condition["count"]

    def _of(self, inner: dict[str, Any]) -> list[str]:
        return [
            name
            for name, member in self.members.items()
            if inner["group"] in ("", member.group)
            and (member.state != "draining" or inner.get("include_draining", False))
        ]

    def _passes(self, path: str, demand: dict[str, Any]) -> bool:
        fact = self.facts.get(path)
        if fact is None:
            return False
        return "present" in demand or json.loads(fact.text) == demand["equals"]


def _matches(path: str, pattern: str) -> bool:
    given, wanted = path.split("/"), pattern.split("/")
    return len(given) == len(wanted) and all(
        w in ("*", g) for g, w in zip(given, wanted, strict=True)
    )
