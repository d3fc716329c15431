"""The watch on the fast path, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from factstore.api.event_stream import HEADERS as STREAM_HEADERS
from factstore.api.event_stream import STREAM, StreamBody, open_stream
from factstore.api.events import filter_of, load_query
from factstore.api.identity import Authorizer
from factstore.core.errors import FactstoreError, Unavailable
from factstore.core.model.cursor import Cursor
from factstore.core.services.composition import Services
from factstore.policies import stacks as rules
from factstore.wsgi.fast_path.call import Call
from factstore.wsgi.fast_path.chunks import LAST_CHUNK, chunk
from factstore.wsgi.fast_path.http_request import split_query
from factstore.wsgi.fast_path.http_response import chunked_head


class StreamAnswer:
    """The response of a stream."""

    status = 200
    size = 0
    waited = False

    def __init__(self, body: StreamBody) -> None:
        self._body = body

    def pieces(self, request_id: str) -> Iterator[bytes]:
        """Yield the bytes of the response."""
        try:
            yield chunked_head([("Content-Type", STREAM), *STREAM_HEADERS], request_id)
            for piece in self._body:
                yield chunk(piece)
            if not self._body.ended:
                yield LAST_CHUNK
        finally:
            self._body.close()

    def response(self, request_id: str) -> bytes:
        """Raise TypeError, because a stream has no end."""
        raise TypeError("a stream is sent in pieces")


class EventReads:
    """The handler of watches."""

    def __init__(self, services: Services, authorizer: Authorizer) -> None:
        self._services = services
        self._authorizer = authorizer

    def watch(self, call: Call) -> StreamAnswer | None:
        """Return a stream of events."""
        headers, identity = call.request.headers, call.identity
        if not headers.stream or headers.json or call.begin_stream is None:
            return None
        query = _load(call.request.query)
        if query is None or not self._authorizer(rules.EVENTS, identity, identity.project_id):
            return None
        cursor = headers.last_event_id or query["since"]
        try:
            since = Cursor.parse(cursor) if cursor else None
            body = open_stream(
                self._services,
                call.scope,
                identity,
                since,
                filter_of(query, identity),
                query,
                call.request_id,
                call.begin_stream,
            )
        except Unavailable:
            raise
        except FactstoreError:  # the view words the refusal
            return None
        return StreamAnswer(body)


@lru_cache(1024)
def _load(query: str) -> dict[str, Any] | None:
    """Return a query as the schema loads it, or None if it has to be left to the view."""
    arguments = split_query(query)
    return None if arguments is None else load_query(arguments)
