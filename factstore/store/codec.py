"""Encoding of facts, stacks and records.

A fact is a line of JSON with its fields, followed by the canonical text of its value, so that decoding
never parses the value.  The line contains the number of the format, so that later formats can be
recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from factstore.core.errors import Invalid
from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import MASK, Fact, Stack
from factstore.core.model.kept_value import KEEP_VALUES_MAX
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.waiter import Progress
from factstore.store.fact_line import (
    FORMAT,
    SEALED,
    known_fields,
    load_fields,
    parsed_fields,
    shared,
)
from factstore.store.key_builder import is_valid_id
from factstore.store.record_formats import RECORD_FORMATS

_SEALED = f'{{"format": {SEALED},'.encode()
_quoted = json.encoder.encode_basestring_ascii
_new = object.__new__


class UnknownFormat(Exception):
    """The value was written by a newer version, or by another client of etcd."""


P = ParamSpec("P")
R = TypeVar("R")


def _decoding(decode: Callable[P, R]) -> Callable[P, R]:
    """Raise UnknownFormat for any error, because one stray key must not stop the watch."""

    @wraps(decode)
    def decoded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return decode(*args, **kwargs)
        except _ERRORS as error:
            raise _unknown(error) from _cause(error)

    return decoded


_ERRORS = (ValueError, KeyError, TypeError, RecursionError, Invalid)


def _unknown(error: Exception) -> UnknownFormat:
    if isinstance(error, UnicodeDecodeError):  # its text would contain the whole value
        return UnknownFormat(f"a record is not UTF-8 at byte {error.start}")
    return UnknownFormat(f"a record does not have format {FORMAT}: {error!r}")


def _cause(error: Exception) -> Exception | None:
    return None if isinstance(error, UnicodeDecodeError) else error


def encode_fact(fact: Fact) -> bytes:
    """Return the value of a fact, without the fields that etcd knows."""
    return encode_facts((fact,))[0]


def encode_facts(facts: Iterable[Fact]) -> list[bytes]:
    """Return the values of facts that are written together, of which most have equal lines."""
    values, like, line = [], None, b""
    for fact in facts:
        if like is None or not _have_equal_lines(like, fact):
            like, line = fact, f"{_line(fact)}\n".encode()
        values.append(line + (fact.text if fact.sealed is None else fact.sealed).encode())
    return values


def _have_equal_lines(one: Fact, other: Fact) -> bool:
    return (
        one.created_at == other.created_at
        and one.updated_at == other.updated_at
        and one.request_id == other.request_id
        and one.updated_by == other.updated_by
        and one.kind == other.kind
        and one.ttl == other.ttl
        and one.member == other.member
        and one.cause == other.cause
        and one.sealed is None is other.sealed
    )


def _line(fact: Fact) -> str:
    # As json.dumps writes it, but in half the time.
    line = (
        f'"kind": {_quoted(fact.kind)}, "created_at": {_quoted(fact.created_at)}, '
        f'"updated_at": {_quoted(fact.updated_at)}, "updated_by": {_quoted(fact.updated_by)}, '
        f'"request_id": {_quoted(fact.request_id)}'
    )
    if fact.ttl is not None:
        line += f', "ttl": {fact.ttl}'
    if fact.member is not None:
        line += f', "member": {_quoted(fact.member)}'
    if fact.cause:
        line += f', "cause": {fact.cause}'
    if fact.sealed is None:
        return f'{{"format": {FORMAT}, {line}}}'
    return f'{{"format": {SEALED}, {line}, "readers": {json.dumps(fact.readers)}}}'


def is_sealed(value: bytes) -> bool:
    """Return True if the value of a fact is that of a sensitive one."""
    return value.startswith(_SEALED)


def decode_fact(
    value: bytes, path: str, revision: int, version: int, lease: int, created: int = 0
) -> Fact:
    """Return the fact that :func:`encode_fact` encoded; the other fields come from etcd.

    :raises UnknownFormat: the value is not a fact.
    """
    try:
        line, _, text = value.decode().partition("\n")
        kind, created_at, updated_at, updated_by, request_id, ttl, member, readers, cause = (
            known_fields(line) or parsed_fields(line)
        )
    except _ERRORS as error:
        raise _unknown(error) from _cause(error)
    # In half of the time of Fact(...): a worker that starts decodes very many.
    fact: Any = _new(Fact)
    if readers is None:
        fact.text, fact.sealed, fact.readers, counted = text, None, (), text
    else:
        fact.text, fact.sealed, fact.readers, counted = MASK, text, readers, text
    fact.path = path
    fact.kind = kind
    fact.created_at = created_at
    fact.updated_at = updated_at
    fact.updated_by = updated_by
    fact.request_id = request_id
    fact.ttl = ttl
    fact.member = member
    fact.version = version
    fact.revision = revision
    fact.lease = lease
    fact.created = revision if created == revision else shared(created)
    fact.cause = cause
    fact.memo = None
    fact.size = len(path) + (len(counted) if counted.isascii() else len(counted.encode()))
    return fact  # type: ignore[no-any-return]


def encode_record(record: Record) -> bytes:
    """Return the value of a record, without the fields that etcd knows."""
    stored = RECORD_FORMATS[type(record)]
    fields = asdict(record)
    for name in _NOT_STORED:
        fields.pop(name, None)
    if stored.key_field is not None:
        del fields[stored.key_field]
    for name, value in stored.omitted.items():
        if fields[name] == value:
            del fields[name]
    return json.dumps({"format": FORMAT, **fields}).encode()


@_decoding
def decode_record(value: bytes, key: RecordKey, *, revision: int, lease: int) -> Record:
    """Return the record that :func:`encode_record` encoded.

    :raises UnknownFormat: the value is not a record of this kind.
    """
    stored = RECORD_FORMATS[key.kind]
    fields = load_fields(value.decode())
    del fields["format"]
    if "memo" in fields:
        raise ValueError("it contains a field that is never stored")
    if stored.key_field is not None:
        fields[stored.key_field] = key.name.partition("/")[0]
    if stored.convert is not None:
        stored.convert(fields)
    make: Callable[..., Record] = key.kind
    record = make(revision=revision, lease=lease, **fields)
    if not all(_fits(getattr(record, name), hint) for name, hint in _HINTS[key.kind].items()):
        raise ValueError("a field does not have the right type")
    if record.record_key != key:
        raise ValueError("it does not belong to its key")
    return record


def _fits(value: object, hint: Any) -> bool:
    """Return True if a value has the type of its field, because JSON may contain any other."""
    if hint is str:
        return isinstance(value, str) and not _SURROGATE.search(value)  # its size is that of UTF-8
    inner = get_args(hint)
    if get_origin(hint) is Mapping:
        return isinstance(value, dict) and all(
            _fits(key, inner[0]) and _fits(item, inner[1]) for key, item in value.items()
        )
    if get_origin(hint) is Literal:
        return value in inner
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if get_origin(hint) is dict:
        return value == {}  # memo is never stored
    if hint in _NESTED:
        return isinstance(value, hint) and all(
            _fits(getattr(value, name), its) for name, its in _NESTED[hint].items()
        )
    return any(_fits(value, one) for one in inner) if inner else type(value) is hint


_NESTED = {kind: get_type_hints(kind) for kind in (Progress,)}
_HINTS = {kind: get_type_hints(kind) for kind in RECORD_FORMATS}
_NOT_STORED = ("revision", "lease", "memo")
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_stack(stack: Stack) -> bytes:
    """Return the value of a stack, without the fields that its key contains or etcd knows."""
    fields: dict[str, object] = {
        "format": FORMAT,
        "id": stack.id,
        "description": stack.description,
        "created_at": stack.created_at,
        "updated_at": stack.updated_at,
        "updated_by": stack.updated_by,
        "request_id": stack.request_id,
    }
    if stack.keep_values:  # so that earlier versions can read the stacks that do not use it
        fields["keep_values"] = stack.keep_values
    return json.dumps(fields).encode()


@_decoding
def decode_stack(value: bytes, project_id: str, name: str, *, revision: int, created: int) -> Stack:
    """Return the stack that :func:`encode_stack` encoded.

    :raises UnknownFormat: the value is not a stack.
    """
    fields = load_fields(value.decode())
    del fields["format"]
    keep_values = fields.pop("keep_values", 0)
    if type(keep_values) is not int or not 0 <= keep_values <= KEEP_VALUES_MAX:
        raise ValueError("it keeps no such number of values")
    if not all(isinstance(field, str) for field in fields.values()) or not is_valid_id(
        fields["id"]
    ):
        raise ValueError("a field does not have the right type")
    return Stack(
        project_id=project_id,
        name=name,
        revision=revision,
        created=created,
        keep_values=keep_values,
        **fields,
    )


def encode_deletion_author(author: DeletionAuthor) -> bytes:
    """Return the value of the author of a deletion."""
    return json.dumps(
        {
            "format": FORMAT,
            "stack_id": author.stack_id,
            "user_id": author.user_id,
            "request_id": author.request_id,
            "paths": author.paths,
            "whole_stack": author.whole_stack,
        }
    ).encode()


@_decoding
def decode_deletion_author(value: bytes) -> DeletionAuthor:
    """Return the author that :func:`encode_deletion_author` encoded.

    :raises UnknownFormat: the value is not the author of a deletion.
    """
    fields = load_fields(value.decode())
    return DeletionAuthor(
        stack_id=fields["stack_id"],
        user_id=fields["user_id"],
        request_id=fields["request_id"],
        paths=tuple(fields["paths"]),
        whole_stack=fields["whole_stack"],
    )
