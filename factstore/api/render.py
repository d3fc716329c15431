"""Facts, stacks, waiters and events as JSON texts.

A fact's value is its canonical text already, so these texts are put together rather than encoded, and
kept with the record: one event to a thousand watchers is rendered once.
"""

from __future__ import annotations

import json

from factstore.core.contents import Usage
from factstore.core.cursor import Cursor
from factstore.core.event import Change, Event
from factstore.core.fact import Fact, Stack
from factstore.core.value import encode
from factstore.core.waiter import Progress, Signal, Waiter
from factstore.core.waiters import Shown


def fact_text(fact: Fact, epoch: str) -> str:
    """A fact as it is shown."""
    text = fact.memo.get(epoch)
    if text is None:
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
                "etag": fact.etag(epoch),
            }
        )
        text = fact.memo[epoch] = f'{about[:-1]},"value":{fact.text}}}'
    return text


def event_text(event: Event, cursor: Cursor) -> str:
    """An event as it is shown, on one line."""
    text = event.memo.get(cursor.epoch)
    if text is None:
        changes = ",".join(_change_text(change, cursor.epoch) for change in event.changes)
        text = f'{{"cursor":"{cursor}","changes":[{changes}]}}'
        event.memo[cursor.epoch] = text
    return text


def _change_text(change: Change, epoch: str) -> str:
    fact = fact_text(change.fact, epoch) if change.fact else "null"
    previous = fact_text(change.previous, epoch) if change.previous else "null"
    about = encode(
        {
            "type": change.type,
            "path": change.path,
            "by": change.by,
            "request_id": change.request_id,
        }
    )
    text = f'{about[:-1]},"fact":{fact},"previous":{previous}'
    if isinstance(change.record, Waiter):
        waiter = encode(_with_progress(change.record, change.record.progress or Progress()))
        more = encode({"name": change.record.name, "reason": change.reason})
        text = f'{text},"waiter":{waiter},{more[1:-1]}'
    return text + "}"


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
