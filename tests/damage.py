"""Each thing that can be wrong below the root, as keys to write there behind the service's back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from factstore.core.event import Act
from factstore.core.fact import Stack
from factstore.store import codec
from factstore.store.keyspace import Keyspace
from tests.unit.core.making import fact, stack

OTHER_PROJECT = "0ther"


@dataclass(frozen=True)
class Damage:
    """What to put, and what is to be found then.

    :param at: the key that the finding names.
    :param puts: keys with their records; None deletes.
    :param leased: keys among them that hang on a lease.
    """

    kind: str
    at: bytes
    puts: dict[bytes, bytes | None]
    leased: tuple[bytes, ...] = ()


def damages(keys: Keyspace, living: Stack) -> Iterator[tuple[str, Damage]]:
    """Every one by its name, done to a store in which the stack *living* has a fact at ``a/b``."""
    root, project, stack_id = keys.root.encode(), living.project_id, living.id
    good, record = codec.encode_fact(fact("x")), codec.encode_stack(living)
    members = json.loads(record)

    def one(kind: str, key: bytes, value: bytes | None, *, leased: bool = False) -> Damage:
        return Damage(kind, key, {key: value}, (key,) if leased else ())

    def at(path: str) -> bytes:
        return keys.fact(project, stack_id, path)

    def below(path: str) -> bytes:
        return root + b"/" + path.encode()

    def edited(**changes: object) -> bytes:
        return json.dumps({**members, **changes}).encode()

    yield "no epoch", one("epoch_missing", keys.epoch, None)
    yield "an epoch of another kind", one("epoch_malformed", keys.epoch, b"first")
    yield "an epoch on a lease", one("lease_unexpected", keys.epoch, b"ab" * 16, leased=True)
    yield "a compactor without a number", one("compactor_malformed", keys.compactor, b"now")

    for stray in (
        *("x", "epoch/x", "quotas/p/x", "stacks/p/a/b", "acts/9", "idem/p", "purges/p", "data/p/s"),
        *("stacks/a.b/a", "data/p/a.b/facts/a"),
    ):
        yield f"a stray key {stray}", one("unknown_key", below(stray), b"")
    key = below(f"data/{project}/{stack_id}/side/x")
    yield "a stray key beside facts", one("unknown_key", key, b"")
    yield "a stray key of bytes", one("unknown_key", root + b"/\xff\xfe", b"")

    for name, text in (
        ("no JSON", b"{"),
        ("bytes", b"\xff"),
        ("another format", good.replace(b'"format": 1', b'"format": 2')),
        ("no format", b"{}\n1"),
        ("another kind", good.replace(b"observed", b"guessed")),
        ("a number for a name", good.replace(b'"alice"', b"7")),
        ("a ttl that is none", codec.encode_fact(replace(fact("x"), ttl=1))),
        ("deep nesting", b"[" * 9999),
    ):
        yield f"a fact with {name}", one("unreadable", at("x"), text)
    for name, text in (
        ("no JSON", b"{"),
        ("another format", edited(format=2)),
        ("a member too many", edited(colour="red")),
        ("no id", json.dumps({k: v for k, v in members.items() if k != "id"}).encode()),
        ("a number for an id", edited(id=7)),
        ("an id that reaches out of its place", edited(id="a/b")),
        ("a list for a description", edited(description=[])),
    ):
        # Its own record, so that its facts lie below an id that none can be read from.
        key = keys.stack(project, living.name)
        yield f"a stack with {name}", one("unreadable", key, text)
    yield "an act that is none", one("unreadable", keys.act(7), b"{}")
    for name, text in (
        ("no JSON", b"{"),
        ("no results", b'{"fingerprint": ""}'),
        ("no fingerprint", b'{"results": []}'),
        ("results that are none", b'{"fingerprint": "", "results": [1]}'),
        ("another root", b"[]"),
    ):
        key = keys.receipt(project, "bad")
        yield f"a receipt with {name}", one("unreadable", key, text, leased=True)

    head = good.partition(b"\n")[0] + b"\n"
    for text in (b"", b"{", b"{} ", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"NaN", b"1" * 70_000):
        yield f"a value {text[:9]!r}", one("value_invalid", at("x"), head + text)
    yield "a value nested too deep", one("value_invalid", at("x"), head + b"[" * 33 + b"]" * 33)
    for path in ("-x", "a//b", "a/", "e\u0301", "a b", "/".join("x" * 17), "x" * 129):
        yield f"a path {path[:9]!r}", one("path_invalid", at(path), good)
    for name in ("-x", "a b", "x" * 129):
        made = codec.encode_stack(stack(stack_id="named-badly"))
        yield f"a stack named {name[:9]!r}", one("name_invalid", keys.stack(project, name), made)

    yield "a fact above others", one("fact_and_folder", at("a"), good)
    yield "a fact below another", Damage("fact_and_folder", at("a/b"), {at("a/b/c/d"): good})
    timed = codec.encode_fact(replace(fact("x"), ttl=60))
    yield "a ttl without a lease", one("ttl_without_lease", at("x"), timed)
    yield "a lease without a ttl", one("lease_without_ttl", at("x"), good, leased=True)
    act = codec.encode_act(Act("s", "u", "r"))
    yield "a gate on a lease", one("lease_unexpected", keys.gate(project), b"", leased=True)
    yield "an act on a lease", one("lease_unexpected", keys.act(3), act, leased=True)
    spare = codec.encode_stack(stack(stack_id="spare"))
    key = keys.stack(project, "spare")
    yield "a stack on a lease", one("lease_unexpected", key, spare, leased=True)
    receipt = b'{"fingerprint": "f", "results": []}'
    key = keys.receipt(project, "kept")
    yield "a receipt that stays", one("receipt_without_lease", key, receipt)

    key = keys.stack(project, f"{living.name}-too")
    yield "an id twice in a project", one("id_shared", key, record)
    key = keys.stack("zz", living.name)
    yield "an id in two projects", one("id_shared", key, record)
    key = keys.purge(project, stack_id)
    yield "a purge of a living stack", one("purge_of_living", key, b"")
    lost = {keys.fact(project, "lost", path): good for path in ("a", "a/b", "-bad")}
    first = keys.fact(project, "lost", "-bad")
    yield "data of no stack", Damage("orphan", first, {**lost})
    record_key = keys.stack(project, living.name)
    yield "a record that was lost", Damage("orphan", at("a/b"), {record_key: None})
    key = keys.fact(OTHER_PROJECT, stack_id, "x")
    yield "data in another project", one("misplaced", key, good)


NOTHING_WRONG: dict[str, Callable[[Keyspace, Stack], dict[bytes, bytes]]] = {
    "a swept stack's data": lambda keys, living: {
        keys.purge(living.project_id, "gone"): b"",
        keys.fact(living.project_id, "gone", "-bad"): b"junk",
    },
    "the same names in another project": lambda keys, living: {
        keys.stack(OTHER_PROJECT, living.name): codec.encode_stack(stack(stack_id="another")),
        keys.fact(OTHER_PROJECT, "another", "a/b"): codec.encode_fact(fact("a/b")),
    },
    "names that sort between a folder and what lies below it": lambda keys, living: {
        keys.fact(living.project_id, living.id, path): codec.encode_fact(fact(path))
        for path in ("a-b", "a.b", "a0", "b", "a/b-c", "a/b.c/d")
    },
}
"""Keys to add that are as they should be, though a rule might take them for damage."""
