"""Failed requests to Keystone as errors of the client, each with its cause and remedy.

keystoneauth words the cause of a failure as the text of several objects in each other, and has one
exception for connections that may succeed soon and for URLs that never can.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from keystoneauth1 import exceptions

from factstore.client.errors import CertificateError, Unavailable
from factstore.client.http.failures import HttpFailure, Untrusted
from factstore.client.http.trust import Trust

FAILURES = (exceptions.ClientException, HttpFailure, OSError, ValueError)
"""The exceptions that a request to Keystone raises."""

_PASSING = (
    exceptions.ConnectFailure,
    exceptions.ConnectTimeout,
    exceptions.HttpServerError,
    exceptions.UnknownConnectionError,
)
_URL = re.compile(r"\bhttps?://[^\s:/]+(?::[0-9]+)?")
_REFUSED_TUNNEL = re.compile(r"Tunnel connection failed: 4(?!08|25|29)[0-9]{2}\b")


def failure(error: Exception, trust: Trust) -> Unavailable | None:
    """Return the error of the client for a failed request to Keystone.

    :param error: one of :data:`FAILURES`.
    :param trust: what the request trusted.
    :return: None if Keystone refused the request.
    """
    causes = list(_causes(error))
    tls = [each for each in causes if isinstance(each, ssl.SSLError)]
    if tls and not isinstance(tls[-1], (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return CertificateError(_tls_text(str(error), tls[-1], trust))
    if not isinstance(error, exceptions.ClientException):
        try:
            trust.context()
        except Untrusted as problem:  # requests words it as "Could not find a suitable TLS CA ..."
            return CertificateError(str(problem))
    elif not isinstance(error, (*_PASSING, exceptions.SSLError)):
        return None
    unavailable = Unavailable(f"The identity service failed: {error}")
    unavailable.is_permanent = any(
        # The exceptions of requests and urllib3 for malformed URLs and names are ValueErrors.
        isinstance(each, ValueError)
        or getattr(each, "is_permanent", False)
        or _REFUSED_TUNNEL.search(str(each))
        for each in causes
    )
    if unavailable.is_permanent and any(isinstance(each, ValueError) for each in causes):
        unavailable.detail += " Correct auth_url (OS_AUTH_URL)."
        unavailable.args = (unavailable.detail,)
    return unavailable


def _tls_text(text: str, error: ssl.SSLError, trust: Trust) -> str:
    try:
        trust.context()
    except Untrusted as problem:
        return str(problem)
    url = _URL.search(text)
    place = f"the identity service {url[0]}" if url else "the identity service"
    return f"No TLS connection to {place}: {trust.problem(error)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all inside it; the innermost is the last one."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__ or each.__context__, getattr(each, "reason", None), *each.args]
