"""The frames of HTTP/2 that a client of gRPC sends and reads."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
CONTINUATION = 9
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW = 1, 2, 3, 4
FRAME_BYTES = 16_384
FRAME_HEAD = Struct(">HBBBL")
"""The size of a frame in two parts, its type, its flags and its stream."""
LAST_STREAM = 2**31 - 1
NO_WINDOW = 65_535  # the window of a server that has announced none


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame."""
    return frame_head(len(payload), kind, flags, stream) + payload


def frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    """Return the beginning of a frame, which its payload follows."""
    return (size << 48 | kind << 40 | flags << 32 | stream).to_bytes(9)


def setting(name: int, value: int) -> bytes:
    """Return a setting in the payload of a frame."""
    return name.to_bytes(2) + value.to_bytes(4)


def settings_in(payload: bytes) -> Iterator[tuple[int, int]]:
    """Yield the names and values in the payload of a frame with settings."""
    for at in range(0, len(payload) - 5, 6):
        yield int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 6])
