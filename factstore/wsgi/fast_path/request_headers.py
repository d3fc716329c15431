"""The headers of requests on the fast path: only those that are known, with values that are known."""

from __future__ import annotations

import re

from factstore.core.errors import Invalid
from factstore.core.model.cursor import Cursor, parse_tags
from factstore.core.model.member import GENERATION_PATTERN
from factstore.core.model.quick_dataclass import quick_dataclass
from factstore.wsgi.addresses import host_name, is_address, is_loopback

BODY_BYTES = 64 * 1024
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


@quick_dataclass(slots=True)
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
