"""Read server-sent events as strictly as the HTML standard allows."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

PATIENCE = 60.0  # seconds of silence until a stream counts as dead; it pings more often
LONGEST_LINE = 1024 * 1024
SILENCE = 4  # comments without a frame until it has nothing to say


@dataclass(frozen=True)
class Frame:
    """A block between two blank lines; comments have no event."""

    event: str | None = None
    id: str | None = None
    retry: int | None = None
    data: Any = None
    comment: str | None = None

    @property
    def paths(self) -> list[str]:
        """The changes of a change frame."""
        return [change["path"] for change in self.data["changes"]]


class Stream:
    """A watcher; a context manager that closes it."""

    def __init__(
        self,
        url: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        where = urlsplit(url)
        assert where.hostname
        self._connection = http.client.HTTPConnection(where.hostname, where.port, timeout=PATIENCE)
        if tls is not None:
            self._connection = http.client.HTTPSConnection(
                where.hostname, where.port, timeout=PATIENCE, context=tls
            )
        try:
            self._connection.request(
                "GET", path, headers={"Accept": "text/event-stream", **(headers or {})}
            )
            self.answer = self._connection.getresponse()
        except OSError:
            self._connection.close()
            raise

    def next(self) -> Frame | None:
        """Return the next frame that is not a comment, or None if the stream has ended."""
        for _ in range(SILENCE):
            frame = self.next_of_any()
            if frame is None or frame.comment is None:
                return frame
        raise AssertionError("nothing but pings")

    def expect(self, event: str) -> Frame:
        """Return the next frame, which must be of this kind, without bookmarks, which time causes."""
        frame = self.next()
        while frame is not None and frame.event == "bookmark" != event:
            frame = self.next()
        assert frame is not None, f"the stream ended; wanted {event}"
        assert frame.event == event, frame
        return frame

    def rest(self) -> list[Frame]:
        """Return all frames until the end, without comments, and bookmarks, which time causes."""
        return [frame for frame in self if frame.event != "bookmark"]

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.next()) is not None:
            yield frame

    def next_of_any(self) -> Frame | None:
        """Return the next frame or comment, or None if the stream has ended."""
        fields: dict[str, str] = {}
        while True:
            raw = self.answer.readline()
            if not raw:
                assert not fields, f"cut in the middle of a frame: {fields}"
                return None
            assert raw.endswith(b"\n"), f"cut in the middle of a line: {raw!r}"
            assert len(raw) <= LONGEST_LINE, "a reader of lines needs too much memory"
            line = raw[:-1].decode("utf-8")
            assert "\r" not in line, f"a carriage return would end a line: {line!r}"
            if not line:
                break
            name, colon, value = line.partition(": ")
            assert colon, f"not a field: {line!r}"
            assert name == "data" or name not in fields, f"{name} twice in one frame"
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        if fields.keys() == {""}:
            return Frame(comment=fields[""])
        assert {"event", "data"} <= fields.keys() <= {"id", "event", "retry", "data"}, fields
        retry = fields.get("retry")
        return Frame(
            event=fields["event"],
            id=fields.get("id"),
            retry=None if retry is None else int(retry),
            data=json.loads(fields["data"]),
        )

    def close(self) -> None:
        self.answer.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
