"""Checks the health of a child over HTTP, without proxies."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import Any


class Probe:
    """A minimal HTTP client for one child. It ignores proxies, which are not for loopback."""

    def __init__(self, base: str, context: ssl.SSLContext | None = None) -> None:
        self._base = base
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def status(self, path: str, timeout: float = 5.0) -> int | None:
        """Return the status of GET ``path``, or None if there was no response."""
        try:
            with self._opener.open(self._base + path, timeout=timeout) as answer:
                code: int = answer.status
                return code
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except (OSError, http.client.HTTPException):
            return None

    def json(self, path: str, body: Any = None, timeout: float = 1.0) -> Any:
        """Return the parsed response to GET or, with ``body``, POST. Raises OSError, ValueError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data)  # noqa: S310 - http(s)
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return json.load(answer)
        except http.client.HTTPException as error:  # not an OSError: the response was cut off
            raise OSError(f"incomplete response from {self._base}{path}: {error!r}") from error
