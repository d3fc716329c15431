"""An SSE reader that records the arrival of each frame and parses it later."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit


class Change(NamedTuple):
    """A change, with its arrival and its cursor."""

    at: float
    cursor: str
    what: dict[str, Any]


class Stream:
    """Context manager for the watch of a stack from now on.

    :param marks: byte strings to count in arriving frames, in :attr:`seen`.
    """

    def __init__(self, url: str, stack: str, token: str, marks: Sequence[bytes]) -> None:
        self.seen = dict.fromkeys(marks, 0)
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        headers = {"Accept": "text/event-stream"} | ({"X-Auth-Token": token} if token else {})
        self._connection.request("GET", f"/v1/stacks/{stack}/events", headers=headers)
        self._answer = self._connection.getresponse()
        assert self._answer.status == http.client.OK, self._answer.read()
        self._lines: list[tuple[float, bytes]] = []
        self._rest = b""
        self._closing = False
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(30), "the stream does not begin"
        return self

    def __exit__(self, *error: object) -> None:
        self._closing = True
        if self._connection.sock is not None:
            self._connection.sock.shutdown(2)
        self._thread.join()
        self._connection.close()

    def _read(self) -> None:
        # Frames are parsed later, so that parsing does not delay latency measurements.
        while data := self._some():
            now = time.perf_counter()
            self._begun.set()
            *lines, self._rest = (self._rest + data).split(b"\n")
            frames = [line for line in lines if line.startswith(b"data: {")]
            self._lines += [(now, line) for line in frames]
            for mark in self.seen:
                self.seen[mark] += sum(line.count(mark) for line in frames)

    def _some(self) -> bytes:
        try:
            return self._answer.read1(1 << 20)
        except (OSError, http.client.HTTPException):
            if self._closing:
                return b""
            raise

    def changes(self) -> list[Change]:
        """Return all changes so far, in the order of the stream."""
        return [
            Change(at, frame["cursor"], change)
            for at, line in list(self._lines)
            for frame in [json.loads(line.removeprefix(b"data: "))]
            for change in frame.get("changes", ())
        ]
