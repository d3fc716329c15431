"""The bounds on the conditions of one stack.

Every worker applies each change of a stack, so its cost must not depend on the number of conditions
that a project has.  The number of conditions bounds the cost of a revision.  The number of different
conditions that count one fact bounds the cost of each of its facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from factstore.core.errors import Forbidden
from factstore.core.model.aggregate import Aggregate
from factstore.core.model.condition import (
    CONDITIONS_PER_FACT,
    CONDITIONS_PER_STACK,
    MATCH_COUNTS_AS,
    EveryMember,
    Facts,
    Leaf,
)
from factstore.core.model.path import quoted
from factstore.core.model.record import RecordKey
from factstore.core.state.condition_counters import counter_key
from factstore.core.state.pattern_tree import STAR, overlap


def check_room(
    used: Mapping[RecordKey, tuple[Leaf, ...]], user: RecordKey, leaves: Iterable[Leaf]
) -> None:
    """Refuse a definition that would exceed the bounds; one that adds nothing is never refused.

    :param used: the conditions without parts of a stack, by waiter and alarm.
    :param user: the waiter or the alarm, whose present conditions are replaced.
    :raises Forbidden: ``quota_exceeded``.
    """
    wanted, replaced = tuple(leaves), used.get(user, ())
    others = [leaf for each, its in used.items() if each != user for leaf in its]
    total = len(others) + len(wanted)
    if total > CONDITIONS_PER_STACK and len(wanted) > len(replaced):
        raise Forbidden(
            f"This would make {total} conditions in the pending waiters and alarms of the stack, not "
            f"counting all and any; at most {CONDITIONS_PER_STACK} are allowed. Delete some, or "
            "use fewer conditions.",
            code="quota_exceeded",
            extra={
                "quota": "conditions_per_stack",
                "limit": CONDITIONS_PER_STACK,
                "used": len(others),
            },
        )
    before, after = _of_many(replaced), _of_many(wanted)
    known = _of_many(others) | after
    for key in after.keys() - before.keys():
        cost = sum(_cost(each) for each, p in known.items() if overlap(p, after[key]))
        if cost > CONDITIONS_PER_FACT:
            raise Forbidden(
                f"A fact that matches {quoted(after[key])} could count in {cost} different conditions "
                "of the pending waiters and the alarms of the stack, where each match is like "
                f"{MATCH_COUNTS_AS}; at most {CONDITIONS_PER_FACT} are allowed. Use patterns with "
                "fewer '*', equal conditions, or one aggregate.",
                code="quota_exceeded",
                extra={
                    "quota": "conditions_per_fact",
                    "limit": CONDITIONS_PER_FACT,
                    "used": cost - _cost(key),
                },
            )


def _of_many(leaves: Iterable[Leaf]) -> dict[Leaf, str]:
    """Return the different conditions that count many facts, each with its pattern."""
    found = ((counter_key(leaf), _pattern(leaf)) for leaf in leaves)
    return {key: pattern for key, pattern in found if STAR in pattern}


def _pattern(leaf: Leaf) -> str:
    match leaf:
        case Facts() | Aggregate():
            return leaf.pattern
        case EveryMember():
            return f"nodes/*/{leaf.fact}"
    return ""


def _cost(leaf: Leaf) -> int:
    compares = isinstance(leaf, Facts | EveryMember) and leaf.test.match is not None
    return MATCH_COUNTS_AS if compares else 1
