"""One waiter of a stack: armed, looked at, waited for, signalled to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, overload

from factstore.client import urls
from factstore.client.conditional import quoted, unquoted
from factstore.client.errors import NotFound
from factstore.client.transport import LONGEST_WAIT, Transport, parsed

PENDING = "pending"


@dataclass(frozen=True, slots=True)
class WaiterRecord:
    """A waiter.

    :param state: ``pending``, ``met``, ``failed`` or ``timed_out``.
    :param satisfied: how many of *needed* hold; None in a list, as *needed*.
    :param missing: what does not hold yet, and *failing* what makes it fail.
    :param reason: a sentence on its end; None while it is pending.
    :param revision: the revision that armed it, or wrote its end down.
    :param signals: by id: ``status``, ``reason``, ``data``...
    :param etag: what to give as ``if_none_match``; None in lists and events.
    """

    name: str
    state: str
    reason: str | None
    revision: int
    success: Mapping[str, Any]
    failure: Mapping[str, Any] | None
    timeout: int
    satisfied: int | None = None
    needed: int | None = None
    missing: Sequence[str] = ()
    failing: Sequence[str] = ()
    signals: Mapping[str, Mapping[str, Any]] | None = None
    etag: str | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str | None = None) -> Self:
        """The waiter that a document describes; what is not known here is passed over."""
        return cls(
            name=document["name"],
            state=document["state"],
            reason=document["reason"],
            revision=document["revision"],
            success=document["success"],
            failure=document["failure"],
            timeout=document["timeout"],
            satisfied=document.get("satisfied"),
            needed=document.get("needed"),
            missing=tuple(document.get("missing", ())),
            failing=tuple(document.get("failing", ())),
            signals=document.get("signals"),
            etag=etag,
        )

    @property
    def ended(self) -> bool:
        """Whether it is pending no more."""
        return self.state != PENDING


class Waiter:
    """A waiter's name in a stack, and what can be done with it."""

    def __init__(self, stack_url: str, name: str, transport: Transport) -> None:
        self.name = name
        self._url = urls.item_url(stack_url, "waiters", name)
        self._transport = transport

    def arm(
        self,
        success: Mapping[str, Any],
        *,
        failure: Mapping[str, Any] | None = None,
        timeout: int | None = None,
        extend_on_progress: bool = False,
        create_only: bool = False,
    ) -> WaiterRecord:
        """Let it wait, anew if it had ended; if it is pending for just this, nothing changes.

        :param success: a condition, such as ``{"signals": 2}``.
        :param timeout: seconds; None for the service's default.
        :param create_only: refuse if there is a waiter of that name.
        :raises PreconditionFailed: there is one, and *create_only*.
        """
        body: dict[str, Any] = {"success": success}
        if failure is not None:
            body["failure"] = failure
        if timeout is not None:
            body["timeout"] = timeout
        if extend_on_progress:
            body["extend_on_progress"] = True
        headers = {"If-None-Match": "*"} if create_only else {}
        response = self._transport.send("PUT", self._url, headers=headers, body=body)
        return parsed(response, WaiterRecord.parse)

    @overload
    def show(self, *, wait: float = 0, if_none_match: None = None) -> WaiterRecord: ...

    @overload
    def show(self, *, wait: float = 0, if_none_match: str) -> WaiterRecord | None: ...

    def show(self, *, wait: float = 0, if_none_match: str | None = None) -> WaiterRecord | None:
        """How it stands.

        :param wait: seconds, 0 to 50, in which the service holds the answer back until it ends or
            progresses or, with *if_none_match*, is different.
        :return: the waiter; None if it has the etag that is known.
        :raises NotFound: there is none.
        """
        headers = {"If-None-Match": quoted(if_none_match)} if if_none_match is not None else {}
        response = self._transport.send("GET", self._url, headers=headers, wait=wait)
        if response.status_code == 304:
            return None
        etag = unquoted(response.headers["ETag"])
        return parsed(response, lambda found: WaiterRecord.parse(found, etag))

    def wait(self, timeout: float) -> WaiterRecord:
        """Wait until it has ended.

        :param timeout: seconds of patience here; the waiter has a timeout of its own.
        :return: the waiter, still pending if the time is over.
        :raises NotFound: there is none.
        """
        clock = self._transport.clock
        end = clock.monotonic() + timeout
        known = self.show()
        while not known.ended and (left := end - clock.monotonic()) > 0:
            asked_at = clock.monotonic()
            wait = min(left, LONGEST_WAIT)
            newer = self.show(wait=wait, if_none_match=known.etag or "")
            if newer is not None:
                known = newer
            elif (early := asked_at + wait - clock.monotonic()) > 0:
                clock.sleep(min(1.0, early))  # a stopping service lets its callers go
        return known

    def signal(
        self,
        status: str = "SUCCESS",
        *,
        reason: str | None = None,
        data: Any = None,
        identifier: str | None = None,
    ) -> WaiterRecord:
        """Signal ``SUCCESS`` or ``FAILURE``, as Heat's wait conditions know it.

        :param identifier: who signals; the same id again replaces the signal, and each counts once.
        :raises NotFound: there is no such waiter.
        """
        body = {"status": status, "reason": reason, "data": data, "id": identifier}
        sent = {name: value for name, value in body.items() if value is not None}
        return parsed(
            self._transport.send("POST", f"{self._url}/signal", body=sent), WaiterRecord.parse
        )

    def delete(self) -> None:
        """Remove it; that it is gone already is no error."""
        try:
            self._transport.send("DELETE", self._url)
        except NotFound:
            return
