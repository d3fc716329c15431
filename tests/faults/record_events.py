"""The events that watchers must receive for records other than facts, by rules of the tests' own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from factstore.core.model.alarm import Alarm
from factstore.core.model.flapping_report import FlappingReport, flapping_key
from factstore.core.model.member import Member
from factstore.core.model.stuck_report import StuckReport
from factstore.core.model.waiter import Waiter

WATCHED = {
    Member: "member",
    Waiter: "waiter",
    Alarm: "alarm",
    StuckReport: "report",
    FlappingReport: "flapping",
}
"""The nouns of the records whose changes watchers receive."""
REPORTS = ("stack.stuck", "stack.unstuck")
"""The types of the events of the report that a stack is stuck, which name no record."""

_EDGES = {"ok": "cleared", "alarm": "raised", "no_data": "no_data"}


class StoredRecord(NamedTuple):
    """A record as it is stored: its JSON and its lease."""

    fields: dict[str, Any]
    lease: int


def name_of(
    change_type: str, name: str | None, flapping: Mapping[str, Any] | None = None
) -> str | None:
    """Return the name by which a change of a record is compared; None for one of another kind.

    :param flapping: the path that flaps, and more, as a ``stack.flapping`` describes it.
    """
    if change_type in REPORTS:
        return "report:stuck"
    if flapping is not None:
        return f"flapping:{flapping_key(flapping['path']).name}"
    noun = change_type.partition(".")[0]
    return f"{noun}:{name}" if noun in WATCHED.values() else None


def event_type(noun: str, current: StoredRecord | None, former: StoredRecord | None) -> str | None:
    """Return the type of the event for a put or, without *current*, a deletion; None without event."""
    if noun == "member":
        return _of_member(current, former)
    if noun == "report":
        if (current is None) == (former is None):
            return None
        return "stack.stuck" if former is None else "stack.unstuck"
    if noun == "flapping":  # a report that is renewed, or ends, is none
        return "stack.flapping" if former is None and current is not None else None
    if current is None or former is None:
        return None
    new, old = current.fields, former.fields
    lost = new.get("history_lost_at") not in (None, old.get("history_lost_at"))
    if noun == "waiter":
        if old["state"] == "pending" and new["state"] != "pending":
            return f"waiter.{new['state']}"
        return "waiter.history_lost" if lost and new["state"] == "pending" else None
    if new["decided_revision"] != old["decided_revision"]:
        return f"alarm.{_EDGES[new['state']]}"
    if new["repeats"] != old["repeats"]:
        return "alarm.repeated"
    return "alarm.history_lost" if lost else None


def _of_member(current: StoredRecord | None, former: StoredRecord | None) -> str | None:
    was_live = former is not None and former.fields["state"] != "departed"
    if current is None:
        return "member.expire" if was_live else None
    if current.fields["state"] == "departed":
        return "member.depart" if was_live else None
    if was_live and former is not None and former.lease == current.lease:
        return "member.change"
    return "member.join"
