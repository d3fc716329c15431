"""Sends requests, retries them where that is safe, and raises the client's errors.

All requests are retried on 503 and 429, and if no connection could be made, because then nothing was
written.  If a response was lost, only reads and writes with an idempotency key are retried.  Retries
that take longer than a moment are logged as warnings, which Python prints by default.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from keystoneauth1 import exceptions

from factstore.client.adapter import Adapter
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock
from factstore.client.errors import OutcomeUnknown, Unavailable, UnexpectedAnswer, from_response

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

    :param retry_for: seconds after which a failing call is no longer retried.
    :param stream_silence: seconds without data after which a stream is considered broken.
    :param answer_within: time limit of a response in seconds, in addition to a requested wait.
    """

    def __init__(
        self,
        adapter: Adapter,
        clock: Clock,
        retry_for: float,
        stream_silence: float = STREAM_SILENCE_SECONDS,
        answer_within: float = ANSWER_SECONDS,
    ) -> None:
        self._adapter = adapter
        self.clock = clock
        self._retry_for = retry_for
        self._stream_silence = stream_silence
        self._answer_within = answer_within

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        wait: float = 0,
    ) -> requests.Response:
        """Send a request, and retry it until it succeeds or is refused.

        :param url: begins with ``/v1``.
        :param body: sent as JSON unless it is None.
        :param wait: seconds for which the service may hold the request; a retry requests the rest.
        :return: a response with a status below 400.
        :raises FactstoreError: the service refused the request, or failed for *retry_for* seconds.
        """
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
                    json=body,
                    timeout=(
                        min(CONNECT_SECONDS, self._answer_within),
                        self._answer_within + left,
                    ),
                )
            except (Unavailable, OutcomeUnknown) as error:
                if isinstance(error, OutcomeUnknown) and not repeatable:
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
    ) -> requests.Response:
        """Open an event stream, without retrying.

        :return: a response whose body has not been read; the caller must close it.
        :raises FactstoreError: the service refused the request or cannot be reached.
        """
        response = self._once(
            "GET",
            url,
            params=params,
            headers={**headers, "Accept": "text/event-stream", "Accept-Encoding": "identity"},
            timeout=(CONNECT_SECONDS, self._stream_silence),
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

    def _once(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        writes = method not in _READS
        try:
            # A redirect would send the token to another server; the API never redirects.
            response = self._adapter.request(url, method, raise_exc=False, redirect=False, **kwargs)
        except TypeError as error:
            if kwargs.get("json") is None:
                raise
            raise TypeError(
                f"{method} {url} cannot be sent: {error}. A value is text, a number, a boolean, None,"
                " or a list or dict of these. Decode bytes first, or encode them as base64."
            ) from None
        except exceptions.HttpServerError as error:
            raise Unavailable(f"The identity service failed: {error}") from error
        except exceptions.ConnectionError as error:
            cause = _transient_cause(error)
            if cause is None:
                raise
            if writes and not _never_connected(cause):
                raise OutcomeUnknown(f"{error}; the request may have been carried out.") from error
            raise Unavailable(_without_layers(cause)) from error
        if response.status_code < 300 or response.status_code == 304:
            return response
        try:
            raise from_response(response, writes=writes)
        finally:
            response.close()


def parsed(response: requests.Response, parse: Callable[[dict[str, Any]], T]) -> T:
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


def _transient_cause(error: exceptions.ConnectionError) -> BaseException | None:
    """Return the cause of a transient error, or None if the error is permanent."""
    # keystoneauth's error does not show whether the request was sent; the error that it replaced does.
    cause = error.__context__
    transient = isinstance(cause, _TRANSIENT) and not isinstance(
        cause, requests.exceptions.SSLError
    )
    return cause if transient else None


_TRANSIENT = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def _without_layers(error: BaseException) -> str:
    """Describe a failed connection by its innermost cause, which the libraries wrap several times."""
    sent: Any = getattr(error, "request", None)
    parts = urlsplit(getattr(sent, "url", None) or "")
    place = f"{parts.scheme}://{parts.netloc}"
    if isinstance(error, requests.exceptions.Timeout):
        return f"The request to {place} timed out."
    verb = "Unable to establish connection" if _never_connected(error) else "Lost the connection"
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{verb} to {place}: {getattr(error, 'strerror', None) or error}."


def _never_connected(cause: BaseException) -> bool:
    reason = getattr(cause.args[0], "reason", None) if cause.args else None
    return isinstance(cause, requests.exceptions.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError
    )
