"""When the members of a stack ran their configurations and actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from factstore.client.action import ActionRecord
from factstore.client.configuration import ConfigurationRecord


@dataclass(frozen=True)
class TimelineEntry:
    """One run of a member.

    :param kind: ``configuration`` or ``action``.
    :param name: of the configuration, or the id of the action.
    :param started_at: ISO 8601, by the clock of the service; None if it has not started.
    :param ended_at: None if it has not ended.
    :param seconds: the duration; None until it has ended.
    """

    member: str
    kind: str
    name: str
    state: str
    started_at: str | None
    ended_at: str | None
    message: str

    @property
    def seconds(self) -> float | None:
        """The duration; None if it has not started or not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (moment(self.ended_at) - moment(self.started_at)).total_seconds()


def make_timeline(
    configurations: Iterable[ConfigurationRecord], actions: Iterable[ActionRecord]
) -> list[TimelineEntry]:
    """Return the runs by member, each in the order of their starts; those that have not started last.

    :param actions: with their results.
    """
    entries = [
        TimelineEntry(
            each.member,
            "configuration",
            each.name,
            each.state,
            each.result.started_at if each.result else None,
            each.result.ended_at if each.result else None,
            (each.result.reason or each.result.message) if each.result else "",
        )
        for each in configurations
    ]
    entries += [
        TimelineEntry(
            result.member,
            "action",
            action.id,
            result.state,
            result.started_at,
            result.ended_at,
            result.reason or result.message,
        )
        for action in actions
        for result in action.results
    ]
    # The sort is stable: runs that have not started stay in the order in which they are to run.
    return sorted(entries, key=lambda e: (e.member, e.started_at is None, e.started_at or ""))


def moment(text: str) -> datetime:
    """Return the moment of a timestamp of the service."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
