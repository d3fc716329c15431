"""Asking a child over HTTP how it is, by the shortest way and through no proxy."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import Any


class Probe:
    """A tiny HTTP client for one child. Ignores proxies, which are not meant for loopback."""

    def __init__(self, base: str, context: ssl.SSLContext | None = None) -> None:
        self._base = base
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def status(self, path: str, timeout: float = 1.0) -> int | None:
        """The status of GET ``path``; None if there was no answer."""
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
        """The parsed answer of GET, or with ``body`` of POST. Raises OSError or ValueError."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data=data)  # noqa: S310 - http(s)
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return json.load(answer)
        except http.client.HTTPException as error:  # a family of its own: it ended half-way
            raise OSError(f"no whole answer from {self._base}{path}: {error!r}") from error
