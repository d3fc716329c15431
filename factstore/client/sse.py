"""A parser for server-sent events.

It follows the WHATWG's specification, except that a frame has only the id that it contains itself.
Browsers also keep the id of earlier frames, which would make a frame without an id look like a resume
point.  The parser does no input or output and does not interpret frames.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """One event of a stream.

    :param event: the type; empty if the frame has no data, only an id or a retry.
    :param data: the lines of data, joined by newlines.
    :param id: the id in this frame, or None.
    :param retry: the reconnection time in this frame, in seconds, or None.
    """

    event: str
    data: str
    id: str | None = None
    retry: float | None = None


class Parser:
    """Parses a stream that arrives in arbitrary pieces.

    An incomplete frame at the end of the stream is discarded.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._line: list[str] = []
        self._at_start = True
        self._after_cr = False
        self._event = "message"
        self._data: list[str] = []
        self._id: str | None = None
        self._retry: float | None = None

    def feed(self, piece: bytes) -> list[Frame]:
        """Return the frames that this piece completes."""
        text = self._decoder.decode(piece)
        if not text:
            return []
        after_cr, self._after_cr = self._after_cr, text.endswith("\r")
        if after_cr:
            text = text.removeprefix("\n")  # the previous piece ended with the CR of this CRLF
        if self._at_start:
            text = text.removeprefix("\ufeff")
            self._at_start = False
        # Only CR, LF and CRLF end a line: str.splitlines() knows many more.
        *ends, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        frames = []
        for end in ends:
            self._line.append(end)
            frame = self._process_line("".join(self._line))
            self._line.clear()
            if frame is not None:
                frames.append(frame)
        self._line.append(rest)
        return frames

    def _process_line(self, line: str) -> Frame | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        # Comments have an empty name; they and unknown fields are ignored.
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self._retry = int(value) / 1000
        return None

    def _dispatch(self) -> Frame | None:
        frame = None
        if self._data or self._id is not None or self._retry is not None:
            frame = Frame(
                self._event if self._data else "", "\n".join(self._data), self._id, self._retry
            )
        self._event, self._data, self._id, self._retry = "message", [], None, None
        return frame
