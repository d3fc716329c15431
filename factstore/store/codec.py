"""Encoding of facts, stacks and records.

A fact is a line of JSON with its fields, followed by the canonical text of its value, so that decoding
never parses the value.  The line contains the number of the format, so that later formats can be
recognised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from factstore.core.errors import Invalid
from factstore.core.model.event import DeletionAuthor
from factstore.core.model.fact import MASK, Fact, Stack
from factstore.core.model.kept_value import KEEP_VALUES_MAX
from factstore.core.model.path import quoted
from factstore.core.model.record import Record, RecordKey
from factstore.core.model.waiter import Progress
from factstore.store.key_builder import is_valid_id
from factstore.store.record_formats import RECORD_FORMATS

FORMAT = 1
SEALED = 2
"""The format of a sensitive fact, whose value is sealed.  Earlier versions do not decode it."""

RECENT = 1000  # values that are remembered, because equal ones need memory only once
RECENT_CHARACTERS = 1024  # of a line that is remembered

_recent: dict[Any, Any] = {}
_Head = tuple[Any, str, str, str, str, int | None, str | None, tuple[str, ...] | None, int]
_heads: dict[str, _Head] = {}
_quoted = json.encoder.encode_basestring_ascii
_FACT_FORMATS = (FORMAT, SEALED)
_SEALED = f'{{"format": {SEALED},'.encode()


class UnknownFormat(Exception):
    """The value was written by a newer version, or by another client of etcd."""


P = ParamSpec("P")
R = TypeVar("R")


def _decoding(decode: Callable[P, R]) -> Callable[P, R]:
    """Raise UnknownFormat for any error, because one stray key must not stop the watch."""

    # A context manager would take as long as a small fact.
    @wraps(decode)
    def decoded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return decode(*args, **kwargs)
        except UnicodeDecodeError as error:  # its text would contain the whole value
            raise UnknownFormat(f"a record is not UTF-8 at byte {error.start}") from None
        except (ValueError, KeyError, TypeError, RecursionError, Invalid) as error:
            raise UnknownFormat(f"a record does not have format {FORMAT}: {error!r}") from error

    return decoded


def encode_fact(fact: Fact) -> bytes:
    """Return the value of a fact, without the fields that etcd knows."""
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
        return f'{{"format": {FORMAT}, {line}}}\n{fact.text}'.encode()
    readers = json.dumps(fact.readers)
    return f'{{"format": {SEALED}, {line}, "readers": {readers}}}\n{fact.sealed}'.encode()


def is_sealed(value: bytes) -> bool:
    """Return True if the value of a fact is that of a sensitive one."""
    return value.startswith(_SEALED)


@_decoding
def decode_fact(
    value: bytes, path: str, *, revision: int, version: int, lease: int, created: int = 0
) -> Fact:
    """Return the fact that :func:`encode_fact` encoded; the other fields come from etcd.

    :raises UnknownFormat: the value is not a fact.
    """
    line, _, text = value.decode().partition("\n")
    head = _heads.get(line)
    if head is None:
        head = _head(line)
    kind, created_at, updated_at, updated_by, request_id, ttl, member, readers, cause = head
    sealed: str | None = None
    if readers is not None:
        text, sealed = MASK, text
    # Facts that are decoded one after the other were often written at once, at one revision.
    if len(_recent) > RECENT:
        _recent.clear()
    revision = _recent.setdefault(revision, revision)
    return Fact(
        path,
        text,
        kind,
        created_at,
        updated_at,
        updated_by,
        request_id,
        ttl,
        member,
        version,
        revision,
        lease,
        sealed,
        readers or (),
        _recent.setdefault(created, created),
        cause,
    )


def _head(line: str) -> _Head:
    """Return the fields in the line of a fact, and keep them for others that were written at once."""
    fields = _load(line, _FACT_FORMATS)
    if not isinstance(fields.get("member"), str | None):
        raise ValueError("its member is not a name")
    share = _recent.setdefault
    names = "kind", "created_at", "updated_at", "updated_by", "request_id"
    kind, created_at, updated_at, by, request_id = (
        share(fields[name], fields[name]) for name in names
    )
    member, ttl, cause = fields.get("member"), fields.get("ttl"), fields.get("cause", 0)
    readers = _readers(fields["readers"]) if fields["format"] == SEALED else None
    if type(cause) is not int or cause < 0:
        raise ValueError("its cause is not a revision")
    head = kind, created_at, updated_at, by, request_id, ttl, share(member, member), readers, cause
    if len(_heads) > RECENT:
        _heads.clear()
    if len(line) <= RECENT_CHARACTERS:
        _heads[line] = head
    return head


def _readers(readers: object) -> tuple[str, ...]:
    if not (isinstance(readers, list) and all(isinstance(reader, str) for reader in readers)):
        raise ValueError("its readers are not names")
    return tuple(readers)


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
    fields = _load(value.decode())
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
    fields = _load(value.decode())
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
    fields = _load(value.decode())
    return DeletionAuthor(
        stack_id=fields["stack_id"],
        user_id=fields["user_id"],
        request_id=fields["request_id"],
        paths=tuple(fields["paths"]),
        whole_stack=fields["whole_stack"],
    )


def _load(text: str, formats: Collection[int] = (FORMAT,)) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(text)
    if fields["format"] not in formats:
        raise ValueError(f"its format is {quoted(str(fields['format']))}")
    return fields
