"""One call: sent, repeated while that is safe and useful, and its failure named.

What is repeated: everything on 503 and 429, and when no connection came about, for then nothing was
written; reads, and writes with an idempotency key, also when the answer was lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests
import urllib3
from keystoneauth1 import exceptions

from factstore.client.adapter import Adapter
from factstore.client.backoff import Backoff
from factstore.client.clock import Clock
from factstore.client.errors import OutcomeUnknown, Unavailable, UnexpectedAnswer, from_response

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0  # beyond what the service was asked to wait
STREAM_SILENCE_SECONDS = 45.0  # three pings of the service
LONGEST_WAIT = 50  # seconds that the service waits in one request

T = TypeVar("T")

_READS = frozenset({"GET", "HEAD"})


class Transport:
    """Sends requests.

    :param retry_for: seconds after which a call that keeps failing is given up.
    :param stream_silence: seconds without a byte after which a stream counts as dead.
    :param answer_within: seconds that an answer may take, beyond those of a wait.
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
        """Send a request until it is answered.

        :param url: from ``/v1`` on.
        :param body: sent as JSON, unless it is None.
        :param wait: seconds that the service may take to answer; a repetition asks for the rest.
        :return: a response with a status below 400.
        :raises FactstoreError: the service refused, or *retry_for* is over.
        """
        began = self.clock.monotonic()
        backoff = Backoff()
        repeatable = method in _READS or "Idempotency-Key" in (headers or {})
        left = wait
        while True:
            asked = dict(params or {})
            if wait:
                asked["wait"] = str(math.ceil(left))
            try:
                return self._once(
                    method,
                    url,
                    params=asked,
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
                passed = self.clock.monotonic() - began + pause
                if passed > wait + self._retry_for:
                    raise
                left = max(wait - passed, 0.0)
            self.clock.sleep(pause)

    def open_stream(
        self, url: str, *, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> requests.Response:
        """Begin to read an event stream; one attempt.

        :return: a response whose body is yet to be read, and which the caller closes.
        :raises FactstoreError: the service refused, or cannot be reached.
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
                f"an event stream was asked for, and {kind or 'something'!r} came.",
                status=response.status_code,
            )
        return response

    def _once(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        writes = method not in _READS
        try:
            # A redirect would take the token somewhere else; the API has none.
            response = self._adapter.request(url, method, raise_exc=False, redirect=False, **kwargs)
        except exceptions.HttpServerError as error:
            raise Unavailable(f"the identity service failed: {error}") from error
        except exceptions.ConnectionError as error:
            cause = _lost_exchange(error)
            if cause is None:
                raise
            if writes and not _never_connected(cause):
                raise OutcomeUnknown(f"{error}; it may have been carried out.") from error
            raise Unavailable(str(error)) from error
        if response.status_code < 300 or response.status_code == 304:
            return response
        try:
            raise from_response(response, writes=writes)
        finally:
            response.close()


def parsed(response: requests.Response, parse: Callable[[dict[str, Any]], T]) -> T:
    """A response's JSON object, as *parse* reads it.

    :raises UnexpectedAnswer: it is none, or lacks what the API promises.
    """
    try:
        document = response.json()
        if not isinstance(document, dict):
            raise TypeError(f"it is a {type(document).__name__}")
        return parse(document)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnexpectedAnswer(
            f"the answer with status {response.status_code} cannot be read: {error!r}",
            status=response.status_code,
            request_id=response.headers.get("X-Openstack-Request-Id"),
        ) from error


def named(**params: str | None) -> dict[str, str]:
    """Query parameters without those that say nothing."""
    return {name: value for name, value in params.items() if value}


def _lost_exchange(error: exceptions.ConnectionError) -> BaseException | None:
    """The cause of an error that may pass by itself, else None.

    keystoneauth does not tell whether a request had been sent; what its error replaced does.
    """
    cause = error.__context__
    passes = isinstance(cause, _PASSING) and not isinstance(cause, requests.exceptions.SSLError)
    return cause if passes else None


_PASSING = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def _never_connected(cause: BaseException) -> bool:
    reason = getattr(cause.args[0], "reason", None) if cause.args else None
    return isinstance(cause, requests.exceptions.ConnectTimeout) or isinstance(
        reason, urllib3.exceptions.NewConnectionError
    )
