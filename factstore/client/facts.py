"""The facts of one stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn, overload

from factstore.client import urls
from factstore.client.advice import advises, missing_attribute
from factstore.client.batch import Delete, DeletePrefix, Guard, Put
from factstore.client.batch_preview import BatchPreview
from factstore.client.conditional import quoted, write_headers
from factstore.client.errors import Gone, NotFound, WaitTimeout
from factstore.client.events import Snapshot
from factstore.client.http.responses import Response
from factstore.client.paging import next_params
from factstore.client.query import query_params
from factstore.client.records import BatchResult, DeletedFolder, Fact, Page
from factstore.client.transport import LONGEST_WAIT, Transport, parsed

PAGE_FACTS = 1000
_SNAPSHOT_ATTEMPTS = 5
_BATCH_EXAMPLE = 'For example: batch([Put("a", 1), Delete("b")], guards=[Guard.absent("a")]).'


class Facts:
    """Operations on the facts of a stack; a base of :class:`~factstore.client.stack.Stack`."""

    def __init__(self, name: str, transport: Transport) -> None:
        self.name = name
        self._url = urls.stack_url(name)
        self._transport = transport

    if not TYPE_CHECKING:  # type checkers know which attributes there are

        def __getattr__(self, name: str) -> NoReturn:
            raise missing_attribute(self, name)

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
        """Store a fact and return it.  The first fact of a stack creates the stack.

        :param value: any value that :mod:`json` can write.
        :param kind: ``observed`` or ``parameter``; None for the service's default.
        :param ttl: time to live in seconds, 5 to 2592000 (30 days); None for a fact without an expiry.
        :param member: the member to bind the fact to.
        :param generation: put the fact only if this incarnation of a member is live.
        :param sensitive: whether the service seals the value and restricts who may see it.  Only
            :meth:`get` returns it.
        :param readers: the groups and members that may see a sensitive value, in addition to the
            callers that policy allows: ``group/NAME``, ``member/NAME``.
        :param if_match: put the fact only if it has this etag; ``*`` for any.
        :param if_absent: put the fact only if it does not exist.
        :param idempotency_key: makes the write safe to repeat; the client then retries it.
        :return: the stored fact; ``unchanged`` is true if it already matched.
        :raises PreconditionFailed: the condition of *if_match* or *if_absent* is not met.
        :raises Conflict: for example, the generation is no longer live.
        :raises OutcomeUnknown: the write may or may not have happened.
        """
        headers = write_headers(if_match, idempotency_key)
        if if_absent:
            headers["If-None-Match"] = "*"
        operation = Put(path, value, kind, ttl, member, generation, sensitive, readers)
        response = self._transport.send(
            "PUT", self._fact_url(path), headers=headers, body=operation.body()
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

        :param wait: seconds, 0 to 50, for which the request waits until the fact exists or, with
            *if_none_match*, has another etag.
        :param if_none_match: the etag that the caller already knows.
        :param stale: accept the possibly outdated state of one worker of the service.
        :return: the fact; None if it still has the etag *if_none_match*.
        :raises NotFound: the fact does not exist.
        :raises Forbidden: the fact is sensitive, and the caller may not see its value.
        """
        response = self._read(self._fact_url(path), {}, if_none_match, wait, stale)
        return None if response.status_code == 304 else parsed(response, Fact.parse)

    def wait(self, path: str, timeout: float) -> Fact:
        """Wait until a fact exists, and return it.

        :param timeout: seconds; the service counts whole seconds.
        :raises WaitTimeout: the fact still does not exist; a NotFound and a TimeoutError.
        """
        clock = self._transport.clock
        end = clock.monotonic() + timeout
        while True:
            sent_at = clock.monotonic()
            wait = min(max(end - sent_at, 0.0), LONGEST_WAIT)
            try:
                return self.get(path, wait=wait)
            except NotFound as error:
                now = clock.monotonic()
                if now >= end:
                    raise WaitTimeout(
                        f"Fact {path!r} did not exist within {timeout:g} s: {error.detail}",
                        status=error.status,
                        code=error.code,
                        request_id=error.request_id,
                        members=error.members,
                    ) from error
                early = sent_at + wait - now  # a stopping service ends waits early
                if early > 0:
                    clock.sleep(min(error.retry_after or 1.0, end - now))

    @advises("To delete the stack and everything in it, call delete_stack().")
    def delete(
        self,
        path: str,
        *,
        generation: str | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Delete a fact.

        :param generation: delete the fact only if this incarnation of a member is live.
        :raises NotFound: the fact does not exist.
        :raises PreconditionFailed: the fact does not have the etag *if_match*.
        :raises Conflict: the generation is no longer live.
        """
        headers = write_headers(if_match, idempotency_key, generation)
        self._transport.send("DELETE", self._fact_url(path), headers=headers)

    # Many facts

    def delete_folder(self, path: str, *, generation: str | None = None) -> DeletedFolder:
        """Delete all facts at and below a path: up to about 100 in one revision, more in several.

        :param generation: delete the facts only while this incarnation of a member is live.
        :raises NotFound: there is no fact at or below the path.
        :raises Conflict: the generation is no longer live.
        """
        headers = write_headers(None, None, generation)
        response = self._transport.send(
            "DELETE", self._fact_url(path), headers=headers, params={"recursive": "true"}
        )
        return parsed(response, DeletedFolder.parse)

    def list(self, prefix: str = "", *, limit: int = PAGE_FACTS) -> Iterator[Page]:
        """Iterate over pages of all facts, or of those at and below a path, at one revision.

        :param limit: the number of facts in one request, 1 to 1000.
        :raises NotFound: the stack does not exist.
        :raises Gone: reading took too long and the revision is no longer kept; start again.
        """
        params: dict[str, str] | None = {"limit": str(limit), **query_params(prefix=prefix)}
        while params is not None:
            response = self._transport.send("GET", f"{self._url}/facts", params=params)
            page, params = parsed(response, lambda found: (Page.parse(found), next_params(found)))
            yield page

    def snapshot(self, prefix: str = "") -> Snapshot:
        """Return all facts, or those at and below a path, at one revision.

        :raises NotFound: the stack does not exist.
        :raises Gone: in every attempt, reading took longer than the service keeps a revision.
        """
        for attempt in range(_SNAPSHOT_ATTEMPTS):
            try:
                pages = tuple(self.list(prefix))
                break
            except Gone:
                if attempt == _SNAPSHOT_ATTEMPTS - 1:
                    raise
        return Snapshot(tuple(chain.from_iterable(page.facts for page in pages)), pages[0].cursor)

    @advises(_BATCH_EXAMPLE)
    def batch(
        self,
        operations: Iterable[Put | Delete | DeletePrefix],
        guards: Iterable[Guard] = (),
        *,
        generation: str | None = None,
        idempotency_key: str | None = None,
        plan: str | None = None,
    ) -> BatchResult:
        """If all guards are met, carry out all operations in one revision; otherwise change nothing.

        :param operations: at most 100 including the guards and the facts of prefixes, each for a
            different path.
        :param generation: write only if this incarnation of a member is live.
        :param plan: of a preview of the same batch: write only if the batch still does exactly that.
        :raises PreconditionFailed: a guard is not met, or the batch would do something else.
        :raises Conflict: for example, the generation is no longer live.
        :raises OutcomeUnknown: either all operations were carried out or none.
        """
        headers = write_headers(None, idempotency_key, generation)
        if plan is not None:
            headers["If-Plan"] = plan
        body = _batch_body(operations, guards)
        response = self._transport.send("POST", f"{self._url}/batch", headers=headers, body=body)
        return parsed(response, BatchResult.parse)

    def preview_batch(
        self,
        operations: Iterable[Put | Delete | DeletePrefix],
        guards: Iterable[Guard] = (),
        *,
        generation: str | None = None,
    ) -> BatchPreview:
        """Return what a batch would do: to facts, members, waiters and alarms.  Nothing is written.

        :raises PreconditionFailed: a guard is not met.
        :raises Conflict: the batch would be refused; for example, the generation is no longer live.
        """
        response = self._transport.send(
            "POST",
            f"{self._url}/batch",
            params={"dry_run": "true"},
            headers=write_headers(None, None, generation),
            body=_batch_body(operations, guards),
        )
        return parsed(response, BatchPreview.parse)

    def _fact_url(self, path: str) -> str:
        return urls.fact_url(self._url, path)

    def _pages(self, collection: str, **params: str) -> Iterator[Sequence[dict[str, Any]]]:
        query: dict[str, str] | None = {"limit": str(PAGE_FACTS), **params}
        while query is not None:
            response = self._transport.send("GET", f"{self._url}/{collection}", params=query)
            page, query = parsed(response, lambda found: (found[collection], next_params(found)))
            yield page

    def _read(
        self,
        url: str,
        params: dict[str, str],
        if_none_match: str | None,
        wait: float,
        stale: bool = False,
    ) -> Response:
        if stale:
            params = {**params, "consistency": "stale"}
        headers = {"If-None-Match": quoted(if_none_match)} if if_none_match is not None else {}
        return self._transport.send("GET", url, params=params, headers=headers, wait=wait)


def _batch_body(
    operations: Iterable[Put | Delete | DeletePrefix], guards: Iterable[Guard]
) -> dict[str, Any]:
    operations = list(operations)
    if not all(isinstance(each, (Put, Delete, DeletePrefix)) for each in operations):
        raise TypeError(
            f"An operation of a batch is a Put, Delete or DeletePrefix. {_BATCH_EXAMPLE}"
        )
    body: dict[str, Any] = {"operations": [operation.document() for operation in operations]}
    if documents := [guard.document() for guard in guards]:
        body["guards"] = documents
    return body
