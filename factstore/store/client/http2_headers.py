"""The header blocks of calls of gRPC, in HPACK without entries of the dynamic table."""

from __future__ import annotations

from collections.abc import Sequence


class HeaderBlocks:
    """The header blocks of a connection, which differ by method and token alone.

    :param authority: host and port of the server.
    :ivar known: the blocks that were made with the present token, by method and token.
    """

    __slots__ = ("_authority", "_scheme", "known")

    def __init__(self, scheme: str, authority: str) -> None:
        self._scheme, self._authority = scheme, authority
        self.known: dict[tuple[str, str], bytes] = {}

    def make(self, method: str, token: str) -> bytes:
        """Return the block of a method, and remember it as long as the token is used.

        :param token: of etcd, or empty.
        """
        block = header_block(self._scheme, self._authority, method, token)
        self.known = {key: kept for key, kept in self.known.items() if key[1] == token}
        self.known[method, token] = block
        return block

    def with_metadata(self, method: str, token: str, metadata: Sequence[tuple[str, str]]) -> bytes:
        """Return the block of a call with further headers."""
        return header_block(self._scheme, self._authority, method, token, metadata)


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
