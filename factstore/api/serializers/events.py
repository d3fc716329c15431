"""Events as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from factstore.api.raw_json import json_array, json_object
from factstore.api.serializers.facts import fact_text
from factstore.api.serializers.members import member_text
from factstore.api.serializers.waiters import waiter_with_progress
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.model.member import Member
from factstore.core.model.value import encode
from factstore.core.model.waiter import Progress, Waiter
from factstore.core.services.watch_frames import SnapshotFrame

LARGE_BYTES = 256 * 1024
"""The size of an event that is not rendered as a whole."""
LINE_CHARACTERS = 64 * 1024
"""The length from which a text ends with the next change; a change is at most a few times as long."""


def event_texts(event: Event, epoch: str) -> Iterable[str]:
    """Return an event as JSON; between its texts a newline is allowed."""
    text = event.memo.get(epoch)
    if text is not None:
        return (text,)
    if event.size > LARGE_BYTES:
        return _large_event_texts(event, epoch)
    changes = json_array(_change_text(change, epoch) for change in event.changes)
    text = event.memo[epoch] = json_object(_fields(event, epoch), {"changes": changes})
    return (text,)


def _large_event_texts(event: Event, epoch: str) -> Iterator[str]:
    texts, length = [f'{encode(_fields(event, epoch))[:-1]},"changes":['], 0
    last = len(event.changes) - 1
    for at, change in enumerate(event.changes):
        text = _change_text(change, epoch)
        texts += (text, "," if at < last else "]}")
        length += len(text)
        if length >= LINE_CHARACTERS:
            yield "".join(texts)
            texts, length = [], 0
    if texts:
        yield "".join(texts)


def _fields(event: Event, epoch: str) -> dict[str, object]:
    return {"cursor": str(Cursor(epoch, event.revision))}


def snapshot_text(frame: SnapshotFrame, epoch: str) -> str:
    """Return a part of a snapshot as JSON on one line."""
    waiters = [waiter_with_progress(waiter, progress) for waiter, progress in frame.waiters]
    return json_object(
        {},
        {
            "facts": json_array(fact_text(fact, epoch) for fact in frame.facts),
            "members": json_array(member_text(member) for member in frame.members),
            "waiters": encode(waiters),
        },
    )


def _change_text(change: Change, epoch: str) -> str:
    fields: dict[str, object] = {
        "type": change.type,
        "path": change.path,
        "by": change.by,
        "request_id": change.request_id,
    }
    match change.type.partition(".")[0]:
        case "member":
            return _member_change_text(change, fields)
        case "waiter":
            return _waiter_change_text(change, fields)
        case _:
            texts = {
                "fact": fact_text(change.fact, epoch) if change.fact else "null",
                "previous": fact_text(change.previous, epoch) if change.previous else "null",
            }
            return json_object(fields, texts)


def _member_change_text(change: Change, fields: dict[str, object]) -> str:
    current = change.record if isinstance(change.record, Member) else None
    member = current or change.former
    assert member is not None  # noqa: S101 - every change of a member has the one or the other
    fields |= {"name": member.name, "group": member.group, "reason": change.reason, "fact": None}
    texts = {
        "member": member_text(current) if current else "null",
        "previous": member_text(change.former) if change.former else "null",
    }
    return json_object(fields, texts)


def _waiter_change_text(change: Change, fields: dict[str, object]) -> str:
    waiter = change.record
    assert isinstance(waiter, Waiter)  # noqa: S101 - every change of a waiter has it
    return encode(
        {
            **fields,
            "name": waiter.name,
            "reason": change.reason,
            "fact": None,
            "previous": None,
            "waiter": waiter_with_progress(waiter, waiter.progress or Progress()),
        }
    )
