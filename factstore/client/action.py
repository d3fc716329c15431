"""Actions: hooks that members run once, now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from factstore.client import urls
from factstore.client.conditional import read_unless_known
from factstore.client.errors import NotFound
from factstore.client.transport import LONGEST_WAIT, Transport, parsed

if TYPE_CHECKING:
    from typing import Self

_PAGE = "100"


@dataclass(frozen=True)
class ActionResult:
    """The run of one member.

    :param state: ``waiting``, ``due``, ``in_progress``, ``complete``, ``failed``, ``lost``,
        ``cancelled`` or ``timed_out``.
    :param status_code: of the hook; None until it has ended.
    :param percent: the progress, 0 to 100; None if it is not known.
    :param message: the last line of output.
    :param reason: of a failure that the hook did not report itself.
    :param stdout: the end of the output; empty in the results of :class:`ActionRecord`, as are *stderr*
        and *outputs*.
    """

    member: str
    state: str
    status_code: int | None
    percent: int | None
    message: str
    reason: str
    started_at: str | None
    ended_at: str | None
    stdout: str = field(default="", repr=False)
    stderr: str = field(default="", repr=False)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the result in a document.  Unknown fields are ignored."""
        return cls(
            member=document["member"],
            state=document["state"],
            status_code=document["status_code"],
            percent=document["percent"],
            message=document["message"],
            reason=document["reason"],
            started_at=document["started_at"],
            ended_at=document["ended_at"],
            stdout=document.get("stdout", ""),
            stderr=document.get("stderr", ""),
            outputs=document.get("outputs", {}),
        )

    @property
    def ended(self) -> bool:
        """True if the run is over."""
        return self.state not in ("waiting", "due", "in_progress")


@dataclass(frozen=True)
class ActionRecord:
    """An action.  To the holder of a grant, it shows only the run of its own member.

    :param state: ``in_progress``, ``complete``, ``failed``, ``cancelled`` or ``timed_out``.
    :param counts: the number of members in each state.
    :param results: the runs by the names of the members; empty in lists, as are *config*, *options*,
        *inputs* and *input_facts*.
    :param etag: empty in lists and in responses to writes.
    """

    id: str
    hook: str
    timeout: int
    created_at: str
    state: str = "in_progress"
    member: str | None = None
    group: str | None = None
    max_parallel: int | None = None
    ttl: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    created_by: str = ""
    cancelled_at: str | None = None
    config: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    input_facts: Mapping[str, str] = field(default_factory=dict)
    results: Sequence[ActionResult] = ()
    etag: str = ""

    @classmethod
    def parse(cls, document: Mapping[str, Any], etag: str = "") -> Self:
        """Return the action in a document.  Unknown fields are ignored."""
        return cls(
            id=document["id"],
            hook=document["hook"],
            timeout=document["timeout"],
            created_at=document["created_at"],
            state=document.get("state", "in_progress"),
            member=document.get("member"),
            group=document.get("group"),
            max_parallel=document.get("max_parallel"),
            ttl=document.get("ttl"),
            counts=document.get("counts", {}),
            created_by=document.get("created_by", ""),
            cancelled_at=document.get("cancelled_at"),
            config=document.get("config", ""),
            options=document.get("options", {}),
            inputs=document.get("inputs", {}),
            input_facts=document.get("input_facts", {}),
            results=tuple(map(ActionResult.parse, document.get("results", ()))),
            etag=etag,
        )

    @property
    def ended(self) -> bool:
        """True if the runs of all members have ended."""
        return self.state != "in_progress"


@dataclass(frozen=True)
class MemberAction:
    """An action that a member is to run, or runs.

    :param state: that of the member's run.
    """

    id: str
    hook: str
    state: str


@dataclass(frozen=True)
class MemberActionList:
    """The actions of a member that have not ended, in the order in which they were created.

    :param etag: of the list.
    """

    actions: Sequence[MemberAction]
    etag: str


