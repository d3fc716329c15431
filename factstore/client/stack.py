"""One stack: its facts, its members, waiters and grants, its context, its watch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, overload

import requests

from factstore.client.conditional import unquoted
from factstore.client.facts import Facts
from factstore.client.grant import Grant, GrantRecord
from factstore.client.member import Member, MemberRecord
from factstore.client.paging import next_params
from factstore.client.records import Context, Convergence, StackRecord
from factstore.client.transport import named, parsed
from factstore.client.waiter import Waiter, WaiterRecord
from factstore.client.watch import Watch

_PAGE = 1000


class Stack(Facts):
    """A stack's name, and everything that can be done with it.  Made by :meth:`Client.stack`.

    Every method raises :class:`~factstore.client.errors.FactstoreError`; only what a caller will
    want to tell apart is named below.  Etags are given and taken without quotes.
    """

    # Members and waiters

    def member(self, name: str, *, generation: str | None = None) -> Member:
        """A member by its name; nothing is sent, and it need not exist.

        :param generation: the incarnation that the caller is, from an earlier join.
        """
        return Member(self._url, name, self._transport, generation)

    def members(
        self, *, group: str | None = None, declared: str | None = None
    ) -> Iterator[MemberRecord]:
        """All living members, or those of a group, in order of their names.

        :param declared: only those that are declared as this.
        :raises NotFound: there is no such stack.
        :raises Gone: it took too long to read; begin anew.
        """
        params = named(group=group)
        if declared is not None:
            params["declared"] = declared
        for page in self._pages("members", **params):
            yield from map(MemberRecord.parse, page)

    def waiter(self, name: str) -> Waiter:
        """A waiter by its name; nothing is sent, and it need not exist."""
        return Waiter(self._url, name, self._transport)

    def waiters(self) -> Iterator[WaiterRecord]:
        """All waiters, in order of their names, without progress and signals.

        :raises NotFound: there is no such stack.
        :raises Gone: it took too long to read; begin anew.
        """
        for page in self._pages("waiters"):
            yield from map(WaiterRecord.parse, page)

    # Grants

    def issue_grant(
        self,
        *,
        role: str = "agent",
        member: str | None = None,
        group: str | None = None,
        ttl: int | None = None,
    ) -> GrantRecord:
        """Issue a grant; the record's token is told this once.

        :param role: ``agent``, which needs *member* or *group*, or ``reader``.
        :param group: the only one that the member may join.  Without *member* the grant is the group's:
            whoever holds it calls this with *member* alone, for a grant of that member's own.
        :param ttl: seconds; None for the service's default.
        :raises Forbidden: with a group's grant, also if somebody else is known by the member's name.
        """
        wanted = {"role": role, "member": member, "group": group, "ttl": ttl}
        body = {name: value for name, value in wanted.items() if value is not None}
        sent = self._transport.send("POST", f"{self._url}/grants", body=body)
        return parsed(sent, GrantRecord.parse)

    def grant(self, identifier: str) -> Grant:
        """A grant by its id; nothing is sent, and it need not exist."""
        return Grant(self._url, identifier, self._transport)

    def grants(self) -> Iterator[GrantRecord]:
        """All grants, in order of their ids.

        :raises NotFound: there is no such stack.
        :raises Gone: it took too long to read; begin anew.
        """
        for page in self._pages("grants"):
            yield from map(GrantRecord.parse, page)

    def _pages(self, what: str, **params: str) -> Iterator[list[dict[str, Any]]]:
        asked: dict[str, str] | None = {"limit": str(_PAGE), **params}
        while asked is not None:
            response = self._transport.send("GET", f"{self._url}/{what}", params=asked)
            page, asked = parsed(response, lambda found: (found[what], next_params(found)))
            yield page

    @overload
    def convergence(
        self, *, group: str | None = None, if_none_match: None = None, wait: float = 0
    ) -> Convergence: ...

    @overload
    def convergence(
        self, *, group: str | None = None, if_none_match: str, wait: float = 0
    ) -> Convergence | None: ...

    def convergence(
        self, *, group: str | None = None, if_none_match: str | None = None, wait: float = 0
    ) -> Convergence | None:
        """Which members have applied what the stack is now.

        :param group: only its members.
        :param if_none_match: the etag that is known already.
        :param wait: seconds, 0 to 50, in which the service holds the answer back until all have
            converged or, with *if_none_match*, something is different.
        :return: how it stands; None if it has the etag that is known.
        :raises NotFound: there is no such stack.
        """
        params = named(group=group)
        response = self._read(f"{self._url}/convergence", params, if_none_match, wait)
        if response.status_code == 304:
            return None
        etag = unquoted(response.headers["ETag"])
        return parsed(response, lambda found: Convergence.parse(found, etag))

    # The whole

    @overload
    def context(
        self,
        *,
        member: str | None = None,
        results: bool = False,
        if_none_match: None = None,
        wait: float = 0,
        settle: float = 0,
        max_settle: float | None = None,
    ) -> Context: ...

    @overload
    def context(
        self,
        *,
        member: str | None = None,
        results: bool = False,
        if_none_match: str,
        wait: float = 0,
        settle: float = 0,
        max_settle: float | None = None,
    ) -> Context | None: ...

    def context(
        self,
        *,
        member: str | None = None,
        results: bool = False,
        if_none_match: str | None = None,
        wait: float = 0,
        settle: float = 0,
        max_settle: float | None = None,
    ) -> Context | None:
        """Read the whole stack as one document.

        :param member: add what this member is, and who its peers are.
        :param results: include what is below ``results/``.
        :param if_none_match: the etag that is known already.
        :param wait: seconds, 0 to 50, in which the service holds the answer back until the stack
            exists or, with *if_none_match*, has another context.
        :param settle: seconds, 0 to 5, of quiet that a changed context is to have; *max_settle* ends
            the wait for it, ten times as long if it is None.
        :return: the context; None if it has the etag that is known.
        :raises NotFound: there is no such stack.
        """
        params = _view(member, results, settle, max_settle)
        response = self._read(f"{self._url}/context", params, if_none_match, wait)
        return None if response.status_code == 304 else _context(response)

    def newer_context(
        self,
        known: Context,
        *,
        member: str | None = None,
        results: bool = False,
        wait: float = 0,
        settle: float = 0,
        max_settle: float | None = None,
    ) -> Context:
        """What has become of a context; see :meth:`context`.

        If nothing did that shows, it is the same with a newer cursor: what changed and changed back
        was applied by whoever applied the context that is known.

        :raises NotFound: there is no such stack, or no such member.
        """
        params = _view(member, results, settle, max_settle)
        response = self._read(f"{self._url}/context", params, known.etag, wait)
        if response.status_code == 304:
            # An intermediary may have dropped the header.
            return replace(known, cursor=response.headers.get("Factstore-Cursor", known.cursor))
        return _context(response)

    def watch(
        self,
        since: str | None = None,
        *,
        prefix: str | None = None,
        types: Iterable[str] | None = None,
        initial: bool = False,
        bookmarks: bool = False,
        settle: float = 0,
        max_settle: float | None = None,
        retry_for: float | None = None,
    ) -> Watch:
        """Follow the stack's events.

        :param since: the cursor to go on from.  Without it and without *initial* the watch tells
            what happens from this call on, whenever iteration begins.
        :param prefix: only changes at or below this path.
        :param types: only changes of these types.
        :param initial: begin with a snapshot, if there is no cursor to go on from.
        :param bookmarks: also tell when the cursor moved without an event.
        :param settle: seconds, 0 to 5, of quiet for which events are held back; *max_settle* ends the
            wait for it, ten times as long if it is None.
        :param retry_for: seconds without the service after which iteration raises Unavailable; None
            to go on trying for ever.
        :raises NotFound: there is no such stack; without *since* at once, else while iterating.
        """
        params = named(prefix=prefix, types=",".join(types or ()), **_settling(settle, max_settle))
        url = f"{self._url}/events"
        if since is None and not initial:
            accept = {"Accept": "application/json"}
            now = self._transport.send("GET", url, headers=accept)
            since = parsed(now, lambda found: str(found["next"]))
        return Watch(self._transport, url, params, since, bookmarks=bookmarks, retry_for=retry_for)

    # The stack itself

    def describe(self) -> StackRecord:
        """The stack's settings and how much it holds.

        :raises NotFound: there is none.
        """
        return parsed(self._transport.send("GET", self._url), StackRecord.parse)

    def configure(self, *, description: str = "") -> StackRecord:
        """Create the stack, or replace its settings."""
        body = {"description": description}
        return parsed(self._transport.send("PUT", self._url, body=body), StackRecord.parse)

    def delete_stack(self) -> None:
        """Remove the stack and everything in it; its watches end.

        :raises NotFound: there is none.
        """
        self._transport.send("DELETE", self._url)


def _view(
    member: str | None, results: bool, settle: float, max_settle: float | None
) -> dict[str, str]:
    """Which context is wanted."""
    included = "results" if results else None
    return named(include=included, member=member, **_settling(settle, max_settle))


def _context(response: requests.Response) -> Context:
    headers = response.headers
    return parsed(
        response,
        lambda found: Context(found, unquoted(headers["ETag"]), headers["Factstore-Cursor"]),
    )


def _settling(settle: float, max_settle: float | None) -> dict[str, str]:
    """What the service calls them, in milliseconds."""
    if not settle:
        return {}
    longest = {} if max_settle is None else {"max_settle": str(round(1000 * max_settle))}
    return {"settle": str(round(1000 * settle)), **longest}
