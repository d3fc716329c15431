"""Sends requests, retries them where that is safe, and raises the client's errors.

All requests are retried on 503 and 429, and if no connection could be made, because then nothing was
written.  If a response was lost, only reads and writes with an idempotency key are retried.  A request
that fails until a setting or a certificate is changed is not retried.  Retries that take longer than a
moment are logged as warnings, which Python prints by default.
"""

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from factstore.client.backoff import Backoff
from factstore.client.clock import Clock
from factstore.client.endpoint import Endpoint
from factstore.client.errors import (
    CertificateError,
    OutcomeUnknown,
    Unavailable,
    UnexpectedAnswer,
    from_response,
)
from factstore.client.http.connections import refusal, refused_with
from factstore.client.http.failures import NotSent, ResponseLost, Untrusted
from factstore.client.http.proxies import Proxy
from factstore.client.http.responses import Response
from factstore.client.http.session import HttpSession

LOG = logging.getLogger(__name__)

CONNECT_SECONDS = 4.0
QUIET_SECONDS = 1.0  # retries within this time are not logged
ANSWER_SECONDS = 30.0  # in addition to a requested wait
STREAM_SILENCE_SECONDS = 45.0  # three pings of the service
LONGEST_WAIT = 50  # seconds that the service waits in one request

T = TypeVar("T")

_READS = frozenset({"GET", "HEAD"})


