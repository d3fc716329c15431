"""A checker for linearizability, key by key, which trusts no revision.

It looks for an order of the requests in which each has the effect and the result of a register with
compare-and-set, and in which a request that ended before another one began comes first.  A request with
an unknown outcome may have its effect at any time after its start, or never.

The set of possible states is carried through the requests by time.  When a request ends, each state in
which it has not happened yet is extended by those under way, until it has.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tests.faults.checker import Scope, Violation
from tests.gate.recording import Operation

MOST_STATES = 50_000
"""States after which the search for an order of one key is given up, which counts as a failure."""


@dataclass(frozen=True)
class Call:
    """A request as far as it concerns one key.

    :param kind: ``read``, ``write``, ``delete``, ``create`` or ``replace``.
    :param value: that is written or was read; None for no fact.
    :param met: whether the precondition was met; None if that is not known.
    """

    kind: str
    started: float
    ended: float
    value: str | None = None
    expected: str | None = None
    met: bool | None = True

    def apply(self, state: str | None) -> tuple[bool, str | None]:
        """Return whether the request can happen in a state, and the state after it."""
        if self.kind == "read":
            return state == self.value, state
        if self.kind == "write":
            return True, self.value
        requires = {
            "create": state is None,
            "delete": state is not None,
            "replace": state == self.expected,
        }[self.kind]
        if self.met is not None and self.met != requires:
            return False, state
        return True, self.value if requires else state


def check_linearizable(operations: Iterable[Operation], stored: Collection[str]) -> list[Violation]:
    """Return a violation for each key without a valid order.

    :param stored: all values that were ever stored.  A write with an unknown outcome has never happened
        if its values are not among them.
    """
    calls: dict[tuple[Scope, str], list[Call]] = {}
    for operation in operations:
        if (
            not operation.is_known
            and operation.puts
            and not any(value in stored for value in operation.puts.values())
        ):
            continue
        for path, call in _calls(operation):
            calls.setdefault((operation.scope, path), []).append(call)
    found = []
    for (scope, path), of_key in calls.items():
        problem = check_key(of_key)
        if problem is not None:
            found.append(Violation("illegal", f"{scope.stack} {path}: {problem}"))
    return found


def check_key(calls: Sequence[Call]) -> str | None:
    """Return why the requests for one key have no valid order, or None if they have one."""
    moments = [(call.started, 0, number) for number, call in enumerate(calls)]
    moments += [(call.ended, 1, number) for number, call in enumerate(calls)]
    states: set[tuple[str | None, frozenset[int]]] = {(None, frozenset())}
    open_: set[int] = set()
    for at, ends, number in sorted(moments):
        if at == math.inf:
            break
        if not ends:
            open_.add(number)
            continue
        following, waiting, seen = set(), list(states), set(states)
        while waiting:
            state, done = waiting.pop()
            if number in done:
                following.add((state, done - {number}))
                continue
            for other in open_ - done:
                possible, after = calls[other].apply(state)
                extended = (after, done | {other})
                if possible and extended not in seen:
                    seen.add(extended)
                    waiting.append(extended)
            if len(seen) > MOST_STATES:
                return f"given up after {MOST_STATES} states"
        if not following:
            return f"no order for {calls[number]}; possible before it: {_shown(states)}"
        open_.discard(number)
        states = following
    return None


def _calls(operation: Operation) -> Iterable[tuple[str, Call]]:
    if operation.outcome == "refused":
        return
    when = (operation.started, operation.ended)
    met = {"done": True, "unmet": False, "unknown": None}[operation.outcome]
    if operation.kind == "read":
        if operation.is_known:
            yield operation.path, Call("read", *when, operation.seen)
        return
    if operation.kind in ("put", "batch"):
        if operation.outcome == "unmet":
            return
        for path, value in operation.puts.items():
            yield path, Call("write", *when, value)
        for path in operation.deletes:  # of a batch, which also succeeds without the fact
            yield path, Call("write", *when, None)
        return
    value = operation.puts.get(operation.path)
    yield operation.path, Call(operation.kind, *when, value, operation.expected, met)


def _shown(states: set[tuple[str | None, frozenset[int]]]) -> str:
    return ", ".join(sorted({str(state) for state, _ in states})[:5])
