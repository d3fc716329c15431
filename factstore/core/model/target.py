"""Targets: the URIs to which events are delivered.

A target's grammar is strict and never normalised, so that the host that is checked is the host that is
connected to.  The grammar does not decide whether the host's addresses may be used: names are resolved
when something is delivered.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from typing import Literal
from urllib.parse import parse_qsl

from factstore.core.errors import Invalid
from factstore.core.model.path import quoted
from factstore.core.model.quick_dataclass import quick_dataclass

LENGTH = 2048
LOW_PORTS = frozenset({80, 443})
"""The ports below :data:`FIRST_HIGH_PORT` that a target may have; others belong to other protocols."""
FIRST_HIGH_PORT = 1024

ZAQAR, HEAT_SIGNAL = "zaqar:", "heat-signal:"
Scheme = Literal["https", "http", "zaqar", "heat-signal"]

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>/[!$-;=@-\[\]_a-z|~]*)?(?P<query>\?[!$-;=?-\[\]_a-z|~]*)?"
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")

# The parameters of a queue, each with its grammar.
_QUEUE_NAME = "queue_name"
_QUEUE: Mapping[str, re.Pattern[str]] = {
    _QUEUE_NAME: re.compile(r"[A-Za-z0-9_.-]{1,64}"),
    "trust_id": re.compile(r"[0-9a-f]{32}"),
    "ttl": re.compile(r"[1-9][0-9]{1,6}"),
}


@quick_dataclass(frozen=True, slots=True)
class Target:
    """A parsed target.

    :param encrypted: True if requests to the host use TLS.
    :param host: without brackets; empty for a queue.
    :param resource: the path and the query, as they are sent.
    :param parameters: of a queue.
    """

    text: str
    scheme: Scheme
    encrypted: bool = True
    host: str = ""
    port: int = 0
    resource: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_challenge(self) -> bool:
        """True for a web server, which has to confirm that it wants events.

        Services of the same cloud check the credentials that a delivery contains.
        """
        return self.scheme in ("https", "http")

    @property
    def authority(self) -> str:
        """The value of the header ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.encrypted else 80
        return host if self.port == default else f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str, *, allow_http: bool = False) -> Target:
        """Return the target that a text spells.

        :raises Invalid: ``target_invalid``.
        """
        if len(text) > LENGTH:
            raise _invalid(f"The target is longer than {LENGTH} characters.")
        if text.startswith(ZAQAR):
            return cls(text, "zaqar", parameters=_parameters(text.removeprefix(ZAQAR)))
        if text.startswith(HEAT_SIGNAL):
            return cls._at_url(text, text.removeprefix(HEAT_SIGNAL), "heat-signal")
        target = cls._at_url(text, text, "https")
        if target.encrypted:
            return target
        if not allow_http:
            raise _invalid(
                f"{quoted(text)} is not encrypted, and this service delivers to https only."
            )
        return replace(target, scheme="http")

    @classmethod
    def _at_url(cls, text: str, url: str, scheme: Scheme) -> Target:
        match = _URL.fullmatch(url)
        if match is None:
            raise _invalid(
                f"{quoted(text)} is not a target. A target is https://HOST[:PORT]/PATH in ASCII, "
                "without user and fragment, or zaqar:?queue_name=NAME, or heat-signal:URL with the "
                "signed URL of a resource."
            )
        encrypted = match["scheme"] == "https"
        port = int(match["port"] or (443 if encrypted else 80))
        if port not in LOW_PORTS and not FIRST_HIGH_PORT <= port <= 65535:
            raise _invalid(
                f"Port {port} cannot be used by a target; use 80, 443, or {FIRST_HIGH_PORT} to 65535."
            )
        resource = (match["path"] or "/") + (match["query"] or "")
        return cls(text, scheme, encrypted, _host(match["host"]), port, resource)


def _host(text: str) -> str:
    """Return a host without brackets.

    :raises Invalid: it is neither an address in its usual form nor a name.
    """
    if text.startswith("["):
        return _address(text[1:-1], ipaddress.IPv6Address, text)
    labels = text.split(".")
    # As browsers do: 127.1, 0177.0.0.1, 2130706433 and 0x7f000001 would be resolved to addresses.
    if _NUMBER.fullmatch(labels[-1]):
        return _address(text, ipaddress.IPv4Address, text)
    if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise _invalid(f"{quoted(text)} is not the name of a host.")
    return text


def _address(address: str, kind: Callable[[str], object], text: str) -> str:
    try:
        return str(kind(address))
    except ValueError:
        raise _invalid(f"{quoted(text)} is not an address in its usual form.") from None


def _parameters(rest: str) -> Mapping[str, str]:
    """Return the parameters of a queue.

    :raises Invalid: one is unknown, missing, repeated or malformed.
    """
    try:
        if not rest.startswith("?") or "#" in rest:
            raise ValueError
        pairs = parse_qsl(rest[1:], keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        raise _invalid(
            f"{quoted(ZAQAR)} must be followed by ? and parameters: {ZAQAR}?{_QUEUE_NAME}=NAME."
        ) from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _invalid("A parameter of the queue is repeated.")
    if _QUEUE_NAME not in found:
        raise _invalid(f"The queue has no parameter {_QUEUE_NAME}.")
    for name, value in found.items():
        if name not in _QUEUE:
            raise _invalid(
                f"{quoted(name)} is not a parameter of a queue; they are {', '.join(_QUEUE)}."
            )
        if not _QUEUE[name].fullmatch(value):
            raise _invalid(f"{quoted(value)} is not a {name} of a queue.")
    return found


def _invalid(detail: str) -> Invalid:
    return Invalid(detail, code="target_invalid")
