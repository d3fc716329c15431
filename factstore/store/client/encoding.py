"""Messages of etcd for transactions, made without the library, which needs several times as long.

They are the bytes that protobuf would make, apart from the order of fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from factstore.store.types import (
    AnyTxn,
    Compare,
    DeleteKeys,
    FactTxn,
    Fence,
    Operation,
    PutKey,
)

TXN = "/etcdserverpb.KV/Txn"
"""The call that receives these messages."""

# Tags: the number of a field, and 2 for bytes, 0 for a number.
_COMPARE, _SUCCESS, _FAILURE = b"\x0a", b"\x12", b"\x1a"  # of TxnRequest
_RANGE, _PUT, _DELETE, _TXN = b"\x0a", b"\x12", b"\x1a", b"\x22"  # of RequestOp
_KEY, _SECOND = b"\x0a", b"\x12"  # key; value or range_end
_LEASE = b"\x18"
_COMPARE_KEY, _COMPARE_END = b"\x1a", b"\x82\x04"
_RESULTS = {"==": b"", "<": b"\x08\x02"}
_TARGETS = {"create": b"\x10\x01", "mod": b"\x10\x02", "value": b"\x10\x03"}
_MOD_OF_KEY = _TARGETS["mod"] + _COMPARE_KEY
_CREATE_OF_KEY, _NEVER = _TARGETS["create"] + _COMPARE_KEY, b"\x28\x00"
_REVISION_BYTES = len(_MOD_OF_KEY) + 2  # of a compare, besides its key and its revision
_OPERANDS = {"create": b"\x28", "mod": b"\x30", "value": b"\x3a"}


def encode_transaction(txn: AnyTxn) -> bytes:
    """Return a request that applies all operations if all compares succeed."""
    return b"".join(_pieces(txn))


def encode_compares(compares: Iterable[Compare]) -> bytes:
    """Return the part of a request that states compares."""
    return b"".join(map(encode_compare, compares))


def encode_compare(compare: Compare) -> bytes:
    """Return the part of a request that states a compare."""
    return _COMPARE + _sized(_compare(compare))


def encode_operations(operations: Iterable[Operation]) -> bytes:
    """Return the part of a request that states operations."""
    return b"".join([_SUCCESS + _sized(_operation(operation)) for operation in operations])


def encode_revisions(keys: Iterable[bytes], revisions: Iterable[int]) -> list[bytes]:
    """Return the parts of a request that state compares of the revisions of keys."""
    parts, known = [], _VARINTS
    for key, revision in zip(keys, revisions, strict=True):
        size = len(key)
        number = known[revision] if revision < _KNOWN else _kept_varint(revision)
        whole = size + len(number) + _REVISION_BYTES
        if whole < _KNOWN - 1:
            length = known[whole + (size > 127)]
            parts.append(
                b"".join((_COMPARE, length, _MOD_OF_KEY, known[size], key, b"\x30", number))
            )
        else:
            compare = b"%b%b%b\x30%b" % (_MOD_OF_KEY, _varint(size), key, number)
            parts.append(_COMPARE + _sized(compare))
    return parts


def encode_absence(key: bytes, end: bytes = b"") -> bytes:
    """Return the part of a request that states that a key or a range does not exist."""
    compare = b"%b%b%b%b" % (_CREATE_OF_KEY, _varint(len(key)), key, _NEVER)
    if end:
        compare = b"%b%b%b%b" % (compare, _COMPARE_END, _varint(len(end)), end)
    return b"%b%b%b" % (_COMPARE, _varint(len(compare)), compare)


def encode_puts(puts: Iterable[tuple[bytes, bytes, int]]) -> bytes:
    """Return the part of a request that states puts.

    :param puts: the key, the value and the lease of each.
    """
    parts: list[bytes] = []
    known = _VARINTS
    for key, value, lease in puts:
        k, v = len(key), len(value)
        if not lease and k + v < _SMALL:
            whole = k + v + 4 + (k > 127) + (v > 127)
            around = known[whole + 2 + (whole > 127)]
            parts += (_SUCCESS, around, _PUT, known[whole], _KEY, known[k], key, _SECOND, known[v])
            parts.append(value)
        else:
            parts += (_SUCCESS, _sized(_operation(PutKey(key, value, lease))))
    return b"".join(parts)


def encode_attempt(txns: Sequence[AnyTxn], fence: Fence) -> bytes:
    """Return a request with transactions, which applies none of them once their fence was raised.

    In that case the response contains the key of the fence.
    """
    begin, end = _fence(fence)
    if len(txns) == 1:
        return b"".join((begin, *_pieces(txns[0]), end))
    parts = [begin]
    for txn in txns:
        pieces = _pieces(txn)
        parts += (_SUCCESS, *_nested(sum(map(len, pieces))), *pieces)
    parts.append(end)
    parts[:0] = (_SUCCESS, *_nested(sum(map(len, parts))))
    # etcd does not count nested puts, and would store them beyond its quota.  It counts this one, which
    # is never carried out, because a request without compares always succeeds.
    counted = next((txn.first_put for txn in txns if txn.first_put is not None), None)
    if counted is not None:
        parts += (_FAILURE, _sized(_operation(PutKey(counted, b""))))
    return b"".join(parts)


def _pieces(txn: AnyTxn) -> tuple[bytes, ...]:
    """Return a request that applies a transaction, in pieces, because copies of it cost time."""
    if isinstance(txn, FactTxn):
        return b"".join(txn.compares), txn.puts
    return encode_compares(txn.compares), encode_operations(txn.operations)


def _nested(size: int) -> tuple[bytes, bytes, bytes]:
    """Return what precedes a request of some bytes as an operation of another one."""
    length = _varint(size)
    return _varint(1 + len(length) + size), _TXN, length


def encode_raising(fence: Fence) -> bytes:
    """Return a request that raises a fence, unless it was raised, and then reads its key."""
    begin, end = _fence(fence)
    return b"%b%b%b" % (begin, encode_puts([(fence.key, b"", 0)]), end)


@lru_cache(16)
def _fence(fence: Fence) -> tuple[bytes, bytes]:
    """Return the compare of a fence, and the operation of a request whose compares fail."""
    read = _RANGE + _sized(_field(_KEY, fence.key))
    return b"".join(encode_revisions((fence.key,), (fence.revision,))), _FAILURE + _sized(read)


def _compare(compare: Compare) -> bytes:
    # The same keys are compared again and again, such as that of the epoch, but no revisions.
    return (_make_compare if compare.end or compare.target == "mod" else _kept_compare)(compare)


def _make_compare(compare: Compare) -> bytes:
    operand = compare.operand
    value = _sized(operand) if isinstance(operand, bytes) else _varint(operand)
    end = _COMPARE_END + _sized(compare.end) if compare.end else b""
    return b"%b%b%b%b%b%b" % (
        _RESULTS[compare.result],
        _TARGETS[compare.target],
        _field(_COMPARE_KEY, compare.key),
        _OPERANDS[compare.target],
        value,
        end,
    )


_kept_compare = lru_cache(4096)(_make_compare)


def _operation(operation: Operation) -> bytes:
    match operation:
        case PutKey(key, value, lease):
            put = _field(_KEY, key) + _field(_SECOND, value)
            return _PUT + _sized(put + _LEASE + _varint(lease) if lease else put)
        case DeleteKeys(key, end):
            return _DELETE + _sized(_field(_KEY, key) + _field(_SECOND, end))


def _field(tag: bytes, value: bytes) -> bytes:
    return tag + _sized(value) if value else b""


def _sized(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _varint(number: int) -> bytes:
    return _VARINTS[number] if number < _KNOWN else _make_varint(number)


def _make_varint(number: int) -> bytes:
    parts = []
    while number >= 128:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes((*parts, number))


# The facts that were written at once have the same revision.
_kept_varint = lru_cache(4096)(_make_varint)

_KNOWN = 1024
_SMALL = _KNOWN - 16  # a put's key and value together, so that all its lengths are known
_VARINTS = [_make_varint(number) for number in range(_KNOWN)]
