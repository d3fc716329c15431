"""One stack: facts, members, waiters, alarms, configurations, actions, turns, grants, and the watch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import overload

from factstore.client.conditional import unquoted
from factstore.client.grant import Grant, GrantRecord
from factstore.client.member import Member, MemberRecord
from factstore.client.query import query_params, settle_params
from factstore.client.records import Convergence, StackRecord
from factstore.client.runs import Runs
from factstore.client.transport import LONGEST_WAIT, parsed
from factstore.client.turn import Turn, TurnRecord
from factstore.client.urls import item_url
from factstore.client.waits import StackWaits
from factstore.client.watch import Watch


class Stack(Runs):
    """Operations on one stack.  Returned by :meth:`Client.stack`.

    Every method can raise :class:`~factstore.client.errors.FactstoreError`.  The methods below list
    only the errors that callers usually handle separately.  Etags have no quotes.
    """

    def acting_on(self, cause: str | None) -> Stack:
        """Return the stack for writes that follow from what a cursor shows.

        The service stores the cursor with the facts and members that the writes change, and
        :meth:`Member.why` shows it to whom the writes wake.

        :param cause: such as the cursor of the context on which the caller acts; None for no cause.
        """
        return Stack(self.name, self._transport.acting_on(cause))

    # Members

    def member(self, name: str, *, generation: str | None = None) -> Member:
        """Return a member by its name.  No request is sent, and the member need not exist.

        :param generation: the incarnation that the caller acts as, from an earlier join.
        """
        return Member(self._url, name, self._transport, generation)

    def members(
        self, *, group: str | None = None, declared: str | None = None, reads: str | None = None
    ) -> Iterator[MemberRecord]:
        """Iterate over all live members, or those of a group, in the order of their names.

        :param reads: only members that a change of the fact at this path concerns.

        :param declared: only members that are declared with this identifier.
        :raises NotFound: the stack does not exist.
        :raises Gone: reading took too long and the revision is no longer kept; start again.
        """
        params = query_params(group=group, reads=reads)
        if declared is not None:
            params["declared"] = declared
        for page in self._pages("members", **params):
            yield from map(MemberRecord.parse, page)

    # Turns

    def turn(self, queue: str, member: str, *, generation: str | None = None) -> Turn:
        """Return the turn of a member in a queue.  No request is sent, and the turn need not exist.

        :param generation: the incarnation that the caller acts as, from its join.
        """
        return Turn(self._url, queue, member, self._transport, generation)

    def turns(self, queue: str | None = None) -> list[TurnRecord]:
        """Return the turns of a queue in order, or those of all queues by the queues' names.

        :raises NotFound: the stack does not exist.
        """
        url = f"{self._url}/turns" if queue is None else item_url(self._url, "turns", queue)
        response = self._transport.send("GET", url)
        return parsed(response, lambda found: [TurnRecord.parse(each) for each in found["turns"]])

    # Grants

    def issue_grant(
        self,
        *,
        role: str = "agent",
        member: str | None = None,
        group: str | None = None,
        ttl: int | None = None,
    ) -> GrantRecord:
        """Issue a grant, and return it with its token, which is shown only once.

        :param role: ``agent``, which requires *member* or *group*, or ``reader``.
        :param group: the only group that the member may join.  Without *member*, the grant is a group's
            grant.  Its holder calls this method with only *member* to get a grant for that member.
        :param ttl: seconds; None for the service's default.
        :raises Forbidden: policy does not allow it; with a group's grant, also if the name of the
            member is in use elsewhere.
        """
        wanted = {"role": role, "member": member, "group": group, "ttl": ttl}
        body = {name: value for name, value in wanted.items() if value is not None}
        sent = self._transport.send("POST", f"{self._url}/grants", body=body)
        return parsed(sent, GrantRecord.parse)

    def grant(self, identifier: str) -> Grant:
        """Return a grant by its id.  No request is sent, and the grant need not exist."""
        return Grant(self._url, identifier, self._transport)

    def grants(self) -> Iterator[GrantRecord]:
        """Iterate over all grants in the order of their ids.

        :raises NotFound: the stack does not exist.
        :raises Gone: reading took too long and the revision is no longer kept; start again.
        """
        for page in self._pages("grants"):
            yield from map(GrantRecord.parse, page)

    @overload
    def convergence(
        self,
        *,
        group: str | None = None,
        include_draining: bool = False,
        if_none_match: None = None,
        wait: float = 0,
    ) -> Convergence: ...

    @overload
    def convergence(
        self,
        *,
        group: str | None = None,
        include_draining: bool = False,
        if_none_match: str,
        wait: float = 0,
    ) -> Convergence | None: ...

    def convergence(
        self,
        *,
        group: str | None = None,
        include_draining: bool = False,
        if_none_match: str | None = None,
        wait: float = 0,
    ) -> Convergence | None:
        """Return which members have applied the current state of the stack.

        :param group: only members of this group.
        :param include_draining: count draining members too.
        :param if_none_match: the etag that the caller already knows.
        :param wait: seconds, 0 to 50, to wait until all have converged or *if_none_match* is outdated.
        :return: the convergence; None if it still has the etag *if_none_match*.
        :raises NotFound: the stack does not exist.
        """
        params = query_params(group=group, include_draining="true" if include_draining else None)
        response = self._read(f"{self._url}/convergence", params, if_none_match, wait)
        if response.status_code == 304:
            return None
        etag = unquoted(response.headers["ETag"])
        return parsed(response, lambda found: Convergence.parse(found, etag))

    def wait_converged(
        self,
        timeout: float,
        *,
        group: str | None = None,
        on_progress: Callable[[Convergence], object] = lambda convergence: None,
    ) -> Convergence:
        """Wait until all members, or those of a group, have applied all changes, and return that.

        :param timeout: seconds after which this call returns, converged or not.
        :param on_progress: called with the convergence at first, and after each change.
        :raises NotFound: the stack does not exist.
        """
        clock = self._transport.clock
        end = clock.monotonic() + timeout
        known = self.convergence(group=group)
        on_progress(known)
        while not known.converged and (left := end - clock.monotonic()) > 0:
            sent_at, wait = clock.monotonic(), min(left, LONGEST_WAIT)
            newer = self.convergence(group=group, wait=wait, if_none_match=known.etag)
            if newer is not None:
                known = newer
                on_progress(known)
            elif (early := sent_at + wait - clock.monotonic()) > 0:
                clock.sleep(min(1.0, early))  # a stopping service ends waits early
        return known

    def waits(self) -> StackWaits:
        """Return who waits for whom in the stack, and which of these waits cannot end.

        :raises NotFound: the stack does not exist.
        """
        return parsed(self._transport.send("GET", f"{self._url}/waits"), StackWaits.parse)

    # The watch

    def watch(
        self,
        since: str | None = None,
        *,
        prefix: str | None = None,
        group: str | None = None,
        alarm: str | None = None,
        types: Iterable[str] | None = None,
        initial: bool = False,
        bookmarks: bool = False,
        settle: float = 0,
        max_settle: float | None = None,
        retry_for: float | None = None,
    ) -> Watch:
        """Return a watch of the stack's events.

        :param since: the cursor to resume from.  Without *since* and *initial*, the watch begins with
            the time of this call, even if iteration begins later.
        :param prefix: only facts at or below this path, and without *types* only members of *group*.
        :param group: only members of this group.
        :param alarm: only the alarm of this name.
        :param types: only changes of these types; a snapshot contains only what these types concern.
        :param initial: without *since*, begin with a snapshot.
        :param bookmarks: also return bookmarks, which move the cursor without an event.
        :param settle: seconds, 0 to 5, for which the stack must be quiet before events are delivered.
        :param max_settle: the longest time to wait for that, in seconds; None for ten times *settle*.
        :param retry_for: seconds without the service after which iteration raises Unavailable; None to
            retry forever.
        :raises NotFound: the stack does not exist; with *since* or *initial*, raised by the iteration.
        """
        params = query_params(
            prefix=prefix,
            group=group,
            alarm=alarm,
            types=",".join(types or ()),
            **settle_params(settle, max_settle),
        )
        url = f"{self._url}/events"
        if since is None and not initial:
            response = self._transport.send("GET", url, headers={"Accept": "application/json"})
            since = parsed(response, lambda found: str(found["next"]))
        return Watch(self._transport, url, params, since, bookmarks=bookmarks, retry_for=retry_for)

    # The stack itself

    def describe(self) -> StackRecord:
        """Return the settings and the usage of the stack.

        :raises NotFound: the stack does not exist.
        """
        return parsed(self._transport.send("GET", self._url), StackRecord.parse)

    def configure(self, *, description: str = "", keep_values: int | None = None) -> StackRecord:
        """Create the stack or replace its settings, and return it.

        :param keep_values: how many earlier values of each fact the stack keeps; None to leave the
            number as it is.
        """
        body: dict[str, object] = {"description": description}
        if keep_values is not None:
            body["keep_values"] = keep_values
        return parsed(self._transport.send("PUT", self._url, body=body), StackRecord.parse)

    def delete_stack(self) -> None:
        """Delete the stack and everything in it.  Its watches end.

        :raises NotFound: the stack does not exist.
        """
        self._transport.send("DELETE", self._url)
