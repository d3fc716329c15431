"""Requests of the fast path, read from the bytes of a connection.

Anything unusual is left to gunicorn's parser: other headers than the listed ones, a header that is
given twice, a URL with a query or an encoded character, another version of HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import TypeVar

from factstore.core.errors import Invalid
from factstore.core.model.path import check_path, check_stack_name
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.wsgi.fast_path.request_headers import Headers, read_headers

HEAD_BYTES = 8 * 1024
_BLOCKS = 4096
_BLOCK_BYTES = 2048  # of a block that is remembered
_END = b"\r\n\r\n"
PARTIAL_BYTES = 16 * 1024
"""Of the largest request that is kept until it has arrived; gunicorn reads the rest of a larger one.

The bodies that gunicorn receives count towards the limit of all bodies.
"""

_LINE = re.compile(
    rb"(GET|PUT|POST) (/v1/stacks/([A-Za-z0-9_.:@-]+)/"
    rb"(?:(facts)/([A-Za-z0-9_.:@/-]+)(?:\?(wait=(?:0|[1-9][0-9]?)|consistency=stale))?|members/([A-Za-z0-9_.:@-]+)/(heartbeat)|(batch)|"
    rb"(context|events)(?:\?([a-z_]+=[A-Za-z0-9_.:@,%=&-]*))?)) HTTP/1\.1\r\n"
)
_GET = (b"GET",)
_METHODS = {
    "facts": (b"GET", b"PUT"),
    **dict.fromkeys(("wait", "stale", "context", "events"), _GET),
}
_NOUNS = {b"wait": "wait", b"consistency": "stale"}  # by the parameter in the query of a fact
_TARGET_BYTES = 2048


class Partial(Enum):
    """A request of which more has to arrive."""

    PARTIAL = 0


PARTIAL = Partial.PARTIAL


@quick_dataclass(slots=True)
class Request:
    """A complete request.

    :param noun: ``facts``, ``wait`` for a fact, ``stale`` for one that may be old, ``batch``,
        ``heartbeat``, ``context``, ``events`` in a stream, or ``poll`` for events.
    :param path: of a fact; empty in a request about something else.
    :param member: of a heartbeat; empty in other requests.
    :param query: without the question mark.
    :param data: its bytes as they arrived.
    :param names_valid: True if the stack and the path have valid names.
    """

    method: str
    noun: str
    target: str
    stack: str
    path: str
    member: str
    query: str
    headers: Headers
    body: bytes
    data: bytes
    names_valid: bool

    version = (1, 1)

    def should_close(self) -> bool:
        """Return True if the client wants the connection to be closed."""
        return False

    @property
    def reads_fact(self) -> bool:
        """True if the request reads a fact."""
        return self.noun == "facts" and self.method == "GET"

    @property
    def repeats(self) -> bool:
        """True if clients send the very same bytes again and again."""
        if self.method != "GET" or self.headers.last_event_id:
            return False
        return not self.query or self.noun == "stale"


class Reader:
    """Reads requests; it remembers heads, and whole requests that clients repeat.

    :param versions: the values of ``OpenStack-API-Version`` that are known.
    """

    def __init__(self, versions: Collection[str]) -> None:
        self._versions = ("", *versions)
        self._blocks: dict[bytes, Headers | None] = {}
        self._heads: dict[bytes, Request] = {}  # without their bodies
        self._reads: dict[bytes, Request] = {}

    def read(self, data: bytes) -> Request | Partial | None:
        """Return the request at the beginning of some bytes; None to pass it to gunicorn."""
        known = self._reads.get(data)
        if known is not None:
            return known
        end = data.find(_END) + len(_END)
        head = self._heads.get(data[:end])
        if head is None:
            found = self._read_head(data, end)
            if not isinstance(found, Request):
                return found
            head = found
        whole = end + head.headers.length
        if len(data) < whole:
            return PARTIAL if whole <= PARTIAL_BYTES else None
        if len(data) > whole:
            data = data[:whole]
        request = Request(
            head.method,
            head.noun,
            head.target,
            head.stack,
            head.path,
            head.member,
            head.query,
            head.headers,
            data[end:],
            data,
            head.names_valid,
        )
        if head.repeats:
            _remember(self._reads, data, request)
        return request

    def _read_head(self, data: bytes, end: int) -> Request | Partial | None:
        """Return the request at the beginning of some bytes, without its body.

        :param end: of its head; less than that of the line if it has not arrived.
        """
        line = _LINE.match(data)
        if line is None:
            return None
        method, target, stack, facts, path, kind, member, heartbeat, batch, context, query = (
            line.groups(b"")
        )
        noun = _NOUNS.get(kind.partition(b"=")[0])
        noun = noun or (facts or heartbeat or batch or context).decode()
        if method not in _METHODS.get(noun, (b"POST",)) or len(target) > _TARGET_BYTES:
            return None
        if end < line.end():
            return PARTIAL if len(data) < HEAD_BYTES else None
        headers = self._read_headers(data[line.end() : end - 2])
        if headers is None or (headers.length and method == b"GET"):
            return None
        if noun == "events" and not headers.stream:
            noun = "poll"
        elif headers.stream != (noun == "events"):
            return None
        head = Request(
            method.decode(),
            noun,
            target.decode(),
            stack.decode(),
            path.decode(),
            member.decode(),
            (kind or query).decode(),
            headers,
            b"",
            data[:end],
            _are_names(stack.decode(), path.decode()),
        )
        # Clients that state causes state another one each time, and so do those that ask for changes.
        if headers.cause is None and not (head.query or head.repeats):
            _remember(self._heads, head.data, head)
        return head

    def _read_headers(self, block: bytes) -> Headers | None:
        try:
            return self._blocks[block]
        except KeyError:
            headers = read_headers(block)
            if headers is not None and headers.version not in self._versions:
                headers = None
            if headers is None or headers.cause is None:
                _remember(self._blocks, block, headers)
            return headers


T = TypeVar("T")


def _remember(known: dict[bytes, T], data: bytes, found: T) -> None:
    if len(known) >= _BLOCKS:
        known.clear()
    if len(data) <= _BLOCK_BYTES:
        known[data] = found


def _are_names(stack: str, path: str) -> bool:
    try:
        check_stack_name(stack)
        if path:
            check_path(path)
    except Invalid:
        return False
    return True


def split_query(query: str) -> dict[str, str] | None:
    """Return the parameters by name; None if one is repeated, or encoded apart from commas."""
    arguments: dict[str, str] = {}
    for each in query.split("&") if query else ():
        name, separator, value = each.partition("=")
        value = value.replace("%2C", ",")
        if not separator or "%" in value or name in arguments:
            return None
        arguments[name] = value
    return arguments