class Action:
    """Operations on one action."""

    def __init__(self, stack_url: str, identifier: str, transport: Transport) -> None:
        self.id = identifier
        self._url = urls.item_url(stack_url, "actions", identifier)
        self._transport = transport

    def show(self, *, if_none_match: str | None = None, wait: float = 0) -> ActionRecord | None:
        """Return the action with the states of its members.

        :param if_none_match: the etag that the caller already knows.
        :param wait: seconds, 0 to 50, for which the request waits until the etag differs, or without
            *if_none_match* until the action has ended.
        :return: the action; None if it still has the etag *if_none_match*.
        :raises NotFound: it does not exist.
        """
        return read_unless_known(
            self._transport, self._url, if_none_match, ActionRecord.parse, wait=wait
        )

    def wait(
        self,
        timeout: float,
        *,
        on_progress: Callable[[ActionRecord], object] = lambda record: None,
    ) -> ActionRecord:
        """Wait until the action has ended, and return it.

        :param timeout: seconds after which this call returns; the action has its own timeout.
        :param on_progress: called with the action at first, and after each change.
        :return: the action; still in progress if the time ran out.
        :raises NotFound: it does not exist, or was deleted meanwhile.
        """
        clock = self._transport.clock
        end = clock.monotonic() + timeout
        known = self.show()
        assert known is not None  # noqa: S101 - it was read without an etag
        on_progress(known)
        while not known.ended and (left := end - clock.monotonic()) > 0:
            sent_at, wait = clock.monotonic(), min(left, LONGEST_WAIT)
            newer = self.show(wait=wait, if_none_match=known.etag)
            if newer is not None:
                known = newer
                on_progress(known)
            elif (early := sent_at + wait - clock.monotonic()) > 0:
                clock.sleep(min(1.0, early))  # a stopping service ends waits early
        return known

    def results(self) -> Iterator[ActionResult]:
        """Iterate over the results by the names of the members, with what the hooks printed.

        :raises NotFound: the action does not exist.
        """
        params = {"limit": _PAGE}
        while True:
            response = self._transport.send("GET", f"{self._url}/results", params=params)
            page, is_last = parsed(response, _page)
            yield from page
            if is_last:
                return
            params = {"limit": _PAGE, "marker": page[-1].member}

    def result(self, member: str) -> ActionResult:
        """Return the result of one member, with what its hook printed.

        :raises NotFound: there is no such action, or the member does not take part in it.
        """
        return parsed(self._transport.send("GET", self._result_url(member)), ActionResult.parse)

    def report(self, member: str, state: str, **result: Any) -> ActionResult:
        """Report the progress of a member's run, or its end; return the result.

        :param state: ``in_progress``, ``complete`` or ``failed``.
        :param result: ``status_code``, ``stdout``, ``stderr``, ``outputs``, ``percent``, ``message``
            and ``reason``.
        :raises NotFound: there is no such action, or the member does not take part in it.
        :raises Conflict: the member has to wait for others, or its run has ended.
        """
        body = {"state": state, **result}
        response = self._transport.send("PUT", self._result_url(member), body=body)
        return parsed(response, ActionResult.parse)

    def cancel(self) -> ActionRecord:
        """Cancel the action, and return it: no further member starts, and agents end what they run.

        :raises NotFound: it does not exist.
        :raises Conflict: it has ended.
        """
        response = self._transport.send("POST", f"{self._url}/cancel", body={})
        return parsed(response, ActionRecord.parse)

    def delete(self) -> None:
        """Delete the action and its results, if it exists."""
        with contextlib.suppress(NotFound):
            self._transport.send("DELETE", self._url)

    def _result_url(self, member: str) -> str:
        return f"{self._url}{urls.item_url('', 'results', member)}"


def _page(document: Mapping[str, Any]) -> tuple[list[ActionResult], bool]:
    is_last = all(link["rel"] != "next" for link in document["links"])
    return [ActionResult.parse(each) for each in document["results"]], is_last
