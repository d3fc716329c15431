"""Events and snapshots as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from factstore.api.raw_json import json_array, json_object
from factstore.api.serializers.alarms import alarm_document
from factstore.api.serializers.facts import fact_text
from factstore.api.serializers.members import member_text
from factstore.api.serializers.waiters import waiter_with_progress
from factstore.core.model.alarm import Alarm
from factstore.core.model.cursor import Cursor
from factstore.core.model.event import Change, Event
from factstore.core.model.fact import Scope
from factstore.core.model.flapping_report import FlappingReport
from factstore.core.model.member import Member
from factstore.core.model.stuck_report import StuckReport
from factstore.core.model.value import encode
from factstore.core.model.waiter import Progress, Waiter
from factstore.core.services.watch_frames import SnapshotFrame

LARGE_BYTES = 256 * 1024
"""The size of an event that is not rendered as a whole."""
LINE_CHARACTERS = 64 * 1024
"""The length from which a text ends with the next change; a change is at most a few times as long."""


def event_texts(
    events: Sequence[Event], epoch: str, *, names_stacks: bool = False
) -> Iterable[str]:
    """Return the events of one revision as one JSON object; between its texts a newline is allowed.

    :param names_stacks: name the stack of each change.
    """
    key = f"{epoch} named" if names_stacks else epoch
    texts = [event.memo.get(key) for event in events]
    if None in texts and sum(event.size for event in events) > LARGE_BYTES:
        return _large_texts(events, epoch, names_stacks=names_stacks)
    for at, event in enumerate(events):
        if texts[at] is None:
            changes = (_change_text(each, event, epoch, names_stacks) for each in event.changes)
            texts[at] = event.memo[key] = ",".join(changes)
    fields = {"cursor": str(Cursor(epoch, events[0].revision))}
    return (json_object(fields, {"changes": f"[{','.join(filter(None, texts))}]"}),)


def _large_texts(events: Sequence[Event], epoch: str, *, names_stacks: bool) -> Iterator[str]:
    fields = {"cursor": str(Cursor(epoch, events[0].revision))}
    texts, length = [f'{encode(fields)[:-1]},"changes":['], 0
    changes = [(event, change) for event in events for change in event.changes]
    last = len(changes) - 1
    for at, (event, change) in enumerate(changes):
        text = _change_text(change, event, epoch, names_stacks)
        texts += (text, "," if at < last else "]}")
        length += len(text)
        if length >= LINE_CHARACTERS:
            yield "".join(texts)
            texts, length = [], 0
    if texts:
        yield "".join(texts)


def _stack_fields(scope: Scope) -> dict[str, object]:
    return {"project_id": scope.project_id, "stack": scope.stack}


def snapshot_text(frame: SnapshotFrame, *, names_stack: bool = False) -> str:
    """Return a part of a snapshot as JSON on one line."""
    waiters = [waiter_with_progress(waiter, progress) for waiter, progress in frame.waiters]
    return json_object(
        _stack_fields(frame.scope) if names_stack else {},
        {
            "facts": json_array(fact_text(fact, frame.epoch) for fact in frame.facts),
            "members": json_array(member_text(member) for member in frame.members),
            "waiters": encode(waiters),
            "alarms": encode([alarm_document(alarm) for alarm in frame.alarms]),
        },
    )


def _change_text(change: Change, event: Event, epoch: str, names_stack: bool) -> str:
    fields: dict[str, object] = {
        **(_stack_fields(event.scope) if names_stack else {}),
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
        case "alarm":
            return _alarm_change_text(change, fields)
        case "stack" if isinstance(change.record, StuckReport):
            return _stuck_change_text(change, change.record, fields)
        case "stack" if isinstance(change.record, FlappingReport):
            return _flapping_change_text(change, change.record, fields)
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


def _stuck_change_text(change: Change, report: StuckReport, fields: dict[str, object]) -> str:
    return encode(
        {
            **fields,
            "reason": change.reason,
            "since": report.since,
            "fact": None,
            "previous": None,
        }
    )


def _flapping_change_text(change: Change, report: FlappingReport, fields: dict[str, object]) -> str:
    flapping = {
        "path": report.path,
        "times": report.times,
        "paths": report.paths,
        "writers": report.writers,
    }
    about = {"reason": change.reason, "flapping": flapping, "fact": None, "previous": None}
    return encode({**fields, **about})


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


def _alarm_change_text(change: Change, fields: dict[str, object]) -> str:
    alarm = change.record
    assert isinstance(alarm, Alarm)  # noqa: S101 - every change of an alarm has it
    return encode(
        {
            **fields,
            "name": alarm.name,
            "reason": change.reason,
            "fact": None,
            "previous": None,
            "alarm": alarm_document(alarm),
        }
    )
