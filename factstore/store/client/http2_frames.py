"""The frames and header blocks of HTTP/2 that a client of gRPC sends."""

from __future__ import annotations

from collections.abc import Sequence
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


def header_block(
    scheme: str,
    authority: str,
    method: str,
    token: str = "",
    metadata: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the headers of a call in HPACK, without entries of the dynamic table.

    :param authority: host and port of the server.
    :param token: of etcd, or empty.
    :param metadata: further headers.
    """
    fields = [
        b"\x83",  # :method: POST
        b"\x87" if scheme == "https" else b"\x86",
        b"\x04" + text(method),  # :path
        b"\x01" + text(authority),
        b"\x0f\x10" + text("application/grpc"),  # content-type
        b"\x00" + text("te") + text("trailers"),
        *(b"\x00" + text(name) + text(value) for name, value in metadata),
    ]
    if token:
        fields.append(b"\x10" + text("token") + text(token))  # never indexed
    return b"".join(fields)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame."""
    return frame_head(len(payload), kind, flags, stream) + payload


def frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    """Return the beginning of a frame, which its payload follows."""
    return (size << 48 | kind << 40 | flags << 32 | stream).to_bytes(9)


def setting(name: int, value: int) -> bytes:
    """Return a setting in the payload of a frame."""
    return name.to_bytes(2) + value.to_bytes(4)


def text(value: str) -> bytes:
    """Return a string literal of HPACK, without compression."""
    data = value.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    rest, length = len(data) - 127, [127]
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    return bytes([*length, rest]) + data
