"""Requests of the fast path, read from the bytes of a connection.

Anything unusual is left to gunicorn's parser: other headers than the listed ones, a header that is
given twice, a URL with a query or an encoded character, another version of HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor, parse_tags
from factstore.core.model.member import GENERATION_PATTERN
from factstore.wsgi.addresses import host_name, is_address, is_loopback

BODY_BYTES = 64 * 1024
HEAD_BYTES = 8 * 1024
_BLOCKS = 4096
_BLOCK_BYTES = 2048  # of a block that is remembered
PARTIAL_BYTES = 16 * 1024
"""Of the largest request that is kept until it has arrived; gunicorn reads the rest of a larger one.

The bodies that gunicorn receives count towards the limit of all bodies.
"""

_LINE = re.compile(
    rb"(GET|PUT|POST) (/v1/stacks/([A-Za-z0-9_.:@-]+)/"
    rb"(?:(facts)/([A-Za-z0-9_.:@/-]+)(?:\?(wait=(?:0|[1-9][0-9]?)))?|members/([A-Za-z0-9_.:@-]+)/(heartbeat)|(batch)|"
    rb"(context|events)(?:\?([a-z_]+=[A-Za-z0-9_.:@,%=&-]*))?)) HTTP/1\.1\r\n"
)
_METHODS = {"facts": (b"GET", b"PUT"), "wait": (b"GET",), "context": (b"GET",), "events": (b"GET",)}
_TARGET_BYTES = 2048
_HEADER = re.compile(rb"([A-Za-z-]+):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?[ \t]*")
_LABEL = r"(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|(\[[0-9a-f:]+\]))(?::([1-9][0-9]{{0,4}}))?")
_PORTS = 65_535
_HOST_BYTES = 253  # of a name in DNS
_GENERATION = re.compile(GENERATION_PATTERN)
_FORWARDED = frozenset(
    {"forwarded", "via", "x-real-ip", "x-request-id"}
    | {f"x-forwarded-{name}" for name in ("for", "host", "port", "server")}
)
IGNORED = _FORWARDED | {
    *("user-agent", "accept-encoding", "accept-language", "cache-control", "pragma"),
}
"""The headers, in small letters, that do not change the answer."""


class Partial(Enum):
    """A request of which more has to arrive."""

    PARTIAL = 0


PARTIAL = Partial.PARTIAL


@dataclass(slots=True)
class Headers:
    """The headers of a request.

    :param host: the name that the client used for the service, with its port.
    :param scheme: the scheme of the client's URL, as a proxy states it.
    :param local: True if that name is one of this machine's loopback addresses.
    :param forwarded: True if a proxy has passed the request on.
    :param version: the version of the API that the client asks for; empty for any.
    :param stream: True if the client accepts only server-sent events.
    :param known: the entity tags in ``If-None-Match``; empty without, None for any.
    """

    host: str = ""
    scheme: str = "http"
    local: bool = False
    forwarded: bool = False
    length: int = 0
    json: bool = False
    authorization: str | None = None
    token: str | None = None
    generation: str | None = None
    cause: str | None = None
    version: str = ""
    conditional: bool = False
    stream: bool = False
    last_event_id: str = ""
    known: frozenset[str] | None = frozenset()


@dataclass(slots=True)
class Request:
    """A complete request.

    :param noun: ``facts``, ``wait`` for a fact, ``batch``, ``heartbeat``, ``context`` or ``events``.
    :param path: of a fact; empty in a request about something else.
    :param member: of a heartbeat; empty in other requests.
    :param query: without the question mark.
    :param data: its bytes as they arrived.
    :param names_checked: True once its names are known to be valid.
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
    names_checked: bool = False

    version = (1, 1)

    def should_close(self) -> bool:
        """Return True if the client wants the connection to be closed."""
        return False

    @property
    def reads_fact(self) -> bool:
        """True if the request reads a fact."""
        return self.noun == "facts" and self.method == "GET"


