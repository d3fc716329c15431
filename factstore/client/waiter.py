"""The waiters of a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from factstore.client import urls
from factstore.client.conditional import read_unless_known
from factstore.client.errors import NotFound
from factstore.client.transport import LONGEST_WAIT, Transport, parsed

if TYPE_CHECKING:
    from typing import Self

PENDING = "pending"


@dataclass(frozen=True)
class WaiterRecord:
    """A waiter.

    :param state: ``pending``, ``met``, ``failed`` or ``timed_out``.
    :param satisfied: how many of *needed* are satisfied; both are None in lists.
    :param missing: the items that are not satisfied yet; *failing* are the items that make it fail.
    :param reason: a sentence on why the waiter ended; None while it is pending.
    :param revision: the revision at which the waiter was armed or its end was recorded.
    :param signals: by id: ``status``, ``reason``, ``data``...
    :param etag: the value for ``if_none_match``; None in lists and events.
    :param history_lost_at: when it was noticed that changes were lost while the waiter was pending,
        or None.
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
    history_lost_at: str | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str | None = None) -> Self:
        """Return the waiter in a document.  Unknown fields are ignored."""
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
            history_lost_at=document.get("history_lost_at"),
        )

    @property
    def ended(self) -> bool:
        """True if the waiter is no longer pending."""
        return self.state != PENDING


class Waiter:
    """Operations on one waiter."""

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
        fail_when_stuck: int | None = None,
        create_only: bool = False,
    ) -> WaiterRecord:
        """Arm the waiter, and return it.

        A waiter that has ended is armed again.  If it is pending with the same definition, nothing
        changes.

        :param success: a condition, such as ``{"signals": 2}``.
        :param timeout: seconds; None for the service's default.
        :param fail_when_stuck: seconds after which it fails if members wait for each other or for what
            will not come, so that it cannot be met; None not to fail because of that.
        :param create_only: fail if the waiter exists.
        :raises PreconditionFailed: *create_only* is true and the waiter exists.
        """
        body: dict[str, Any] = {"success": success}
        if failure is not None:
            body["failure"] = failure
        if timeout is not None:
            body["timeout"] = timeout
        if extend_on_progress:
            body["extend_on_progress"] = True
        if fail_when_stuck is not None:
            body["fail_when_stuck"] = fail_when_stuck
        headers = {"If-None-Match": "*"} if create_only else {}
        response = self._transport.send("PUT", self._url, headers=headers, body=body)
        return parsed(response, WaiterRecord.parse)

    @overload
    def show(self, *, wait: float = 0, if_none_match: None = None) -> WaiterRecord: ...

    @overload
    def show(self, *, wait: float = 0, if_none_match: str) -> WaiterRecord | None: ...

    def show(self, *, wait: float = 0, if_none_match: str | None = None) -> WaiterRecord | None:
        """Return the waiter with its progress and signals.

        :param wait: seconds, 0 to 50, for which the request waits until the waiter ends or progresses
            or, with *if_none_match*, the etag differs.
        :param if_none_match: the etag that the caller already knows.
        :return: the waiter; None if it still has the etag *if_none_match*.
        :raises NotFound: the waiter does not exist.
        """
        return read_unless_known(
            self._transport, self._url, if_none_match, WaiterRecord.parse, wait=wait
        )

    def wait(
        self,
        timeout: float,
        *,
        on_progress: Callable[[WaiterRecord], object] = lambda record: None,
    ) -> WaiterRecord:
        """Wait until the waiter has ended, and return it.

        :param timeout: seconds after which this call returns; the waiter has its own timeout.
        :param on_progress: called with the waiter at first, and after each change.
        :return: the waiter; still pending if the time ran out.
        :raises NotFound: the waiter does not exist.
        """
        clock = self._transport.clock
        end = clock.monotonic() + timeout
        known = self.show()
        on_progress(known)
        while not known.ended and (left := end - clock.monotonic()) > 0:
            sent_at = clock.monotonic()
            wait = min(left, LONGEST_WAIT)
            newer = self.show(wait=wait, if_none_match=known.etag or "")
            if newer is not None:
                known = newer
                on_progress(known)
            elif (early := sent_at + wait - clock.monotonic()) > 0:
                clock.sleep(min(1.0, early))  # a stopping service ends waits early
        return known

    def signal(
        self,
        status: str = "SUCCESS",
        *,
        reason: str | None = None,
        data: Any = None,
        identifier: str | None = None,
    ) -> WaiterRecord:
        """Signal ``SUCCESS`` or ``FAILURE``, as to Heat's wait conditions, and return the waiter.

        :param identifier: identifies the signal.  Each id counts once; a later signal replaces an
            earlier one with the same id.
        :raises NotFound: the waiter does not exist.
        """
        fields = {"status": status, "reason": reason, "data": data, "id": identifier}
        body = {name: value for name, value in fields.items() if value is not None}
        return parsed(
            self._transport.send("POST", f"{self._url}/signal", body=body), WaiterRecord.parse
        )

    def delete(self) -> None:
        """Delete the waiter.  It may already be deleted."""
        try:
            self._transport.send("DELETE", self._url)
        except NotFound:
            return
