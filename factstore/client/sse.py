"""Server-sent events: from bytes to frames.

Follows the WHATWG's description of an event stream, and keeps one thing apart that browsers merge:
a frame tells the id that it names itself, so that one without is not taken for a resume point.
Pure: it knows neither sockets nor what the frames mean.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream.

    :param event: its type; empty when the frame has no data and only names an id or a retry.
    :param data: its lines, joined by newlines.
    :param id: the id that this very frame names, or None.
    :param retry: the reconnection time that it names, in seconds, or None.
    """

    event: str
    data: str
    id: str | None = None
    retry: float | None = None


class Parser:
    """Takes a stream in pieces cut anywhere, and gives the frames that they complete.

    What is left unfinished when the stream ends is no frame.
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
        """The frames that end in this piece."""
        text = self._decoder.decode(piece)
        if not text:
            return []
        after_cr, self._after_cr = self._after_cr, text.endswith("\r")
        if after_cr:
            text = text.removeprefix("\n")  # the line ended with the piece before
        if self._at_start:
            text = text.removeprefix("\ufeff")
            self._at_start = False
        # Only CR, LF and CRLF end a line: str.splitlines() knows many more.
        *ends, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        frames = []
        for end in ends:
            self._line.append(end)
            frame = self._take("".join(self._line))
            self._line.clear()
            if frame is not None:
                frames.append(frame)
        self._line.append(rest)
        return frames

    def _take(self, line: str) -> Frame | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self._retry = int(value) / 1000
            case _:
                pass  # comments have an empty name; fields nobody knows are passed over
        return None

    def _dispatch(self) -> Frame | None:
        frame = None
        if self._data or self._id is not None or self._retry is not None:
            frame = Frame(
                self._event if self._data else "", "\n".join(self._data), self._id, self._retry
            )
        self._event, self._data, self._id, self._retry = "message", [], None, None
        return frame
