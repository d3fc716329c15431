"""The plainest possible HTTP client: one connection, no retries, nothing hidden."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 25.0
"""Five for etcd, the service's limit, and much for a busy machine: who waits longer hangs."""


class Lost(Exception):
    """There was no response: the outcome of the request is unknown."""


class Hung(Exception):
    """No answer came in any time that a deadline allows; always a failure."""


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def etag(self) -> str:
        return self.headers["etag"]


class Caller:
    """Requests to one server after the other, over a connection that is kept.  Not thread-safe."""

    def __init__(self, url: str, timeout: float = ANSWER_SECONDS) -> None:
        self._address = urlsplit(url).netloc
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send, and read the whole answer.  Raises Lost, Hung."""
        sent = dict(headers or {})
        content = None
        if body is not None:
            content = json.dumps(body)
            sent["Content-Type"] = "application/json"
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, timeout=self._timeout)
        try:
            self._connection.request(method, path, content, sent)
            answer = self._connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        except TimeoutError as error:
            self.close()
            raise Hung(f"{method} {path} was not answered in {self._timeout:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Lost(f"{method} {path}: {error!r}") from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fact_url(stack: str, path: str) -> str:
    return f"/v1/stacks/{stack}/facts/{path}"


def revision_of(cursor: str) -> int:
    """The revision in a cursor or an entity tag; only checkers may look."""
    return int(cursor.strip('"').partition(".")[2])
