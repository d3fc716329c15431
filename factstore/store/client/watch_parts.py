"""Long responses to a watch, divided into shorter ones.

etcd sends the changes of up to a thousand revisions at once, and protobuf needs more memory for them
than their bytes.  A worker that starts reads them one after another, so it never needs all at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from factstore.store.client import messages as rpc

PART_BYTES = 1 << 20  # of a part, if its last revision is not longer

_EVENT = 0x5A  # the tag of an event; all other fields of a response precede them
_NUMBER, _BYTES = 0, 2  # kinds of fields: the last bits of their tags
_KIND_BITS = 7


def parts_of(message: bytes | bytearray) -> Iterator[bytes]:
    """Yield messages that together have the events of a response, each with whole revisions.

    All other fields are in the first one.
    """
    if len(message) <= 2 * PART_BYTES:
        yield bytes(message)
        return
    start = at = 0
    last = 0, 0  # where the event before is
    while at < len(message):
        field, tag = at, message[at]
        number, at = _varint(message, at + 1)
        if tag & _KIND_BITS == _BYTES:
            at += number
        elif tag & _KIND_BITS != _NUMBER:
            break
        if tag != _EVENT:
            continue
        if field - start >= PART_BYTES and last[1]:
            former, event = message[last[0] : last[1]], message[field:at]
            if _revision(former) != _revision(event):
                yield bytes(message[start:field])
                start = field
        last = field, at
    yield bytes(message[start:])


def _revision(event: bytes | bytearray) -> int:
    """Return the revision of a message with one event."""
    return int(rpc.WatchResponse.FromString(bytes(event)).events[0].kv.mod_revision)


def _varint(message: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place after it."""
    number = shift = 0
    while (byte := message[at]) & 0x80:
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1
