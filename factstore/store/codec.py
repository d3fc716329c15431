"""Records as bytes.

A fact is a line of JSON about it, then its value's canonical text untouched, so that reading one
never parses the value.  The line names its format, so that a later one can be told apart.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from factstore.core.event import Act
from factstore.core.fact import Fact, Stack
from factstore.core.path import shown

FORMAT = 1


class UnknownFormat(Exception):
    """A record was written by a newer factstore, or by somebody else."""


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever is wrong with a record, it is none of ours: one stray key must not stop the watch."""
    try:
        yield
    except UnicodeDecodeError as error:  # its own text would show the whole record
        raise UnknownFormat(f"a record is not UTF-8 at byte {error.start}") from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnknownFormat(f"a record does not have format {FORMAT}: {error!r}") from error


def encode_fact(fact: Fact) -> bytes:
    """All of a fact but what the database itself knows of its key."""
    head = {
        "format": FORMAT,
        "kind": fact.kind,
        "created_at": fact.created_at,
        "updated_at": fact.updated_at,
        "updated_by": fact.updated_by,
        "request_id": fact.request_id,
    }
    if fact.ttl is not None:
        head["ttl"] = fact.ttl
    return f"{json.dumps(head)}\n{fact.text}".encode()


@_reading()
def decode_fact(record: bytes, path: str, *, revision: int, version: int, lease: int) -> Fact:
    """Read :func:`encode_fact`; *revision*, *version* and *lease* come from the key.

    :raises UnknownFormat: it is none of ours.
    """
    line, _, text = record.decode().partition("\n")
    head = _load(line)
    return Fact(
        path=path,
        text=text,
        kind=head["kind"],
        created_at=head["created_at"],
        updated_at=head["updated_at"],
        updated_by=head["updated_by"],
        request_id=head["request_id"],
        ttl=head.get("ttl"),
        version=version,
        revision=revision,
        lease=lease,
    )


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
    return Stack(project_id=project_id, name=name, revision=revision, created=created, **held)


def encode_act(act: Act) -> bytes:
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
def decode_act(record: bytes) -> Act:
    """Read :func:`encode_act`.

    :raises UnknownFormat: it is none of ours.
    """
    held = _load(record.decode())
    return Act(
        stack_id=held["stack_id"],
        user_id=held["user_id"],
        request_id=held["request_id"],
        paths=tuple(held["paths"]),
        whole_stack=held["whole_stack"],
    )


def _load(text: str) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(text)
    if held["format"] != FORMAT:
        raise ValueError(f"its format is {shown(str(held['format']))}")
    return held
