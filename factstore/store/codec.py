"""Records as bytes.

A fact is a line of JSON about it, then its value's canonical text untouched, so that reading one
never parses the value.  The line names its format, so that a later one can be told apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Literal, get_args, get_origin, get_type_hints

from factstore.core.errors import Invalid
from factstore.core.model.condition import Definition
from factstore.core.model.data_key import DataKey
from factstore.core.model.event import DeletionAuthor, DeletionMarker, Record
from factstore.core.model.fact import MASK, Fact, Stack
from factstore.core.model.grant import Grant
from factstore.core.model.member import Applied, Member
from factstore.core.model.path import quoted
from factstore.core.model.record_key import RecordKey, RecordKindName
from factstore.core.model.waiter import Progress, Signal, Timer, Waiter
from factstore.store.keyspace import is_id

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
    """All of a record but where it lies and what the database knows of its key."""
    held = asdict(record)
    for known in ("revision", "lease", "memo"):
        held.pop(known, None)
    for named in _NAMED[record.record_key.kind]:
        del held[named]
    for name, default in _UNSAID.get(record.record_key.kind, {}).items():
        if held[name] == default:
            del held[name]
    return json.dumps({"format": FORMAT, **held}).encode()


@_reading()
def decode_record(record: bytes, place: RecordKey, *, revision: int, lease: int) -> Record:
    """Read :func:`encode_record`.

    :raises UnknownFormat: it is none of ours.
    """
    held = _load(record.decode())
    del held["format"]
    if "memo" in held:
        raise ValueError("it holds what only memory does")
    named = _NAMED[place.kind]
    if named:
        held[named[0]] = place.name.partition("/")[0]
    if place.kind == "waiter":
        if not _defines(held["definition"]):
            raise ValueError("its definition cannot be read")
        if held["progress"] is not None:
            seen = held["progress"]
            lists = {name: tuple(seen[name]) for name in ("missing", "failing")}
            held["progress"] = Progress(seen["satisfied"], seen["needed"], **lists)
    made: Record = _RECORDS[place.kind](revision=revision, lease=lease, **held)
    if not all(_fits(getattr(made, name), hint) for name, hint in _HINTS[place.kind].items()):
        raise ValueError("its members are not what they should be")
    if made.record_key != place:
        raise ValueError("it does not belong where it lies")
    return made


def _defines(text: str) -> bool:
    """Whether a waiter's definition can be read; why not would show it."""
    try:
        Definition.parse(text)
    except Invalid:
        return False
    return True


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


_RECORDS: dict[RecordKindName, Callable[..., Record]] = {
    "member": Member,
    "applied": Applied,
    "waiter": Waiter,
    "timer": Timer,
    "signal": Signal,
    "mark": DeletionMarker,
    "grant": Grant,
    "seal": DataKey,
}
_HINTS = {kind: get_type_hints(record) for kind, record in _RECORDS.items()}
_SURROGATE = re.compile("[\ud800-\udfff]")
_NAMED: dict[RecordKindName, tuple[str, ...]] = {
    "member": ("name",),
    "applied": ("member",),
    "waiter": ("name",),
    "timer": ("waiter",),
    "signal": ("waiter",),
    "mark": (),
    "grant": ("id",),
    "seal": (),
}
"""The field that the key names already."""
_UNSAID: dict[RecordKindName, dict[str, object]] = {
    "member": {"declared": None, "number": 0, "told": 0},
}
"""What of most records says nothing, and is left out of them, so that older workers can read those."""


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
