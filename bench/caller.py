"""One caller over a connection of the Python client, at little cost of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from factstore.client.http.connections import open_connection
from factstore.client.http.origin import Origin
from factstore.client.http.trust import Trust

TIMEOUT = 60


class CallError(Exception):
    """A response was an error."""


@dataclass(frozen=True)
class Answer:
    """A response that is not an error."""

    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Context manager for the connection.

    :param headers: headers of all requests.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        origin = Origin.parse(url)
        self._headers = {"Host": origin.host_header, **(headers or {})}
        self._connection = open_connection(origin, None, Trust(), TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request with a JSON body, if any.

        :raises CallError: the response is an error.
        """
        data, kind = None, {}
        if body is not None:
            data, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
        self._connection.request(method, path, data, {**kind, **self._headers, **(headers or {})})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise CallError(f"{method} {path}: {answer.status} {content.decode()}")
        return Answer(answer.headers, content)