class Transport:
    """Sends requests.

    :param headers: headers of all requests.
    :param retry_for: seconds after which a failing call is no longer retried.
    :param stream_silence: seconds without data after which a stream is considered broken.
    :param answer_within: time limit of a response in seconds, in addition to a requested wait.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        http: HttpSession,
        clock: Clock,
        retry_for: float,
        stream_silence: float,
        answer_within: float,
        headers: Mapping[str, str],
    ) -> None:
        self._endpoint = endpoint
        self._http = http
        self._headers = headers
        self._reached: set[tuple[str, Proxy]] = set()
        self.clock = clock
        self._retry_for = retry_for
        self._stream_silence = stream_silence
        self._answer_within = answer_within
        self._cause: str | None = None

    def acting_on(self, cause: str | None) -> Transport:
        """Return a transport whose writes state a cursor as their cause; None for no cause."""
        other = copy.copy(self)
        other._cause = cause
        return other

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        wait: float = 0,
    ) -> Response:
        """Send a request, and retry it until it succeeds or is refused.

        :param url: begins with ``/v1``.
        :param body: sent as JSON unless it is None.
        :param wait: seconds for which the service may hold the request; a retry requests the rest.
        :return: a response with a status below 400.
        :raises FactstoreError: the service refused the request, or failed for *retry_for* seconds.
        """
        if self._cause is not None and method not in _READS:
            headers = {"Factstore-Cause": self._cause, **(headers or {})}
        started = self.clock.monotonic()
        backoff, tries = Backoff(), 0
        repeatable = method in _READS or "Idempotency-Key" in (headers or {})
        left = wait
        while True:
            tries += 1
            query = dict(params or {})
            if wait:
                query["wait"] = str(math.ceil(left))
            try:
                return self._once(
                    method,
                    url,
                    params=query,
                    headers=headers,
                    body=body,
                    timeouts=(
                        min(CONNECT_SECONDS, self._answer_within),
                        self._answer_within + left,
                    ),
                )
            except (Unavailable, OutcomeUnknown) as error:
                if isinstance(error, OutcomeUnknown) and not repeatable:
                    raise
                if isinstance(error, Unavailable) and error.is_permanent:
                    raise
                pause = backoff.pause(getattr(error, "retry_after", None))
                failing = self.clock.monotonic() - started
                passed = failing + pause
                if passed > wait + self._retry_for:
                    if tries > 1:
                        error.detail += f" Tried {tries} times in {failing:.0f} s."
                        error.args = (error.detail,)
                    raise
                if passed > QUIET_SECONDS:
                    LOG.warning(
                        "%s %s failed, trying again for up to %.0f s: %s",
                        *(method, url, wait + self._retry_for - failing, error),
                    )
                left = max(wait - passed, 0.0)
            self.clock.sleep(pause)

    def open_stream(
        self, url: str, *, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> Response:
        """Open an event stream, without retrying.

        :return: a response whose body has not been read; the caller must close it.
        :raises FactstoreError: the service refused the request or cannot be reached.
        """
        response = self._once(
            "GET",
            url,
            params=params,
            headers={**headers, "Accept": "text/event-stream"},
            timeouts=(CONNECT_SECONDS, self._stream_silence),
            stream=True,
        )
        kind = response.headers.get("Content-Type", "")
        if kind.partition(";")[0].strip().lower() != "text/event-stream":
            response.close()
            raise UnexpectedAnswer(
                f"The response is not an event stream: its Content-Type is {kind!r}.",
                status=response.status_code,
            )
        return response

    def _once(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        timeouts: tuple[float, float],
        stream: bool = False,
    ) -> Response:
        writes = method not in _READS
        sent = {**self._headers, **(headers or {})}
        data = None
        if body is not None:
            data = _json(method, url, body)
            sent["Content-Type"] = "application/json"
        query = f"?{urlencode(params)}" if params else ""
        try:
            root = self._endpoint.url().rstrip("/")
            root = root[: -len("/v1")] if root.endswith("/v1") else root
            for renewed in (False, True):
                credential = self._endpoint.credential()
                if credential:
                    self._check_proxy(root, timeouts)
                response = self._http.request(
                    method,
                    f"{root}{url}{query}",
                    headers={**sent, **credential},
                    body=data,
                    timeouts=timeouts,
                    stream=stream,
                )
                if response.status_code != 401 or renewed or not self._endpoint.renew():
                    break
                response.close()
            self._check_forwarded(response, writes)
        except Untrusted as error:
            raise CertificateError(str(error)) from error
        except NotSent as error:
            unavailable = Unavailable(str(error))
            unavailable.is_permanent = error.is_permanent
            raise unavailable from error
        except ResponseLost as error:
            if writes:
                text = f"{error} The request may have been carried out."
                raise OutcomeUnknown(text) from error
            raise Unavailable(str(error)) from error
        # A redirect would send the credential to another server; the API never redirects.
        if response.status_code < 300 or response.status_code == 304:
            return response
        try:
            raise from_response(response, writes=writes)
        finally:
            if stream:
                response.close()

    def _check_proxy(self, root: str, timeouts: tuple[float, float]) -> None:
        """Raise NotSent if a proxy that reads the requests does not reach the service.

        The credential is shown only to a proxy that does.
        """
        proxy = self._http.forwarding_proxy(root)
        if proxy is None or (root, proxy) in self._reached:
            return
        headers = {**self._headers, "Cache-Control": "no-cache"}
        response = self._http.request(
            "GET", f"{root}/", headers=headers, body=None, timeouts=timeouts
        )
        self._check_forwarded(response, writes=False)
        self._reached.add((root, proxy))

    @staticmethod
    def _check_forwarded(response: Response, writes: bool) -> None:
        """Raise NotSent if a proxy answered instead of the service."""
        proxy, status = response.forwarded_by, response.status_code
        if proxy is None or "X-Openstack-Request-Id" in response.headers:
            return
        if status < 300 and "json" in response.headers.get("Content-Type", ""):
            return
        text = f"The service was not reached: {refusal(proxy, status, response.reason)}"
        response.close()
        raise ResponseLost(text) if writes and status in (502, 504) else refused_with(status)(text)


def _json(method: str, url: str, body: Any) -> bytes:
    try:
        return json.dumps(body, allow_nan=False).encode()
    except TypeError as error:
        raise TypeError(
            f"{method} {url} cannot be sent: {error}. A value is text, a number, a boolean, None,"
            " or a list or dict of these. Decode bytes first, or encode them as base64."
        ) from None


def parsed(response: Response, parse: Callable[[dict[str, Any]], T]) -> T:
    """Return the JSON object of a response, converted by *parse*.

    :raises UnexpectedAnswer: the body is not a JSON object, or a field is missing.
    """
    try:
        document = response.json()
        if not isinstance(document, dict):
            raise TypeError(f"the body is a {type(document).__name__}, not an object")
        return parse(document)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnexpectedAnswer(
            f"The response with status {response.status_code} cannot be read: {error!r}",
            status=response.status_code,
            request_id=response.headers.get("X-Openstack-Request-Id"),
        ) from error
