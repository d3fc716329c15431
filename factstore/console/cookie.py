"""The cookie with a token, and the requests that may use it.

A browser attaches the cookie to every request to this host, whichever page makes it. So the cookie
counts only in requests with the console's own header, which no page of another origin can send, and a
request that changes something must also come from the console's origin.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from factstore.console.sign_in import TOKEN_LENGTH
from factstore.core.errors import Forbidden, Invalid

HEADER = "Factstore-Console"
HEADER_VARIABLE = "HTTP_FACTSTORE_CONSOLE"
HEADER_VALUE = "1"
NAME = "factstore_console"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_TOKEN = re.compile(rf"[A-Za-z0-9._~+/=-]{{1,{TOKEN_LENGTH}}}")
_PORTS = {"http": 80, "https": 443}


def is_token(text: str) -> bool:
    """Return True if a text could be a token that fits into a cookie."""
    return _TOKEN.fullmatch(text) is not None


def token_in(environ: Mapping[str, Any]) -> str | None:
    """Return the token in a request's cookie, or None without one.

    :raises Invalid: ``ambiguous``: the request has several such cookies with different values.
    """
    pairs = (each.strip().partition("=") for each in environ.get("HTTP_COOKIE", "").split(";"))
    found = {value.strip('"') for name, _, value in pairs if name.strip() == NAME}
    if len(found) > 1:
        raise Invalid(
            f"The request has several cookies named {NAME}. Delete the cookies of this site and sign "
            "in again.",
            code="ambiguous",
        )
    token = next(iter(found), "")
    return token if is_token(token) else None


def is_from_console(environ: Mapping[str, Any]) -> bool:
    """Return True if a request has the header of the console."""
    return bool(environ.get(HEADER_VARIABLE) == HEADER_VALUE)


def check_origin(environ: Mapping[str, Any], origins: Collection[str] = ()) -> None:
    """Refuse a request that a page of another origin made, or that changes something without an origin.

    :param origins: origins of the console in addition to that of the request's own URL, for a proxy
        that replaces ``Host``.
    :raises Forbidden: the request is not from the console.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site not in (None, "same-origin"):
        raise Forbidden(
            "The request was made by a page of another site. Use the console's own page."
        )
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        if environ["REQUEST_METHOD"] in SAFE_METHODS:
            return
        raise Forbidden(
            "The request has no Origin header, without which the console's cookie changes nothing. "
            "Send the token in X-Auth-Token instead."
        )
    place = _place(origin)
    if origin not in origins and (place is None or place != _own_place(environ, origin)):
        raise Forbidden(
            "The request was made by a page of another origin. Use the console's own page. If a proxy "
            "replaces the Host header, name the console's origin in [console] origins."
        )


def is_secure(environ: Mapping[str, Any]) -> bool:
    """Return True if the browser uses https, as the request or its origin shows."""
    # A proxy may end TLS and not report it; the browser's Origin names the scheme that it uses.
    origin = environ.get("HTTP_ORIGIN", "")
    return "https" in (environ["wsgi.url_scheme"], origin.partition(":")[0])


def _place(url: str) -> tuple[str, int | None] | None:
    """Return host and port of a URL, or None if it has none, such as ``null``."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in _PORTS:
        return None
    return parts.hostname, port


def _own_place(environ: Mapping[str, Any], origin: str) -> tuple[str, int | None] | None:
    # The scheme is the browser's, because a proxy that ends TLS may not pass it on.
    scheme = origin.partition(":")[0]
    return _place(f"{scheme}://{environ.get('HTTP_HOST', '')}")
