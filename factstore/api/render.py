"""Facts, stacks and events as JSON texts.

A fact's value is its canonical text already, so these texts are put together rather than encoded, and
kept with the record: one event to a thousand watchers is rendered once.
"""

from __future__ import annotations

from factstore.core.cursor import Cursor
from factstore.core.event import Change, Event
from factstore.core.fact import Fact, Stack
from factstore.core.state import Usage
from factstore.core.value import encode


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
    return f'{about[:-1]},"fact":{fact},"previous":{previous}}}'


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
