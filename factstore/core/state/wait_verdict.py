"""The verdict on the waits of a stack: which cannot end, because of a circle or of an obstacle.

It is a pure function.  A member or configuration is blocked as long as one of its waits is; a wait is
blocked as long as too few of its owners are free.  A party that is still blocked when no other can be
freed is part of a circle, has an obstacle, or depends on such parties.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.core.model.wait import Need, Party, Wait


@quick_dataclass(frozen=True, slots=True)
class CircleStep:
    """One wait of a circle, and the one of its owners that is part of the circle."""

    wait: Wait
    owner: Party


@quick_dataclass(frozen=True, slots=True)
class Circle:
    """Parties that wait for each other.

    :param parties: all of them: first those of the steps, in their order, then others by name.
    :param steps: the shortest circle through the first party by name; each step's owner makes the next.
    """

    parties: tuple[Party, ...]
    steps: tuple[CircleStep, ...]

    @property
    def since(self) -> str:
        """The time since which all steps exist."""
        return max(step.wait.since for step in self.steps)

    @property
    def uses_templates(self) -> bool:
        """True if one of the steps is a template, whose agent can still publish facts."""
        return any(step.wait.kind == "template" for step in self.steps)


@quick_dataclass(frozen=True, slots=True)
class WaitVerdict:
    """The circles, the waits with an obstacle, and all that are blocked for good by these.

    :param blocked: the waits that cannot end, by who waits.
    """

    circles: tuple[Circle, ...]
    never: tuple[Wait, ...]
    blocked: Mapping[Party, tuple[Wait, ...]]

    @property
    def stuck(self) -> bool:
        """True if there is a circle, or a wait with an obstacle."""
        return bool(self.circles or self.never)

    @property
    def since(self) -> str | None:
        """The time since which the stack is stuck; None if it is not."""
        times = [circle.since for circle in self.circles] + [wait.since for wait in self.never]
        return min(times, default=None)

    def cause(self, who: Party) -> Circle | Wait | None:
        """Return the nearest circle or obstacle that blocks one; None if it is not blocked."""
        circles = {party: circle for circle in self.circles for party in circle.parties}
        queue, seen = deque([who]), {who}
        while queue:
            party = queue.popleft()
            if party in circles:
                return circles[party]
            for wait in self.blocked.get(party, ()):
                if wait.is_blocked:
                    return wait
            for wait in self.blocked.get(party, ()):
                found = [each for each in wait.owners if each in self.blocked and each not in seen]
                seen.update(found)
                queue.extend(found)
        return None


def judge(waits: Iterable[Wait], needs: Mapping[Party, Need]) -> WaitVerdict:
    """Return the verdict.

    :param waits: of parties that need the ends of all their waits.
    :param needs: the waits of the others, for whom nobody waits.
    """
    by_party: dict[Party, list[Wait]] = {}
    for wait in waits:
        by_party.setdefault(wait.who, []).append(wait)
    stuck = _blocked_parties(by_party)

    def can_end(part: Wait | Need) -> bool:
        if isinstance(part, Need):
            return sum(map(can_end, part.parts)) >= part.count
        owners = _others(part)
        free = sum(owner not in stuck for owner in owners)
        return not part.is_blocked and (not owners or free >= part.needs)

    blocked = {
        party: tuple(wait for wait in by_party[party] if not can_end(wait)) for party in stuck
    }
    for party, need in needs.items():
        if not can_end(need):
            blocked[party] = tuple(wait for wait in need.waits() if not can_end(wait))
    never = (wait for found in blocked.values() for wait in found if wait.is_blocked)
    return WaitVerdict(
        tuple(_circles({party: blocked[party] for party in stuck})),
        tuple(sorted(never, key=lambda wait: wait.order)),
        blocked,
    )


def _others(wait: Wait) -> Sequence[Party]:
    """Return the owners; none if one waits for itself, because it can do several things at once."""
    return () if wait.who in wait.owners else wait.owners


def _blocked_parties(by_party: Mapping[Party, Sequence[Wait]]) -> set[Party]:
    """Return the parties that stay blocked when all that can be freed have been."""
    left = {party: len(waits) for party, waits in by_party.items()}
    lacking: dict[int, int] = {}  # the owners that have to be freed yet, by wait
    dependents: dict[Party, list[Wait]] = {}
    free: list[Party] = []

    def end(wait: Wait) -> None:
        left[wait.who] -= 1
        if not left[wait.who]:
            free.append(wait.who)

    for waits in by_party.values():
        for wait in waits:
            owners = _others(wait)
            blocked = [owner for owner in owners if owner in by_party]
            if wait.is_blocked:
                continue
            lacking[id(wait)] = wait.needs - (len(owners) - len(blocked)) if owners else 0
            if lacking[id(wait)] <= 0:
                end(wait)
                continue
            for owner in blocked:
                dependents.setdefault(owner, []).append(wait)
    while free:
        for wait in dependents.get(free.pop(), ()):
            lacking[id(wait)] -= 1
            if lacking[id(wait)] == 0:
                end(wait)
    return {party for party, count in left.items() if count}


def _circles(blocked: Mapping[Party, Sequence[Wait]]) -> Iterable[Circle]:
    edges = {
        party: {
            owner: wait
            for wait in sorted(waits, key=lambda wait: wait.order, reverse=True)
            for owner in _others(wait)
            if owner in blocked
        }
        for party, waits in blocked.items()
    }
    parts = [sorted(part) for part in _strong_parts(edges) if len(part) > 1]
    for part in sorted(parts):
        steps = _shortest_circle(part[0], set(part), edges)
        first = dict.fromkeys(step.wait.who for step in steps)
        yield Circle((*first, *(party for party in part if party not in first)), steps)


def _shortest_circle(
    start: Party, part: set[Party], edges: Mapping[Party, Mapping[Party, Wait]]
) -> tuple[CircleStep, ...]:
    came_from: dict[Party, Party] = {}
    queue = deque([start])
    while start not in came_from:
        party = queue.popleft()
        for owner in sorted(edges[party]):
            if owner in part and owner not in came_from:
                came_from[owner] = party
                queue.append(owner)
    steps: list[CircleStep] = []
    at = start
    while not steps or at != start:
        before = came_from[at]
        steps.append(CircleStep(edges[before][at], at))
        at = before
    return tuple(reversed(steps))


def _strong_parts(edges: Mapping[Party, Mapping[Party, Wait]]) -> Iterable[list[Party]]:
    """Yield the strongly connected parts of a graph, by Tarjan's algorithm without recursion."""
    index: dict[Party, int] = {}
    low: dict[Party, int] = {}
    stack: list[Party] = []
    waiting: set[Party] = set()
    for root in edges:
        if root in index:
            continue
        path = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        waiting.add(root)
        while path:
            party, rest = path[-1]
            for owner in rest:
                if owner not in index:
                    index[owner] = low[owner] = len(index)
                    stack.append(owner)
                    waiting.add(owner)
                    path.append((owner, iter(edges[owner])))
                    break
                if owner in waiting:
                    low[party] = min(low[party], index[owner])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[party])
                if low[party] == index[party]:
                    part = [stack.pop()]
                    while part[-1] != party:
                        part.append(stack.pop())
                    waiting.difference_update(part)
                    yield part
