"""Facts, members, waiters, stacks and events as JSON texts.

A fact's value is its canonical text already, so these texts are put together rather than encoded, and
kept with the record: one event to a thousand watchers is rendered once.
"""

from __future__ import annotations

import json

from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Fact, Stack
from factstore.core.model.member import Member
from factstore.core.model.usage import Usage
from factstore.core.model.value import encode
from factstore.core.model.waiter import Progress, Signal, Waiter
from factstore.core.services.convergence import Convergence
from factstore.core.services.waiters import Shown


def fact_text(fact: Fact, epoch: str) -> str:
    """A fact as it is shown; a sensitive one without its value."""
    text = fact.memo.get(epoch)
    if text is None:
        text = fact.memo[epoch] = clear_text(fact, fact.text, epoch)
    return text


def clear_text(fact: Fact, value: str, epoch: str) -> str:
    """A fact as it is shown to who may see its value, which is kept nowhere.

    :param value: canonical JSON.
    """
    about = encode(
        {
            "path": fact.path,
            "kind": fact.kind,
            "revision": fact.revision,
            "version": fact.version,
            "created_at": fact.created_at,
            "updated_at": fact.updated_at,
            "updated_by": fact.updated_by,
            "ttl": fact.ttl,
            "member": fact.member,
            "etag": fact.etag(epoch),
        }
    )
    readers = encode(fact.readers) if fact.readers else "[]"
    hidden = "true" if fact.sensitive else "false"
    return f'{about[:-1]},"sensitive":{hidden},"readers":{readers},"value":{value}}}'


def event_text(event: Event, cursor: Cursor) -> str:
    """An event as it is shown, on one line."""
    text = event.memo.get(cursor.epoch)
    if text is None:
        changes = ",".join(_change_text(change, cursor.epoch) for change in event.changes)
        text = f'{{"cursor":"{cursor}","changes":[{changes}]}}'
        event.memo[cursor.epoch] = text
    return text


def _change_text(change: Change, epoch: str) -> str:
    about = encode(
        {
            "type": change.type,
            "path": change.path,
            "by": change.by,
            "request_id": change.request_id,
        }
    )
    match change.type.partition(".")[0]:
        case "member":
            more = _of_a_member(change)
        case "waiter":
            more = _of_a_waiter(change)
        case _:
            more = _of_a_fact(change, epoch)
    return f"{about[:-1]},{more}}}"


def _of_a_fact(change: Change, epoch: str) -> str:
    fact = fact_text(change.fact, epoch) if change.fact else "null"
    previous = fact_text(change.previous, epoch) if change.previous else "null"
    return f'"fact":{fact},"previous":{previous}'


def _of_a_member(change: Change) -> str:
    now = change.record if isinstance(change.record, Member) else None
    known = now or change.former
    assert known is not None  # noqa: S101 - a change of a member has one
    about = encode({"name": known.name, "group": known.group, "reason": change.reason})
    member = member_text(now) if now else "null"
    previous = member_text(change.former) if change.former else "null"
    return f'"fact":null,"previous":{previous},"member":{member},{about[1:-1]}'


def _of_a_waiter(change: Change) -> str:
    waiter = change.record
    assert isinstance(waiter, Waiter)  # noqa: S101 - a change of a waiter has it
    shown = encode(_with_progress(waiter, waiter.progress or Progress()))
    about = encode({"name": waiter.name, "reason": change.reason})
    return f'"fact":null,"previous":null,"waiter":{shown},{about[1:-1]}'


def member_text(member: Member) -> str:
    """A member as it is shown."""
    text = member.memo.get("text")
    if text is None:
        about = encode(
            {
                "name": member.name,
                "group": member.group,
                "state": member.state,
                "generation": member.generation,
                "ttl": member.ttl,
                "declared": member.declared,
                "reason": member.reason,
                "revision": member.revision,
                "version": member.version,
                "joined_at": member.joined_at,
                "updated_at": member.updated_at,
                "updated_by": member.updated_by,
            }
        )
        text = member.memo["text"] = f'{about[:-1]},"attributes":{member.attributes}}}'
    return text


def convergence_text(convergence: Convergence) -> str:
    """How a stack's members stand, as it is shown."""
    return encode(
        {
            "target": str(convergence.target),
            "converged": convergence.reached,
            "members": [
                {
                    "name": each.member.name,
                    "group": each.member.group,
                    "state": each.member.state,
                    "applied": str(each.applied) if each.applied else None,
                    "lags": each.lags,
                }
                for each in convergence.followers
            ],
            "lagging": [each.member.name for each in convergence.followers if each.lags],
        }
    )


def waiter_summary(waiter: Waiter) -> dict[str, object]:
    """A waiter as lists show it."""
    return {
        "name": waiter.name,
        "state": waiter.state,
        "reason": waiter.reason,
        "revision": waiter.revision,
        "decided_revision": waiter.decided_revision or None,
        **json.loads(waiter.definition),
        "armed_at": waiter.armed_at,
        "decided_at": waiter.decided_at,
    }


def _with_progress(waiter: Waiter, progress: Progress) -> dict[str, object]:
    return {
        **waiter_summary(waiter),
        "satisfied": progress.satisfied,
        "needed": progress.needed,
        "missing": list(progress.missing),
        "failing": list(progress.failing),
    }


def waiter_text(found: Shown) -> str:
    """A waiter as it is shown, with what was signalled to it."""
    signals = {signal.id: _signal_document(signal) for signal in found.signals}
    return encode({**_with_progress(found.waiter, found.progress), "signals": signals})


def _signal_document(signal: Signal) -> dict[str, object]:
    return {
        "status": signal.status,
        "reason": signal.reason,
        "data": json.loads(signal.data),
        "received_at": signal.received_at,
        "by": signal.by,
    }


def stack_document(stack: Stack, root: str, usage: Usage | None = None) -> dict[str, object]:
    """A stack as it is shown.

    :param root: the path at which the service is mounted; empty at a server's root.
    """
    document: dict[str, object] = {
        "name": stack.name,
        "id": stack.id,
        "project_id": stack.project_id,
        "settings": {"description": stack.description},
        "created_at": stack.created_at,
        "updated_at": stack.updated_at,
        "updated_by": stack.updated_by,
        "links": [{"rel": "self", "href": f"{root}/v1/stacks/{stack.name}"}],
    }
    if usage is not None:
        document["usage"] = {"facts": usage.facts, "bytes": usage.bytes}
    return document
