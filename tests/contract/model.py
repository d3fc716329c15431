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


@dataclass(frozen=True)
class ModelReadSet:
    """The patterns for facts, the names of members and the groups that a member reads."""

    facts: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def reads(self, path: str, created: bool = False) -> bool:
        """Return True if a change at a path concerns the read set.

        :param path: of a fact; or the path ``@/<group>/<name>`` of a member; empty if it is not known.
        :param created: True if the change created or deleted the fact.
        """
        if not path:
            return self != ModelReadSet()
        if path.startswith("@/"):
            _, group, name = path.split("/")
            return group in self.groups or bool({name, "*"} & {*self.members})
        return any(_reads(pattern, path, created) for pattern in self.facts)


@dataclass
class ModelChange:
    """A change of a fact outside ``results/``, or of a member.

    :ivar path: as in :meth:`ModelReadSet.reads`.
    :ivar revision: 0 until it is known.
    """

    path: str
    created: bool = True
    revision: int = 0


@dataclass
class Model:
    """One stack, which may not exist."""

    lives: bool = False
    facts: dict[str, ModelFact] = field(default_factory=dict)
    members: dict[str, ModelMember] = field(default_factory=dict)
    declarations: dict[str, ModelMember] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)
    read_sets: dict[str, ModelReadSet] = field(default_factory=dict)
    changes: list[ModelChange] = field(default_factory=list)
    waiters: dict[str, Arming] = field(default_factory=dict)
    signals: dict[str, dict[str, str]] = field(default_factory=dict)
    target: int = 0

    # Changes, each with the line of its event

    def put(self, path: str, fact: ModelFact) -> Line:
        self._touch(path, created=path not in self.facts)
        self.facts[path] = fact
        return "fact.put", path

    def drop(self, path: str, kind: str) -> Line:
        del self.facts[path]
        self._touch(path)
        return kind, path

    def _touch(self, path: str, created: bool = True) -> None:
        if path.split("/")[0] != "results":
            self.changes.append(ModelChange(path, created))

    def _touch_member(self, name: str, *members: ModelMember | None) -> None:
        for group in {member.group for member in members if member is not None}:
            self._touch(f"@/{group}/{name}")

    def join(self, name: str, member: ModelMember) -> Line:
        known = self.members.get(name)
        self.members[name] = member
        self._touch_member(name, known, member)
        if known is not None and known.generation == member.generation:
            return "member.change", name
        self._forget(name)
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
        self._touch_member(name, self.members.pop(name))
        self._forget(name)
        return kind, name

    def _forget(self, name: str) -> None:
        self.applied.pop(name, None)
        self.read_sets.pop(name, None)

    def arm(self, name: str, arming: Arming) -> None:
        self.waiters[name] = arming
        self.signals[name] = {}

    def on(self, lease: int) -> list[str]:
        """Return the paths of the facts that are attached to a lease."""
        return sorted(path for path, fact in self.facts.items() if lease and fact.lease == lease)

    # Convergence

    def target_of(self, name: str) -> int:
        """Return the newest revision that a member has to apply; 0 if no change concerns it."""
        read_set = self.read_sets.get(name)
        if read_set is None:
            return self.target
        concerning = [c.revision for c in self.changes if read_set.reads(c.path, c.created)]
        return max(concerning, default=0)

    def lags(self, name: str) -> bool:
        return self.applied.get(name, -1) < self.target_of(name)

    # Evaluation

    def settle(self, revision: int) -> None:
        """Evaluate the waiters once a revision is complete.

        :param revision: 0 if no event reported it.
        """
        for change in self.changes:
            if not change.revision:
                change.revision = self.target = revision
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
            return bool(names) and not any(self.lags(name) for name in names)
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


def _reads(pattern: str, path: str, created: bool) -> bool:
    wanted, given = pattern.rstrip("/").split("/"), path.split("/")
    if pattern.endswith("/") and len(given) > len(wanted) and not created:
        return False
    return all(w in ("*", g) for g, w in zip(given, wanted, strict=False))
