"""Records as bytes.

A fact is a line of JSON about it, then its value's canonical text untouched, so that reading one
never parses the value.  The line names its format, so that a later one can be told apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal, get_args, get_origin, get_type_hints

from factstore.core.errors import Invalid
from factstore.core.model.event import DeletionAuthor, Record
from factstore.core.model.fact import MASK, Fact, Stack
from factstore.core.model.path import quoted
from factstore.core.model.record_key import RecordKey
from factstore.core.model.record_kinds import RECORD_KINDS
from factstore.core.model.waiter import Progress
from factstore.store.keyspace import is_id
from factstore.store.record_formats import RECORD_FORMATS

FORMAT = 1
SEALED = 2
"""The format of a sensitive fact: its value is sealed.  Who does not know that must not show it."""


_OF_FACTS = (FORMAT, SEALED)
_SEALED = f'{{"format": {SEALED},'.encode()


class UnknownFormat(Exception):
    """A record was written by a newer factstore, or by somebody else."""


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever is wrong with a record, it is none of ours: one stray key must not stop the watch."""
    try:
        yield
    except UnicodeDecodeError as error:  # its own text would show the whole record
        raise UnknownFormat(f"a record is not UTF-8 at byte {error.start}") from None
    except (ValueError, KeyError, TypeError, RecursionError, Invalid) as error:
        raise UnknownFormat(f"a record does not have format {FORMAT}: {error!r}") from error


def encode_fact(fact: Fact) -> bytes:
    """All of a fact but what the database itself knows of its key."""
    head: dict[str, object] = {
        "format": FORMAT if fact.sealed is None else SEALED,
        "kind": fact.kind,
        "created_at": fact.created_at,
        "updated_at": fact.updated_at,
        "updated_by": fact.updated_by,
        "request_id": fact.request_id,
    }
    if fact.ttl is not None:
        head["ttl"] = fact.ttl
    if fact.member is not None:
        head["member"] = fact.member
    if fact.sealed is None:
        return f"{json.dumps(head)}\n{fact.text}".encode()
    head["readers"] = fact.readers
    return f"{json.dumps(head)}\n{fact.sealed}".encode()


def is_sealed(record: bytes) -> bool:
    """Whether a fact's record is that of a sensitive one, at a glance."""
    return record.startswith(_SEALED)


@_reading()
def decode_fact(record: bytes, path: str, *, revision: int, version: int, lease: int) -> Fact:
    """Read :func:`encode_fact`; *revision*, *version* and *lease* come from the key.

    :raises UnknownFormat: it is none of ours.
    """
    line, _, text = record.decode().partition("\n")
    head = _load(line, _OF_FACTS)
    if not isinstance(head.get("member"), str | None):
        raise ValueError("its member is no name")  # members are looked up by it
    sealed: str | None = None
    readers: tuple[str, ...] = ()
    if head["format"] == SEALED:
        text, sealed, readers = MASK, text, _readers(head["readers"])
    return Fact(
        path=path,
        text=text,
        kind=head["kind"],
        created_at=head["created_at"],
        updated_at=head["updated_at"],
        updated_by=head["updated_by"],
        request_id=head["request_id"],
        ttl=head.get("ttl"),
        member=head.get("member"),
        version=version,
        revision=revision,
        lease=lease,
        sealed=sealed,
        readers=readers,
    )


def _readers(held: object) -> tuple[str, ...]:
    if not (isinstance(held, list) and all(isinstance(reader, str) for reader in held)):
        raise ValueError("its readers are no names")
    return tuple(held)


def encode_record(record: Record) -> bytes:
    """Return the value of a record, without the fields that etcd knows."""
    stored = RECORD_FORMATS[record.record_key.kind]
    fields = asdict(record)
    for name in _NOT_STORED:
        fields.pop(name, None)
    if stored.key_field is not None:
        del fields[stored.key_field]
    for name, value in stored.omitted.items():
        if fields[name] == value:
            del fields[name]
    return json.dumps({"format": FORMAT, **fields}).encode()


@_reading()
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
    record = RECORD_KINDS[key.kind].record(revision=revision, lease=lease, **fields)
    if not all(_fits(getattr(record, name), hint) for name, hint in _HINTS[key.kind].items()):
        raise ValueError("a field does not have the right type")
    if record.record_key != key:
        raise ValueError("it does not belong to its key")
    return record


def _fits(value: object, hint: Any) -> bool:
    """Whether a value has the type that it is declared with: JSON may hold anything under a name."""
    if hint is str:
        return isinstance(value, str) and not _SURROGATE.search(value)  # it counts as UTF-8
    inner = get_args(hint)
    if get_origin(hint) is Literal:
        return value in inner
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(item, inner[0]) for item in value)
    if get_origin(hint) is dict:
        return value == {}  # nothing but what readers note
    if hint is Progress:
        return isinstance(value, Progress) and all(
            _fits(getattr(value, name), its) for name, its in get_type_hints(Progress).items()
        )
    return any(_fits(value, one) for one in inner) if inner else type(value) is hint


_HINTS = {kind: get_type_hints(row.record) for kind, row in RECORD_KINDS.items()}
_NOT_STORED = ("revision", "lease", "memo")
_SURROGATE = re.compile("[\ud800-\udfff]")


def encode_stack(stack: Stack) -> bytes:
    """All of a stack but its project, its name, and what the database knows of its key."""
    return json.dumps(
        {
            "format": FORMAT,
            "id": stack.id,
            "description": stack.description,
            "created_at": stack.created_at,
            "updated_at": stack.updated_at,
            "updated_by": stack.updated_by,
            "request_id": stack.request_id,
        }
    ).encode()


@_reading()
def decode_stack(
    record: bytes, project_id: str, name: str, *, revision: int, created: int
) -> Stack:
    """Read :func:`encode_stack`.

    :raises UnknownFormat: it is none of ours.
    """
    held = _load(record.decode())
    del held["format"]
    if not all(isinstance(value, str) for value in held.values()) or not is_id(held["id"]):
        raise ValueError("a member of the record does not have the right type")
    return Stack(project_id=project_id, name=name, revision=revision, created=created, **held)


def encode_act(act: DeletionAuthor) -> bytes:
    """Who deleted what."""
    return json.dumps(
        {
            "format": FORMAT,
            "stack_id": act.stack_id,
            "user_id": act.user_id,
            "request_id": act.request_id,
            "paths": act.paths,
            "whole_stack": act.whole_stack,
        }
    ).encode()


@_reading()
def decode_act(record: bytes) -> DeletionAuthor:
    """Read :func:`encode_act`.

    :raises UnknownFormat: it is none of ours.
    """
    held = _load(record.decode())
    return DeletionAuthor(
        stack_id=held["stack_id"],
        user_id=held["user_id"],
        request_id=held["request_id"],
        paths=tuple(held["paths"]),
        whole_stack=held["whole_stack"],
    )


def _load(text: str, formats: Collection[int] = (FORMAT,)) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(text)
    if held["format"] not in formats:
        raise ValueError(f"its format is {quoted(str(held['format']))}")
    return held
