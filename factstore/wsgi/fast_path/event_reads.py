"""The watch on the fast path, as a stream."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from factstore.api.event_stream import new_watcher, open_stream
from factstore.api.events import filter_of, load_query
from factstore.api.identity import Authorizer
from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.model.permissions import Permissions
from factstore.core.services.composition import Services
from factstore.core.services.watch_filter import Filter
from factstore.policies import stacks as rules
from factstore.store.mirror import MirroredStore
from factstore.store.read_index import HeadRead
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.http_request import split_query
from factstore.wsgi.fast_path.loop_writes import Ended
from factstore.wsgi.fast_path.stream_answer import StreamAnswer, StreamStart

LOG = logging.getLogger(__name__)


class EventReads:
    """The handler of watches.

    :param ended: called when a stream that was started can begin, or needs a greenlet.
    """

    def __init__(
        self, store: MirroredStore, services: Services, authorizer: Authorizer, ended: Ended
    ) -> None:
        self._store = store
        self._services = services
        self._authorizer = authorizer
        self._ended = ended

    def start(self, call: Call) -> bool:
        """Start a stream without a greenlet; return False if it needs one."""
        query = self._query(call) if call.begins_streams else None
        if query is None or query["initial"]:
            return False
        cursor = call.request.headers.last_event_id or query["since"]
        wanted = find_filter(call.request.query, call.identity.permissions.reach)
        if wanted is None or not call.request.names_valid:  # the view words the refusal
            return False
        try:
            since = Cursor.parse(cursor) if cursor else None
        except FactstoreError:
            return False
        self._store.join_head_read(partial(self._begin, call, query, since, wanted))
        return True

    def _begin(
        self,
        call: Call,
        query: Mapping[str, Any],
        since: Cursor | None,
        wanted: Filter,
        head: HeadRead,
    ) -> None:
        """Let the stream begin if it has nothing to deliver yet; otherwise, a greenlet does all."""
        start: StreamStart | None = None
        services, scope = self._services, call.scope
        try:
            at = None if head.error else services.watch.newest(scope, since, head.revision)
            if at is not None:
                watcher = new_watcher(
                    services, scope, call.identity, wanted, query, call.request_id
                )
                start = StreamStart(watcher, at)
        except FactstoreError:
            LOG.debug("a greenlet comes to the same refusal, and answers it")
        except Exception:  # the request must get a response
            LOG.exception("GET %s failed in the loop.", call.request.target)
        self._ended(call, start)

    def watch(self, call: Call) -> StreamAnswer | None:
        """Return a stream of events."""
        identity, query = call.identity, self._query(call)
        if query is None or call.begin_stream is None:
            return None
        cursor = call.request.headers.last_event_id or query["since"]
        try:
            since = Cursor.parse(cursor) if cursor else None
            body = open_stream(
                self._services,
                call.scope,
                identity,
                since,
                filter_of(query, identity.permissions.reach),
                query,
                call.request_id,
                call.begin_stream,
            )
        except Unavailable:
            raise
        except FactstoreError:  # the view words the refusal
            return None
        return StreamAnswer(body)

    def _query(self, call: Call) -> Mapping[str, Any] | None:
        """Return the query of a request; None if its view has to answer it."""
        headers, identity = call.request.headers, call.identity
        if not headers.stream or headers.json:
            return None
        if not self._authorizer(rules.EVENTS, identity, identity.project_id):
            return None
        return load_events_query(call.request.query)


@lru_cache(1024)
def load_events_query(query: str) -> dict[str, Any] | None:
    """Return a query as the schema loads it, or None if it has to be left to the view."""
    arguments = split_query(query)
    return None if arguments is None else load_query(arguments)


@lru_cache(1024)
def find_filter(query: str, reach: Permissions) -> Filter | None:
    """Return the filter for which a valid query asks, or None if that is not valid.

    Equal queries have the same filter, so it is found fast where it is part of a key.
    """
    loaded = load_events_query(query)
    if loaded is None:
        return None
    wanted = filter_of(loaded, reach)
    try:
        wanted.check()
    except FactstoreError:
        return None
    return wanted
