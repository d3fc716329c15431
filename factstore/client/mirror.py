"""A mirror: a copy of a stack's context that the service keeps up to date with what has changed.

The copy is verified with each response by its checksum.  If it is not that of the service, or the
service does not know any more what has changed since, the mirror reads the whole context again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from factstore.client.backoff import Backoff
from factstore.client.conditional import unquoted
from factstore.client.context_copy import ContextCopy
from factstore.client.errors import OutcomeUnknown, Unavailable, UnexpectedAnswer
from factstore.client.query import context_params, query_params
from factstore.client.records import Context
from factstore.client.transport import LONGEST_WAIT, Transport, parsed

LOG = logging.getLogger(__name__)

NOTHING = f"{0:016x}.0"
"""The cursor of a reader without a copy.  It is of no store, so the service returns a whole context."""

EARLY_SECONDS = 1.0
"""The pause after a request that ended early without a change: a stopping server ends its requests."""


class Mirror:
    """A copy of a context.  Returned by :meth:`Stack.mirror`.

    Call :meth:`follow` in a thread, or :meth:`update` whenever you want.  Only one thread may call
    them; any thread may read the attributes.

    ::

        mirror = stack.mirror(settle=0.5, on_change=lambda new, old: converge(new.facts))
        threading.Thread(target=mirror.follow, daemon=True).start()

    The contexts of a mirror have its checksum as their etag.

    :param settling: the query parameters for settling.
    :param member: the member that reads the context; None for none.
    :param view: what documents have for the member: ``self``, ``peers``, ``self,peers`` or ``none``.
    :param known: a context of an earlier mirror, to go on from.
    :param on_change: called with each new context and the one before, which is None at first.
    :param retry_for: seconds without the service after which :meth:`follow` raises Unavailable; None
        to retry forever.
    :param first_settles: True if the first context is also to be returned when the stack is quiet, if
        :meth:`update` may wait.
    :ivar context: the newest context; None before the first one.
    :ivar synced: True once the service has sent or confirmed the context.
    :ivar stale: True if the last request failed, so that the context may be out of date.
    :ivar documents: the number of whole contexts that were read.
    :ivar deltas: the number of responses with only the changes.
    :ivar mismatches: the number of deltas after which the copy did not have the service's checksum.
    """

    def __init__(
        self,
        transport: Transport,
        url: str,
        settling: Mapping[str, str],
        *,
        member: str | None,
        view: str,
        results: bool,
        known: Context | None,
        on_change: Callable[[Context, Context | None], object],
        retry_for: float | None,
        first_settles: bool = False,
    ) -> None:
        self.context = known
        self.synced = False
        self.stale = False
        self.documents = self.deltas = self.mismatches = 0
        self._transport = transport
        self._url = url
        # The mirror adds what the view needs; the rest is the same for all members.
        self._params = context_params(member, "none", results=results)
        self._settling = settling
        self._first_settles = first_settles
        self._member = member
        self._parts = view.split(",")
        self._on_change = on_change
        self._retry_for = retry_for
        self._copy = ContextCopy(known.document) if known is not None else None
        self._closed = threading.Event()

    def update(
        self,
        wait: float = 0,
        read_set: str = "",
        *,
        applied: str | None = None,
        generation: str | None = None,
    ) -> Context:
        """Ask the service for changes, and return the newest context.

        If only the cursor has moved, the context is the same with a newer cursor: a member that has
        applied the one has also applied the other.

        :param wait: seconds, 0 to 50, for which the request waits for a change.  Without it, the
            response does not settle.
        :param read_set: the digest of the member's read set, to wait for a change that concerns it.
        :param applied: the cursor up to which the member has applied the stack.  The service records
            it soon, as it does that of a heartbeat; send heartbeats with it nevertheless.
        :param generation: the member's, to be refused if it is not current.
        :raises NotFound: the stack or the member does not exist.
        :raises Conflict: *generation* is not current.
        """
        about = query_params(read_set=read_set if wait else None, applied=applied)
        headers = {"Factstore-Generation": generation} if generation else {}
        previous = self.context
        try:
            if self._copy is None or previous is None:
                context = self._read_first(wait)
            else:
                context = (
                    self._read_changes(self._copy, previous, wait, about, headers)
                    or self._read_document()
                )
        except Exception:
            self.stale = True
            raise
        self.context, self.synced, self.stale = context, True, False
        if previous is None or previous.etag != context.etag:
            self._on_change(context, previous)
        return context

    def follow(self) -> None:
        """Keep the copy up to date until :meth:`close`.

        :raises NotFound: the stack or the member does not exist.
        :raises Unavailable: the service has been unavailable for *retry_for* seconds, or has not been
            reached and cannot be with these settings.
        """
        clock, backoff = self._transport.clock, Backoff()
        lost_at: float | None = None
        while not self._closed.is_set():
            known, began = self.context, clock.monotonic()
            try:
                context = self.update(LONGEST_WAIT)
            except (Unavailable, OutcomeUnknown) as error:
                # A certificate that has expired since is renewed sooner or later.
                if isinstance(error, Unavailable) and error.is_permanent and not self.synced:
                    raise
                lost_at = began if lost_at is None else lost_at
                if self._retry_for is not None and clock.monotonic() - lost_at >= self._retry_for:
                    raise
                LOG.info("The mirror of %s was interrupted: %s", self._url, error)
                clock.sleep(backoff.pause(getattr(error, "retry_after", None)))
                continue
            lost_at = None
            backoff.reset()
            if context is known and clock.monotonic() - began < LONGEST_WAIT - EARLY_SECONDS:
                clock.sleep(EARLY_SECONDS)

    def close(self) -> None:
        """End :meth:`follow` after its current request."""
        self._closed.set()

    def _read_first(self, wait: float) -> Context:
        """Return the whole context, once the stack is quiet if that is to be waited for."""
        if not (wait and self._settling and self._first_settles):
            return self._read_document()
        params = {**self._params, **self._settling, "since": NOTHING}
        response = self._transport.send("GET", self._url, params=params, wait=wait)
        return parsed(response, lambda found: self._take_document(found, response.headers))

    def _read_document(self) -> Context:
        response = self._transport.send("GET", self._url, params=self._params)
        return parsed(response, lambda found: self._take_document(found, response.headers))

    def _read_changes(
        self,
        copy: ContextCopy,
        known: Context,
        wait: float,
        about: Mapping[str, str],
        sent: Mapping[str, str],
    ) -> Context | None:
        """Return the context after a wait; None if the copy is wrong.

        :param about: query parameters about the member.
        :param sent: headers.
        """
        params = {
            **self._params,
            **about,
            "since": known.cursor,
            **(self._settling if wait else {}),
        }
        response = self._transport.send("GET", self._url, params=params, headers=sent, wait=wait)
        headers = response.headers

        def parse(found: dict[str, Any]) -> Context | None:
            if "since" not in found:
                return self._take_document(found, headers)
            return self._take_changes(copy, known, found)

        return parsed(response, parse)

    def _take_document(self, found: dict[str, Any], headers: Mapping[str, str]) -> Context:
        copy = ContextCopy(found)
        if copy.checksum != headers.get("Factstore-Checksum", copy.checksum):
            raise UnexpectedAnswer("The context does not have the checksum that came with it.")
        self._copy = copy
        self.documents += 1
        return self._context(copy, headers["Factstore-Cursor"])

    def _take_changes(
        self, copy: ContextCopy, known: Context, delta: dict[str, Any]
    ) -> Context | None:
        copy.apply(delta)
        self.deltas += 1
        if copy.checksum != delta["checksum"]:
            self._copy = None
            self.mismatches += 1
            LOG.warning(
                "The copy of %s is not that of the service at %s; reading the whole context again.",
                self._url,
                delta["cursor"],
            )
            return None
        if copy.checksum != known.etag:
            return self._context(copy, delta["cursor"])
        if delta["cursor"] == known.cursor:
            return known
        return Context(known.document, known.etag, delta["cursor"])

    def _context(self, copy: ContextCopy, cursor: str) -> Context:
        return Context(copy.document(self._member, self._parts), copy.checksum, unquoted(cursor))