class Reader:
    """Reads requests; it remembers headers and whole reads of facts, because clients repeat them.

    :param versions: the values of ``OpenStack-API-Version`` that are known.
    """

    def __init__(self, versions: Collection[str]) -> None:
        self._versions = ("", *versions)
        self._blocks: dict[bytes, Headers | None] = {}
        self._reads: dict[bytes, Request] = {}

    def read(self, data: bytes) -> Request | Partial | None:
        """Return the request at the beginning of some bytes; None to pass it to gunicorn."""
        known = self._reads.get(data)
        if known is not None:
            return known
        found = self._read(data)
        if type(found) is Request and found.reads_fact and found.data is data:
            if len(self._reads) >= _BLOCKS:
                self._reads.clear()
            if len(data) <= _BLOCK_BYTES:
                self._reads[data] = found
        return found

    def _read(self, data: bytes) -> Request | Partial | None:
        line = _LINE.match(data)
        if line is None:
            return None
        method, target, stack, facts, path, wait, member, heartbeat, batch, context, query = (
            line.groups(b"")
        )
        noun = "wait" if wait else (facts or heartbeat or batch or context).decode()
        if method not in _METHODS.get(noun, (b"POST",)) or len(target) > _TARGET_BYTES:
            return None
        start, end = line.end(), data.find(b"\r\n\r\n", line.end() - 2)
        if end < 0:
            return PARTIAL if len(data) < HEAD_BYTES else None
        block = data[start : end + 2]
        try:
            headers = self._blocks[block]
        except KeyError:
            if len(self._blocks) >= _BLOCKS:
                self._blocks.clear()
            headers = read_headers(block)
            if headers is not None and headers.version not in self._versions:
                headers = None
            # Clients that state causes state another one each time.
            if len(block) <= _BLOCK_BYTES and (headers is None or headers.cause is None):
                self._blocks[block] = headers
        if headers is None or (headers.length and line[1] == b"GET"):
            return None
        if headers.stream != (noun == "events"):
            return None
        body, whole = end + 4, end + 4 + headers.length
        if len(data) < whole:
            return PARTIAL if whole <= PARTIAL_BYTES else None
        return Request(
            method.decode(),
            noun,
            target.decode(),
            stack.decode(),
            path.decode(),
            member.decode(),
            (wait or query).decode(),
            headers,
            data[body:whole],
            data if len(data) == whole else data[:whole],
        )


def read_headers(block: bytes) -> Headers | None:
    """Return the headers in a block of lines, or None if it has to be left to another parser."""
    found: dict[str, str] = {}
    for line in block.split(b"\r\n")[:-1]:
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name = header[1].decode().lower()
        if name in found:
            return None
        found[name] = (header[2] or b"").decode()
    headers = Headers(host=found.pop("host", ""))
    if not _is_plain_host(headers.host):
        return None
    headers.local = is_loopback(host_name(headers.host))
    return headers if all(_take(headers, name, value) for name, value in found.items()) else None


def _is_plain_host(host: str) -> bool:
    """Return True if a ``Host`` header is the authority of a URL without changes."""
    found = _HOST.fullmatch(host)
    if found is None or len(host) > _HOST_BYTES:
        return False
    address, port = found[1], found[2]
    if address is not None and not is_address(address):
        return False
    return port is None or (port != "80" and int(port) <= _PORTS)


def _take(headers: Headers, name: str, value: str) -> bool:
    """Store a header; return False if it is not known with that value."""
    match name:
        case "accept":
            headers.stream = value == "text/event-stream"
            return headers.stream or value in ("*/*", "application/json")
        case "last-event-id":
            headers.last_event_id = value
        case "connection":
            return value.lower() == "keep-alive"
        case "content-length":
            if not value.isdigit() or len(value) > len(str(BODY_BYTES)):
                return False
            headers.length = int(value)
            return headers.length <= BODY_BYTES
        case "content-type":
            headers.json = value == "application/json"
            return headers.json
        case "authorization":
            headers.authorization = value
        case "x-auth-token":
            headers.token = value
            return "," not in value
        case "factstore-generation":
            headers.generation = value
            return _GENERATION.fullmatch(value) is not None
        case "factstore-cause":
            headers.cause = value
            return _is_cursor(value)
        case "if-none-match":
            return _take_tags(headers, value)
        case "openstack-api-version":
            headers.version = value
            return value != ""
        case "x-forwarded-proto":
            headers.forwarded, headers.scheme = True, value
            return value in ("http", "https")
        case _:
            headers.forwarded = headers.forwarded or name in _FORWARDED
            return name in IGNORED
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


def _is_cursor(value: str) -> bool:
    try:
        Cursor.parse(value)
    except Invalid:
        return False
    return True


def _take_tags(headers: Headers, value: str) -> bool:
    headers.conditional = True
    try:
        headers.known = parse_tags(value.replace('W/"', '"'))
    except Invalid:
        return False
    return True
