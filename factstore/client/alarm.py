"""The alarms of a stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from factstore.client import urls
from factstore.client.conditional import read_unless_known, unquoted
from factstore.client.errors import NotFound
from factstore.client.transport import Transport, parsed

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class AlarmRecord:
    """An alarm.

    :param state: ``ok``, ``alarm`` or ``no_data``.
    :param pending: the state that the alarm gets if its condition does not change back; else None.
    :param value: the number that decided the last change of the state; None if none did.
    :param reason: a sentence on that change; None before the first.
    :param repeats: the number of repetitions since then.
    :param for_seconds: for which the condition must have changed before the state does.
    :param quiet: seconds after a change of the state in which it does not change again.
    :param repeat: seconds between repetitions while the alarm is raised; 0 for none.
    :param no_data: ``keep``, or the state without data.
    :param current: ``met``, ``value`` and ``ignored`` of the present; None in lists and events.
    :param etag: the value for ``if_none_match``; None in lists and events.
    :param history_lost_at: when it was last noticed that changes were lost since the alarm was set,
        or None.
    """

    name: str
    state: str
    pending: str | None
    value: float | None
    reason: str | None
    repeats: int
    revision: int
    decided_revision: int | None
    condition: Mapping[str, Any]
    for_seconds: int
    quiet: int
    repeat: int
    no_data: str
    changed_at: str
    current: Mapping[str, Any] | None = None
    etag: str | None = None
    history_lost_at: str | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str | None = None) -> Self:
        """Return the alarm in a document.  Unknown fields are ignored."""
        return cls(
            name=document["name"],
            state=document["state"],
            pending=document["pending"],
            value=document["value"],
            reason=document["reason"],
            repeats=document["repeats"],
            revision=document["revision"],
            decided_revision=document["decided_revision"],
            condition=document["condition"],
            for_seconds=document["for"],
            quiet=document["quiet"],
            repeat=document["repeat"],
            no_data=document["no_data"],
            changed_at=document["changed_at"],
            current=document.get("current"),
            etag=etag,
            history_lost_at=document.get("history_lost_at"),
        )

    @property
    def ignored(self) -> Sequence[str]:
        """The facts or members whose values are no numbers; empty in lists and events."""
        return tuple(self.current["ignored"]) if self.current else ()


class Alarm:
    """Operations on one alarm."""

    def __init__(self, stack_url: str, name: str, transport: Transport) -> None:
        self.name = name
        self._url = urls.item_url(stack_url, "alarms", name)
        self._transport = transport

    def set(
        self,
        condition: Mapping[str, Any],
        *,
        for_seconds: int = 0,
        quiet: int = 0,
        repeat: int = 0,
        no_data: str = "keep",
        create_only: bool = False,
    ) -> AlarmRecord:
        """Create the alarm or change its definition, and return it.

        The other parameters are described at :class:`AlarmRecord`.

        :param condition: such as ``{"facts": "nodes/*/failure", "present": True}``.
        :param create_only: fail if the alarm exists.
        :raises PreconditionFailed: *create_only* is true and the alarm exists.
        """
        body: dict[str, Any] = {
            "condition": condition,
            "for": for_seconds,
            "quiet": quiet,
            "repeat": repeat,
            "no_data": no_data,
        }
        headers = {"If-None-Match": "*"} if create_only else {}
        response = self._transport.send("PUT", self._url, headers=headers, body=body)
        etag = unquoted(response.headers["ETag"])
        return parsed(response, lambda found: AlarmRecord.parse(found, etag))

    @overload
    def show(self, *, wait: float = 0, if_none_match: None = None) -> AlarmRecord: ...

    @overload
    def show(self, *, wait: float = 0, if_none_match: str) -> AlarmRecord | None: ...

    def show(self, *, wait: float = 0, if_none_match: str | None = None) -> AlarmRecord | None:
        """Return the alarm with the present evaluation of its condition.

        :param wait: seconds, 0 to 50, for which the request waits until the state changes or, with
            *if_none_match*, the etag differs.
        :param if_none_match: the etag that the caller already knows.
        :return: the alarm; None if it still has the etag *if_none_match*.
        :raises NotFound: the alarm does not exist.
        """
        return read_unless_known(
            self._transport, self._url, if_none_match, AlarmRecord.parse, wait=wait
        )

    def delete(self) -> None:
        """Delete the alarm.  It may already be deleted."""
        try:
            self._transport.send("DELETE", self._url)
        except NotFound:
            return
