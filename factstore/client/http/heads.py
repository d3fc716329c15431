"""Heads of requests and responses.

Most responses arrive in one piece, and their heads are read with one expression.  http.client reads
headers with the parser for e-mails, which takes longer than all else that a request needs.  It reads
what is unusual: a head in pieces, a body without a length, a connection that ends.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_TARGET = re.compile(r"[!-~]+")
_REQUEST = re.compile(
    r"[A-Z]+ [!-~]+ HTTP/1\.1\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*\r\n)+\r\n"
)
_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})
_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([^\r\n]*)\r\n((?:[A-Za-z0-9-]+:[^\r\n\0]*\r\n)+)\r\n"
)
_FIELD = re.compile(r"([^:]+):[ \t]*([^\r\n]*)\r\n")
_WITHOUT_BODY = frozenset({http.client.NO_CONTENT, http.client.NOT_MODIFIED})


def encode_request(
    method: str, target: str, body: bytes | None, headers: Mapping[str, str]
) -> bytes:
    """Return a request with its body.

    :param headers: all but that of the length.
    :raises http.client.InvalidURL: the target has characters that must be encoded.
    :raises ValueError: the method, or the name or value of a header, is not allowed in a request.
    """
    lines = [f"{method} {target} HTTP/1.1\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
    if body is not None or method in _WITH_BODY:
        lines.append(f"Content-Length: {len(body or b'')}\r\n")
    head = "".join((*lines, "\r\n"))
    if _TARGET.fullmatch(target) is None:
        raise http.client.InvalidURL(
            f"The URL contains characters that must be encoded: {target!r}"
        )
    # The value of a header must not add another line.
    if _REQUEST.fullmatch(head) is None or head.count("\r\n") != len(lines) + 1:
        raise ValueError("The method or a header contains characters that are not allowed.")
    return head.encode("latin-1") + (body or b"")


class Headers(Mapping[str, str]):
    """The headers of a response, by names in any case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        found = list(pairs)
        self._values: dict[str, str] = {name.lower(): value for name, value in found}
        if len(self._values) < len(found):
            self._values = {}
            for name, value in found:
                lower = name.lower()
                both = f"{self._values[lower]}, {value}" if lower in self._values else value
                self._values[lower] = both

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class RawResponse(http.client.HTTPResponse):
    """A response of http.client.

    :ivar headers: its headers, as http.client has them or as :class:`Headers`.
    """

    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._is_head = method == "HEAD"

    def begin(self) -> None:
        """Read the head."""
        if not self._read_usual():
            super().begin()

    def _read_usual(self) -> bool:
        """Read a head that has arrived as a whole and has nothing unusual; return False for others."""
        reader: Any = self.fp
        head = _HEAD.match(reader.peek())
        if head is None:
            return False
        headers = Headers(_FIELD.findall(head[3].decode("latin-1")))
        if headers.get("connection", "keep-alive").lower() != "keep-alive":
            return False
        status, length = int(head[1]), headers.get("content-length", "")
        if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
            return False
        reader.read(head.end())
        message: Any = headers
        self.headers = self.msg = message
        self.version, self.status, self.reason = 11, status, head[2].decode("latin-1").strip()
        self.length = 0 if self._is_head or status in _WITHOUT_BODY else int(length)
        self.chunked = self.will_close = False
        return True
