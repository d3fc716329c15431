"""The facts of one stack: one, or many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, overload

import requests

from factstore.client import urls
from factstore.client.batch import Delete, Guard, Put
from factstore.client.conditional import quoted, write_headers
from factstore.client.errors import Gone, NotFound
from factstore.client.paging import next_params
from factstore.client.records import BatchResult, Fact, Page, Snapshot
from factstore.client.transport import LONGEST_WAIT, Transport, named, parsed

PAGE_FACTS = 1000
_SNAPSHOT_ATTEMPTS = 5


class Facts:
    """What can be done with a stack's facts; :class:`~factstore.client.stack.Stack` is one."""

    def __init__(self, name: str, transport: Transport) -> None:
        self.name = name
        self._url = urls.stack_url(name)
        self._transport = transport

    # One fact

    def put(
        self,
        path: str,
        value: Any,
        *,
        kind: str | None = None,
        ttl: int | None = None,
        member: str | None = None,
        generation: str | None = None,
        sensitive: bool = False,
        readers: Sequence[str] = (),
        if_match: str | None = None,
        if_absent: bool = False,
        idempotency_key: str | None = None,
    ) -> Fact:
        """Store a fact; the first one creates the stack.

        :param value: anything that :mod:`json` writes.
        :param kind: ``observed`` or ``parameter``; None for the service's default.
        :param ttl: seconds it lives, 5 to 30 days; None for a fact that stays.
        :param member: the member with which it goes.
        :param generation: only if this incarnation of a member lives.
        :param sensitive: whether the service seals the value and shows it to few: in the answer to
            :meth:`get`, and nowhere else.
        :param readers: who may see a sensitive value, beside those whom the service's policy lets:
            ``group/NAME``, ``member/NAME``.
        :param if_match: only if the fact has this etag; ``*`` for any.
        :param if_absent: only if there is no fact.
        :param idempotency_key: makes the write safe to repeat, which is then done for the caller.
        :return: the fact as it stands; ``unchanged`` if it stood so before.
        :raises PreconditionFailed: *if_match* or *if_absent* does not hold.
        :raises Conflict: such as that the generation lives no more.
        :raises OutcomeUnknown: it may or may not have been written.
        """
        headers = write_headers(if_match, idempotency_key)
        if if_absent:
            headers["If-None-Match"] = "*"
        wish = Put(path, value, kind, ttl, member, generation, sensitive, readers)
        response = self._transport.send(
            "PUT", self._fact_url(path), headers=headers, body=wish.body()
        )
        unchanged = response.headers.get("Factstore-Unchanged") == "true"
        return parsed(response, lambda found: Fact.parse(found, unchanged=unchanged))

    @overload
    def get(
        self, path: str, *, wait: float = 0, if_none_match: None = None, stale: bool = False
    ) -> Fact: ...

    @overload
    def get(
        self, path: str, *, wait: float = 0, if_none_match: str, stale: bool = False
    ) -> Fact | None: ...

    def get(
        self, path: str, *, wait: float = 0, if_none_match: str | None = None, stale: bool = False
    ) -> Fact | None:
        """Read a fact.

        :param wait: seconds, 0 to 50, in which the service holds the answer back until the fact
            exists or, with *if_none_match*, has another etag.
        :param if_none_match: the etag that is known already.
        :param stale: accept what one worker of the service remembers.
        :return: the fact; None if it has the etag that is known.
        :raises NotFound: there is none.
        :raises Forbidden: it is sensitive, and the caller may not see its value.
        """
        response = self._read(self._fact_url(path), {}, if_none_match, wait, stale)
        return None if response.status_code == 304 else parsed(response, Fact.parse)

    def wait(self, path: str, timeout: float) -> Fact:
        """Read a fact as soon as it exists.

        :param timeout: seconds; the service counts whole ones.
        :raises NotFound: there is still none.
        """
        clock = self._transport.clock
        end = clock.monotonic() + timeout
        while True:
            asked_at = clock.monotonic()
            wait = min(max(end - asked_at, 0.0), LONGEST_WAIT)
            try:
                return self.get(path, wait=wait)
            except NotFound as error:
                now = clock.monotonic()
                if now >= end:
                    raise
                early = asked_at + wait - now  # a stopping service lets its callers go
                if early > 0:
                    clock.sleep(min(error.retry_after or 1.0, end - now))

    def delete(
        self,
        path: str,
        *,
        generation: str | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Remove a fact.

        :param generation: only if this incarnation of a member lives.
        :raises NotFound: there is none.
        :raises PreconditionFailed: *if_match* does not hold.
        :raises Conflict: the generation lives no more.
        """
        headers = write_headers(if_match, idempotency_key, generation)
        self._transport.send("DELETE", self._fact_url(path), headers=headers)

    # Many facts

    def list(self, prefix: str = "", *, limit: int = PAGE_FACTS) -> Iterator[Page]:
        """All facts, or those at and below a path, in pages that all show one revision.

        :param limit: how many facts to ask for at a time, 1 to 1000.
        :raises NotFound: there is no such stack.
        :raises Gone: it took too long to read, and that revision is not kept any more; begin anew.
        """
        params: dict[str, str] | None = {"limit": str(limit), **named(prefix=prefix)}
        while params is not None:
            response = self._transport.send("GET", f"{self._url}/facts", params=params)
            page, params = parsed(response, lambda found: (Page.parse(found), next_params(found)))
            yield page

    def snapshot(self, prefix: str = "") -> Snapshot:
        """All facts, or those at and below a path, as they stand at one revision.

        :raises NotFound: there is no such stack.
        :raises Gone: again and again they could not be read before they were history.
        """
        for attempt in range(_SNAPSHOT_ATTEMPTS):
            try:
                pages = tuple(self.list(prefix))
                break
            except Gone:
                if attempt == _SNAPSHOT_ATTEMPTS - 1:
                    raise
        return Snapshot(tuple(chain.from_iterable(page.facts for page in pages)), pages[0].cursor)

    def batch(
        self,
        operations: Iterable[Put | Delete],
        guards: Iterable[Guard] = (),
        *,
        generation: str | None = None,
        idempotency_key: str | None = None,
    ) -> BatchResult:
        """Carry out all operations in one revision if all guards hold, else nothing.

        :param operations: at most 100, guards included, each for another path.
        :param generation: only if this incarnation of a member lives.
        :raises PreconditionFailed: a guard does not hold.
        :raises Conflict: such as that the generation lives no more.
        :raises OutcomeUnknown: all or nothing may have been written.
        """
        body: dict[str, Any] = {"operations": [operation.document() for operation in operations]}
        if documents := [guard.document() for guard in guards]:
            body["guards"] = documents
        headers = write_headers(None, idempotency_key, generation)
        response = self._transport.send("POST", f"{self._url}/batch", headers=headers, body=body)
        return parsed(response, BatchResult.parse)

    def _fact_url(self, path: str) -> str:
        return urls.fact_url(self._url, path)

    def _read(
        self,
        url: str,
        params: dict[str, str],
        if_none_match: str | None,
        wait: float,
        stale: bool = False,
    ) -> requests.Response:
        if stale:
            params = {**params, "consistency": "stale"}
        headers = {"If-None-Match": quoted(if_none_match)} if if_none_match is not None else {}
        return self._transport.send("GET", url, params=params, headers=headers, wait=wait)
