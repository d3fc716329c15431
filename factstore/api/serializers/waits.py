"""Waits as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from factstore.api.raw_json import array_texts, object_texts
from factstore.core.model.value import encode
from factstore.core.model.wait import Goal, Party, Wait
from factstore.core.services.wait_texts import circle_text, never_detail, never_remedy, note_on
from factstore.core.services.waits import OWNERS_LISTED, WaitsView
from factstore.core.state.wait_verdict import Circle


def waits_texts(view: WaitsView) -> Iterator[str]:
    """Yield the waits in a stack as JSON."""
    return object_texts(
        {
            "omitted": view.omitted,
            "stuck": view.stuck,
            "stuck_since": view.since,
            "reported_at": view.reported_at,
            "note": note_on(view.circles) if view.stuck else "",
        },
        {
            "waits": _array(map(_wait, view.waits)),
            "circles": _array(map(_circle, view.circles)),
            "never": _array(map(_never, view.never)),
        },
    )


def _array(items: Iterable[dict[str, Any]]) -> Iterator[str]:
    return array_texts((encode(item),) for item in items)


def _wait(wait: Wait) -> dict[str, Any]:
    members = list(dict.fromkeys(owner.member for owner in wait.owners if owner.member))
    return {
        "id": wait.id,
        "kind": wait.kind,
        "who": _named(wait.who),
        "for": _named(wait.goal),
        "owner": members[0] if members else None,
        "owners": members[:OWNERS_LISTED],
        "needs": wait.needs,
        "count": wait.count,
        "since": wait.since,
    }


def _circle(circle: Circle) -> dict[str, Any]:
    steps = [
        {
            "wait": step.wait.id,
            "who": _named(step.wait.who),
            "for": _named(step.wait.goal),
            "owner": _named(step.owner),
        }
        for step in circle.steps
    ]
    members = dict.fromkeys(party.member for party in circle.parties if party.member)
    return {
        "members": list(members),
        "steps": steps,
        "detail": f"{circle_text(circle, named=True)}.",
        "since": circle.since,
    }


def _never(wait: Wait) -> dict[str, Any]:
    assert wait.obstacle is not None  # noqa: S101 - the verdict lists only such waits
    owner = next((owner.member for owner in wait.owners if owner.member), None)
    return {
        "wait": wait.id,
        "who": _named(wait.who),
        "for": _named(wait.goal),
        "owner": owner,
        "reason": wait.obstacle.reason,
        "detail": never_detail(wait, named=True),
        "remedy": never_remedy(wait),
        "since": wait.since,
    }


def _named(found: Party | Goal) -> dict[str, str]:
    return {found.kind: found.name}
