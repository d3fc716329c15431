"""Whether one record makes sense by itself: the rules, on one key and what it holds.

It knows of no other key, and never shows a record: those are the tenants'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from factstore.core.errors import FactstoreError
from factstore.core.model.data_key import WRAPPED_PATTERN, DataKey
from factstore.core.model.event import Record
from factstore.core.model.fact import KINDS, TTL_MAX, TTL_MIN, Fact, Stack
from factstore.core.model.member import DECLARED_PATTERN, Member
from factstore.core.model.path import check_name, check_path
from factstore.core.model.record_key import RecordKey, RecordKindName
from factstore.core.model.secret_readers import check_readers
from factstore.core.model.value import canonical, check_value_depth, parse_json
from factstore.core.model.waiter import Signal
from factstore.core.operations.encryption import SEALED_PATTERN
from factstore.store import codec
from factstore.store.fsck.findings import Finding
from factstore.store.keyspace import is_id
from factstore.store.types import KeyValue

T = TypeVar("T")

_LEASED = ("member", "applied", "timer", "grant")


def judge_fact(item: KeyValue, path: str) -> Iterator[Finding]:
    """What is wrong with a fact."""
    if not obeys(check_path, path):
        yield Finding("path_invalid", item.key, "the path breaks the grammar of paths")
    try:
        fact = codec.decode_fact(
            item.value, path, revision=item.revision, version=item.version, lease=item.lease
        )
    except codec.UnknownFormat as error:
        yield Finding("unreadable", item.key, str(error))
        return
    if not _is_sound_fact(fact):
        problem = "a record's members are not what they should be"
        yield Finding("unreadable", item.key, problem)
        return
    if fact.sealed is not None and not SEALED_PATTERN.fullmatch(fact.sealed):
        yield Finding("value_invalid", item.key, "the value is not sealed as it should be")
    if not _is_canonical(fact.text):
        yield Finding(
            "value_invalid", item.key, "the value is not canonical JSON within the limits"
        )
    if fact.member is not None:
        if not fact.lease:
            yield Finding(
                "bound_without_lease", item.key, "it goes with a member, but has no lease"
            )
        return
    if fact.ttl is not None and not fact.lease:
        yield Finding("ttl_without_lease", item.key, f"its ttl is {fact.ttl}, but it has no lease")
    if fact.ttl is None and fact.lease:
        yield Finding("lease_without_ttl", item.key, "it hangs on a lease, but has no ttl")


def _is_sound_fact(fact: Fact) -> bool:
    texts = (fact.created_at, fact.updated_at, fact.updated_by, fact.request_id)
    ttl = fact.ttl
    return (
        _are_texts(texts)
        and fact.kind in KINDS
        and (ttl is None or (type(ttl) is int and TTL_MIN <= ttl <= TTL_MAX))
        and (fact.member is None or ttl is None)
        and obeys(lambda readers: check_readers(readers, sensitive=True), fact.readers)
    )


def is_sound_stack(stack: Stack) -> bool:
    """Whether what JSON holds under its names is of the right kind."""
    texts = (stack.created_at, stack.updated_at, stack.updated_by, stack.request_id)
    return _are_texts((stack.id, stack.description, *texts)) and is_id(stack.id)


def _are_texts(members: Iterable[object]) -> bool:
    return all(isinstance(member, str) for member in members)


def _is_canonical(text: str) -> bool:
    try:
        value = parse_json(text.encode())
        check_value_depth(value)
        return canonical(value) == text
    except FactstoreError:
        return False


def obeys(check: Callable[[T], object], name: T) -> bool:
    """Whether a name passes a check."""
    try:
        check(name)
    except FactstoreError:
        return False
    return True


def judge_record(item: KeyValue, place: RecordKey, record: Record | None) -> Iterator[Finding]:
    """What is wrong with a record beside facts that could be read, or with the name of any."""
    # Of a signal this is its waiter's name; what is in a folder can be read as nobody's record.
    name = place.name.partition("/")[0]
    named = record is not None and place.kind != "mark"
    if named and not obeys(lambda given: check_name(given, place.kind), name):
        yield Finding("place_invalid", item.key, "the name breaks the grammar of names")
    awaited = isinstance(record, Member) and record.awaited and not record.departed
    if place.kind in _WORDS and not item.lease and not awaited:
        problem = f"it is a {_WORDS[place.kind]}, but has no lease"
        yield Finding("record_without_lease", item.key, problem)
    if (place.kind not in _LEASED or awaited) and item.lease:
        problem = "it hangs on a lease, and nothing of its kind does"
        yield Finding("lease_unexpected", item.key, problem)
    if isinstance(record, Member) and not (
        record.attributes.startswith("{") and _is_canonical(record.attributes)
    ):
        yield Finding("value_invalid", item.key, "its attributes are no canonical JSON object")
    if isinstance(record, Member) and not _is_declared_well(record):
        yield Finding("value_invalid", item.key, "what it says of its declaration makes no sense")
    if isinstance(record, DataKey) and not WRAPPED_PATTERN.fullmatch(record.wrapped):
        yield Finding("value_invalid", item.key, "the data key is not wrapped as it should be")
    if isinstance(record, Signal) and not _is_canonical(record.data):
        yield Finding("value_invalid", item.key, "its data are not canonical JSON")


def _is_declared_well(member: Member) -> bool:
    """Whether it is declared if it has no ttl, and has a number while nothing else names it."""
    declared = member.declared
    return (
        (declared is None or re.fullmatch(DECLARED_PATTERN, declared) is not None)
        and (not member.awaited or declared is not None)
        and member.awaited == (member.number > 0)
        and 0 <= member.told < member.revision
    )


# Whether what was applied may do without a lease, its member tells.
_WORDS: dict[RecordKindName, str] = {
    "member": "member",
    "timer": "timer",
    "grant": "grant",
}
